"""The report page stands alone, shows its evidence, and stays small."""

import html
import json
import re
from pathlib import Path

import pytest

from datagen.inspection.report_page import write_report_page
from datagen.inspection.samples import draw_rows, take_cards
from datagen.inspection.stored_rows import StoredRows


@pytest.fixture(scope="module")
def page(many_rules: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_report_page(many_rules, path)
    return path.read_text(encoding="utf-8")


def test_the_page_refers_to_nothing_outside_itself(page: str) -> None:
    assert not re.search(r"""(?:src|href)=["'](?!data:|#)""", page)
    assert "url(" not in page
    assert "default-src 'none'" in html.unescape(page)
    assert "unsafe-inline" not in page


def test_the_page_is_small_with_its_thumbnails(page: str) -> None:
    assert page.count("data:image/webp;base64,") > 50
    assert len(page.encode()) < 4_000_000


def test_evidence_is_marked_in_the_text(page: str) -> None:
    assert re.search(
        r"が見えます。.{0,400}<mark class=\"c\d\" title=\"[a-z_]+[^>]*>ほかに知りたいことはありますか？</mark>", page
    )


def test_samples_have_every_rule_and_state_and_the_same_seed_draws_the_same(many_rules: Path) -> None:
    with StoredRows(many_rules) as stored:
        drawn = draw_rows(stored.summed(), seed=1)
        assert draw_rows(stored, seed=1) == drawn
        assert draw_rows(stored, seed=2) != drawn
        cards = take_cards(stored, drawn)
        found = {rule for (rule,) in stored.ask("SELECT DISTINCT rule FROM found")}
    assert {rule for card in cards for rule in card.rules} == found
    assert {card.state for card in cards} == {"kept", "dropped", "failed"}
    assert all(card.pictures[0].startswith("data:image/webp") for card in cards)


def test_a_run_in_which_all_failed_has_a_report(copied_run: Path, tmp_path: Path) -> None:
    manifest = json.loads((copied_run / "manifest.json").read_text(encoding="utf-8"))
    failed = manifest["counts"]["failed"]
    manifest["counts"] = {"inputs": failed, "kept": 0, "dropped": 0, "failed": failed}
    manifest["shards"] = [shard for shard in manifest["shards"] if shard["state"] == "failed"]
    (copied_run / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    report = write_report_page(copied_run, tmp_path / "page.html")
    assert all(hits.rows == 0 for hits in report.rules)
    assert sum(failure.rows for failure in report.failures) == failed
