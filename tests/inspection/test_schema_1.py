"""Runs of schema 1, which people have, are read by every command that reads; to go on with one is refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import datasets
import pyarrow.parquet as pq
import pytest

from datagen.errors import DatagenError
from datagen.exporters.writing.export import export
from datagen.inspection.explain import find_row, story
from datagen.inspection.recutting import compare_runs, recut, what_if
from datagen.inspection.report import report_of
from datagen.inspection.report_page import write_report_page
from datagen.inspection.reviews import write_sheet
from datagen.pipeline.filtering import filter_rows
from datagen.recipe import Output
from datagen.store.parts import read_part
from filters import load_policy
from tests.conftest import FakeServer, MakeRecipe
from tests.without_ray import run_here, without_ray

OLD = Path(__file__).parent / "schema_1"
ASKING = {"name": "asking", "rules": ["question_in_answer"]}


@pytest.fixture
def old_run(tmp_path: Path) -> Path:
    shutil.copytree(OLD / "run", tmp_path / "old")
    return tmp_path / "old"


@pytest.fixture
def old_rows() -> list[dict[str, Any]]:
    return [row for path in (OLD / "run").glob("*/*-of-*.parquet") for row in pq.read_table(path).to_pylist()]


def test_the_runs_here_are_of_schema_1(old_rows: list[dict[str, Any]]) -> None:
    assert json.loads((OLD / "run" / "manifest.json").read_text(encoding="utf-8"))["schema"] == 1
    assert {"image", "sha256"} <= set(old_rows[0])
    assert any("turn" in finding for row in old_rows for finding in row["findings"])


@pytest.mark.parametrize("name", ["run", "filtered"])
def test_report_reads_them(name: str, tmp_path: Path) -> None:
    manifest = json.loads((OLD / name / "manifest.json").read_text(encoding="utf-8"))
    report = report_of(OLD / name)
    assert json.loads(report.to_json())["counts"] == manifest["counts"]
    rows = [row for path in (OLD / name).glob("*/*-of-*.parquet") for row in pq.read_table(path).to_pylist()]
    hits = {rule.rule: rule.rows for rule in report.rules if rule.rows}
    assert hits == {
        rule: sum(any(found["rule"] == rule for found in row["findings"]) for row in rows if row["state"] != "failed")
        for rule in {found["rule"] for row in rows for found in row["findings"]}
    }
    write_report_page(OLD / name, tmp_path / "page.html")
    assert ("data:image/webp" in (tmp_path / "page.html").read_text(encoding="utf-8")) is (name == "run")


def test_explain_shows_the_picture_and_where_the_findings_are(old_rows: list[dict[str, Any]]) -> None:
    row = next(row for row in old_rows if row["findings"])
    text = "\n".join(line.plain for line in story(find_row(OLD / "run", row["id"])))
    assert row["sha256"] in text
    for finding in row["findings"]:
        assert f"in message {finding['turn']}, {finding['start']}–{finding['end']}: 「{finding['text']}」" in text


def test_review_writes_a_sheet(old_run: Path, tmp_path: Path) -> None:
    rule = next(hits.rule for hits in report_of(old_run).rules if hits.rows)
    assert write_sheet(old_run, rule, 5, 0, tmp_path).drawn == min(5, write_sheet(old_run, rule, 5, 1, tmp_path).hits)


def test_filter_reads_a_run_and_a_filtered_one(tmp_path: Path) -> None:
    with without_ray():
        for name, inputs in (("run", 13), ("filtered", 10)):
            manifest = filter_rows(OLD / name, load_policy(ASKING), tmp_path / name, Output())
            assert manifest["counts"]["inputs"] == inputs
            rows = [
                row for path in (tmp_path / name).glob("*/*-of-*.parquet") for row in pq.read_table(path).to_pylist()
            ]
            assert len(rows) == inputs
            assert all("message" in finding for row in rows for finding in row["findings"])


def test_recut_makes_shards_of_today_with_the_same_pictures(
    old_run: Path, old_rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    with without_ray():
        difference, manifest = recut(old_run, load_policy(ASKING), tmp_path / "recut")
    assert manifest is not None
    assert manifest["schema"] == 2
    assert manifest["counts"]["inputs"] == 13 == sum(found.rows for found in difference.transitions) + 1
    files = sorted(map(str, (tmp_path / "recut").glob("*/*-of-*.parquet")))
    rows = [row for path in files for row in pq.read_table(path).to_pylist()]
    assert {row["id"]: [image["bytes"] for image in row["images"]] for row in rows} == {
        row["id"]: [row["image"]["bytes"]] if row["image"] else [] for row in old_rows
    }
    loaded = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path / "cache"))
    assert max(len(row["images"]) for row in loaded) == 1


def test_another_policy_and_another_run_are_compared_with_it(
    old_run: Path, fake_server: FakeServer, tmp_path: Path
) -> None:
    with without_ray():
        assert what_if(old_run, load_policy("light"), load_policy("strict"), tmp_path / "if").transitions
        filter_rows(old_run, load_policy("strict"), tmp_path / "now", Output())
    difference = compare_runs(old_run, tmp_path / "now", tmp_path / "compared")
    assert sum(found.rows for found in difference.transitions) == 13


def test_export_reads_it(old_rows: list[dict[str, Any]], tmp_path: Path) -> None:
    kept = {row["id"]: row["image"]["bytes"] for row in old_rows if row["state"] == "kept"}
    assert export(OLD / "run", ["messages"], tmp_path / "out").written == {"messages": {"train": len(kept)}}
    written = pq.read_table(tmp_path / "out" / "messages").to_pylist()
    assert {row["id"]: row["images"][0]["bytes"] for row in written} == kept


def test_to_go_on_with_it_is_refused_with_a_sentence_and_changes_nothing(
    old_run: Path, fake_server: FakeServer, make_recipe: MakeRecipe, pictures: Path
) -> None:
    kept = {path: path.read_bytes() for path in old_run.rglob("*") if path.is_file()}
    with pytest.raises(DatagenError, match=r"schema 1.*use another --out"):
        run_here(make_recipe(pictures, fake_server.endpoint), old_run)
    assert {
        path: path.read_bytes() for path in old_run.rglob("*") if path.name != "run.lock" and path.is_file()
    } == kept


def test_a_part_of_schema_1_is_refused_too_when_nothing_else_says_so(old_run: Path) -> None:
    (old_run / "run.json").unlink()
    with pytest.raises(DatagenError, match=r"schema 1.*use another --out"):
        read_part(old_run / "parts" / "part-000000.parquet")
