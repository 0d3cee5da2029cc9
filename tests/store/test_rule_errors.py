"""A rule of a user's that raises on one row costs that row its verdict, and nothing else: its answers are kept."""

import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import orjson
import pyarrow.parquet as pq
import pytest

from datagen.inspection.recutting import recut
from datagen.pipeline.filtering import filter_rows
from datagen.recipe import Output, Recipe
from filters import Finding, Rule, Sample, load_policy
from tests.conftest import FakeServer, MakeRecipe
from tests.without_ray import run_here, shard_digests, states, without_ray

mended = False


class Picky(Rule):
    """Raises on about every third conversation, until it is mended."""

    def find(self, sample: Sample) -> Iterable[Finding]:
        if not mended and zlib.crc32(sample.answers[0].content.encode()) % 3 == 0:
            raise KeyError("色")
        return ()


@pytest.fixture(autouse=True)
def _broken(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The rule is broken at first, and judging needs no Ray here."""
    monkeypatch.setattr(f"{__name__}.mended", False)
    with without_ray():
        yield


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "picky.yaml"
    path.write_text(f"rules: [question_in_answer, '{__name__}:Picky']", encoding="utf-8")
    return path


@pytest.fixture
def recipe(pictures: Path, policy: Path, fake_server: FakeServer, make_recipe: MakeRecipe) -> Recipe:
    return make_recipe(pictures, fake_server.endpoint, policy=str(policy))


def errors_of(out: Path) -> dict[str, str]:
    rows = [row for path in (out / "failed").glob("*.parquet") for row in pq.read_table(path).to_pylist()]
    found = [row for row in rows if row["error"]["class"] == "rule_error"]
    assert all(row["messages"] and row["calls"] for row in found)
    return {row["key"]: row["error"]["message"] for row in found}


@pytest.mark.slow
def test_a_rule_that_raises_fails_its_row_and_no_answer_is_paid_for_again(
    recipe: Recipe, fake_server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    first = run_here(recipe, out)
    failed = errors_of(out)
    assert 3 < len(failed) < 30
    assert first["failures"]["rule_error"] == len(failed)
    assert set(failed.values()) == {"the rule picky raised KeyError: '色'"}
    paid = fake_server.statistics()["requests"]
    assert run_here(recipe, out)["counts"] == first["counts"]
    assert run_here(recipe, out, retry_failed=True)["counts"] == first["counts"]
    monkeypatch.setattr(f"{__name__}.mended", True)
    assert "rule_error" not in run_here(recipe, out)["failures"]
    assert fake_server.statistics()["requests"] == paid
    run_here(recipe, tmp_path / "undisturbed")
    assert shard_digests(out) == shard_digests(tmp_path / "undisturbed")


@pytest.mark.slow
def test_another_policy_judges_the_rows_that_a_rule_raised_on(
    recipe: Recipe, policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    run_here(recipe, out)
    failed = errors_of(out)
    difference, manifest = recut(out, load_policy("light"), tmp_path / "light")
    assert manifest is not None
    assert "rule_error" not in manifest["failures"]
    assert difference.rows("failed", "kept") + difference.rows("failed", "dropped") == len(failed)
    filtered = filter_rows(out, load_policy(policy), tmp_path / "filtered", Output())
    assert filtered["failures"]["rule_error"] == len(failed)
    monkeypatch.setattr(f"{__name__}.mended", True)
    recut(tmp_path / "filtered", load_policy(policy), tmp_path / "mended")
    run_here(recipe, tmp_path / "undisturbed")
    assert states(tmp_path / "mended") == states(tmp_path / "undisturbed")
    # The same from shards alone, without the parts of the run.
    (out / "parts").rename(tmp_path / "away")
    recut(out, load_policy(policy), tmp_path / "from_shards")
    assert states(tmp_path / "from_shards") == states(tmp_path / "undisturbed")


def test_filter_fails_the_rows_that_a_rule_raises_on_and_judges_the_others(policy: Path, tmp_path: Path) -> None:
    lines = tmp_path / "in.jsonl"
    rows = [{"id": str(n), "question": "何色ですか？", "answer": f"{n}番の屋根は赤です。"} for n in range(40)]
    lines.write_bytes(b"\n".join(map(orjson.dumps, rows)))
    manifest = filter_rows(lines, load_policy(policy), tmp_path / "out", Output())
    expected = sum(zlib.crc32(row["answer"].encode()) % 3 == 0 for row in rows)
    assert manifest["failures"] == {"rule_error": expected}
    assert manifest["counts"] == {"inputs": 40, "kept": 40 - expected, "dropped": 0, "failed": expected}
