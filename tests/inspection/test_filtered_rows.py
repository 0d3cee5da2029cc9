"""What `datagen filter` wrote is inspected like a run, with whatever columns it has."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from datagen.inspection.explain import find_row, story
from datagen.inspection.recutting import recut
from datagen.inspection.report import report_of
from datagen.inspection.report_page import write_report_page
from datagen.pipeline.filtering import filter_rows
from datagen.recipe import Output
from filters import load_policy


def test_the_report_does_without_columns_that_are_not_there(filtered: Path) -> None:
    report = report_of(filtered)
    assert report.counts == {"inputs": 42, "kept": 20, "dropped": 20, "failed": 2}
    assert {hits.rule: hits.rows for hits in report.rules} == {"question_in_answer": 20, "duplicate_turn": 0}
    assert [grouping.by for grouping in report.groupings] == ["turn"]
    assert report.costs.answers == 0
    assert [(failure.name, failure.rows) for failure in report.failures] == [("bad_row", 2)]


def test_nothing_of_a_row_becomes_markup(filtered: Path, tmp_path: Path) -> None:
    write_report_page(filtered, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<script>window.owned" not in page
    assert "<img src=x" not in page
    assert "&lt;/script&gt;&lt;script&gt;window.owned" in page
    assert page.count("<script") == 1


def test_a_row_without_calls_is_explained(filtered: Path) -> None:
    told = "\n".join(line.plain for line in story(find_row(filtered, "row-1")))
    assert "question_in_answer (drop) in message 1" in told
    assert "何歳ですか？" in told


def test_it_is_recut_without_parts_and_loses_no_row(filtered: Path, tmp_path: Path) -> None:
    difference, manifest = recut(filtered, load_policy({"name": "none", "rules": []}), tmp_path / "recut")
    assert manifest is not None
    assert manifest["counts"] == {"inputs": 42, "kept": 40, "dropped": 0, "failed": 2}
    assert difference.newly_kept == 20
    back, manifest = recut(
        tmp_path / "recut", load_policy({"name": "q", "rules": ["question_in_answer"]}), tmp_path / "b"
    )
    assert back.newly_dropped == 20
    assert report_of(tmp_path / "b").counts["dropped"] == 20


def test_columns_of_others_with_our_names_do_no_harm(tmp_path: Path) -> None:
    talk = [{"role": "user", "content": "何？"}, {"role": "assistant", "content": "犬？"}]
    ours = {"image": "a.jpg", "calls": 1, "task": {"name": "x"}, "filename": "a.jpg", "row": 1, "source": ["web"]}
    pair = {"question": "何ですか？", "answer": "犬ですか？"}
    rows = [{"id": f"{n}", "messages": talk if n else None, **pair, **ours} for n in range(3)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    policy = load_policy({"name": "questions", "rules": ["question_in_answer"]})
    filter_rows(tmp_path / "rows.parquet", policy, tmp_path / "out", Output())
    report = write_report_page(tmp_path / "out", tmp_path / "page.html")
    assert report.counts["dropped"] == 3
    assert report.rules[0].findings == 3
    assert report.distributions[0].name == "answer_characters"
    assert "犬？" in "\n".join(line.plain for line in story(find_row(tmp_path / "out", "1")))
