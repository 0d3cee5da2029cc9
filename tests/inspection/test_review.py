"""Review sheets: drawn by strata and seed, and read back as precision."""

import csv
from collections import Counter
from pathlib import Path

import pytest

from datagen.errors import DatagenError
from datagen.inspection.marks import keep_marks
from datagen.inspection.report import report_of
from datagen.inspection.reviews import write_sheet
from tests.inspection.conftest import rows_of

RULE = "question_in_answer"


def lines_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def mark(path: Path, marks: list[str]) -> None:
    lines = lines_of(path)
    for line, given in zip(lines, marks, strict=False):
        line["mark"] = given
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, lines[0].keys())
        writer.writeheader()
        writer.writerows(lines)


def test_a_sheet_holds_hits_of_the_rule_and_every_turn_gets_its_share(many_rules: Path, tmp_path: Path) -> None:
    turns = Counter(
        finding["turn"]
        for row in rows_of(many_rules, "findings")
        for finding in row["findings"]
        if finding["rule"] == RULE
    )
    sheet = write_sheet(many_rules, RULE, 30, 0, tmp_path)
    assert (sheet.hits, sheet.drawn) == (turns.total(), 30)
    lines = lines_of(sheet.csv)
    ids = {row["id"] for row in rows_of(many_rules, "id", "findings") if RULE in {f["rule"] for f in row["findings"]}}
    assert {line["id"] for line in lines} <= ids
    assert len({line["id"] for line in lines}) == 30
    drawn = Counter(int(line["turn"]) for line in lines)
    assert all(abs(drawn[turn] - 30 * count / sheet.hits) <= 1 for turn, count in turns.items())
    assert all(line["text"] in line["message"] and line["evidence"] for line in lines)


def test_the_same_seed_draws_the_same_sheet(many_rules: Path, tmp_path: Path) -> None:
    first = write_sheet(many_rules, RULE, 20, 4, tmp_path / "a").csv.read_bytes()
    assert write_sheet(many_rules, RULE, 20, 4, tmp_path / "b").csv.read_bytes() == first
    assert write_sheet(many_rules, RULE, 20, 5, tmp_path / "c").csv.read_bytes() != first


def test_marks_come_back_as_precision_with_its_interval(copied_run: Path, tmp_path: Path) -> None:
    sheet = write_sheet(copied_run, RULE, 12, 0, tmp_path)
    mark(sheet.csv, ["true"] * 9 + ["FALSE", "unsure", ""])
    assert keep_marks(copied_run, sheet.csv) == 11
    found = report_of(copied_run).precisions[RULE]
    assert (found.true, found.false, found.unsure, found.precision) == (9, 1, 1, 0.9)
    assert found.interval.low == pytest.approx(0.596, abs=0.001)
    assert found.interval.high == pytest.approx(0.982, abs=0.001)


def test_a_mark_may_be_the_key_that_the_page_has_for_it(copied_run: Path) -> None:
    sheet = write_sheet(copied_run, RULE, 5, 0)
    mark(sheet.csv, ["T", "f", "u", "true"])
    found = report_of(copied_run).precisions[RULE]
    assert (found.true, found.false, found.unsure) == (2, 1, 1)


def test_a_sheet_with_marks_is_never_overwritten(copied_run: Path) -> None:
    sheet = write_sheet(copied_run, RULE, 5, 0)
    write_sheet(copied_run, RULE, 5, 0)
    mark(sheet.csv, ["true"])
    with pytest.raises(DatagenError, match="has marks"):
        write_sheet(copied_run, RULE, 5, 0)
    assert report_of(copied_run).precisions[RULE].true == 1


def test_marks_of_hits_that_are_no_more_do_not_count(copied_run: Path, tmp_path: Path) -> None:
    sheet = write_sheet(copied_run, RULE, 5, 0)
    mark(sheet.csv, ["true"] * 5)
    text = sheet.csv.read_text(encoding="utf-8").replace(RULE, "a_rule_that_is_gone", 2)
    sheet.csv.write_text(text, encoding="utf-8")
    assert report_of(copied_run).precisions.keys() == {RULE}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,rule\na,b\n", "has no column mark"),
        ("id,rule,mark\na,b,maybe\n", "'maybe' is no mark; write true, false, unsure or nothing"),
        ("id,rule,mark\na,b,\n", "has no marks"),
    ],
)
def test_what_is_no_marked_sheet_is_refused(many_rules: Path, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "sheet.csv").write_text(text, encoding="utf-8")
    with pytest.raises(DatagenError, match=message):
        keep_marks(many_rules, tmp_path / "sheet.csv")


def test_a_rule_without_hits_is_named_with_the_nearest_one(many_rules: Path, tmp_path: Path) -> None:
    with pytest.raises(DatagenError, match="did you mean 'question_in_answer'"):
        write_sheet(many_rules, "question_in_answr", 5, 0, tmp_path)
