"""Review sheets: drawn by strata and seed, and read back as precision."""

import codecs
import csv
import io
import json
import re
from collections import Counter
from pathlib import Path

import pytest

from datagen.errors import DatagenError
from datagen.inspection.marks import keep_marks, read_marks
from datagen.inspection.report import report_of
from datagen.inspection.report_page import write_report_page
from datagen.inspection.reviews import write_sheet
from datagen.inspection.terminal import unused_lines
from datagen.pipeline.filtering import filter_rows
from datagen.recipe import Output
from filters import load_policy
from tests.inspection.conftest import rows_of
from tests.without_ray import without_ray

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
        finding["message"]
        for row in rows_of(many_rules, "findings")
        for finding in row["findings"]
        if finding["rule"] == RULE
    )
    sheet = write_sheet(many_rules, RULE, 30, 0, tmp_path)
    assert (sheet.hits, sheet.drawn) == (turns.total(), 30)
    lines = lines_of(sheet.csv)
    ids = {row["id"] for row in rows_of(many_rules, "id", "findings") if RULE in {f["rule"] for f in row["findings"]}}
    assert {line["id"] for line in lines} <= {f"id:{row_id}" for row_id in ids}
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


def test_a_cell_of_any_length_is_read_and_no_limit_of_others_is_changed(tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.csv"
    sheet.write_text(f"id,rule,mark,message\n7,too_long,true,{'長' * 200_000}\n")
    limit = csv.field_size_limit(1000)
    try:
        assert read_marks(sheet) == {("7", "too_long"): "true"}
        assert csv.field_size_limit() == 1000
    finally:
        csv.field_size_limit(limit)


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
    report = report_of(copied_run)
    assert report.precisions.keys() == {RULE}
    assert report.precisions[RULE].true == 3
    assert (report.unused_marks.gone, report.unused_marks.unknown) == (2, 0)
    assert list(unused_lines(report.unused_marks)) == [
        "2 marks in reviews/ are of hits that the present policy no longer makes."
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,rule\na,b\n", "has no column mark"),
        ("id,rule,mark\na,b,maybe\n", "'maybe' is no mark; write true, false, unsure or nothing"),
        ("id,rule,mark\na,b,\n", "has no marks"),
        ("id,rule,mark\na,b,\n,", "has no marks"),
        ("PK\x03\x04 and so on", "is a workbook; save it as CSV in UTF-8"),
        ('id,rule,mark\n"a,b,true\nc,d,false\n', "cannot be read as CSV .*; save it as CSV in UTF-8"),
    ],
)
def test_what_is_no_marked_sheet_is_refused(many_rules: Path, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "sheet.csv").write_text(text, encoding="utf-8")
    with pytest.raises(DatagenError, match=message):
        keep_marks(many_rules, tmp_path / "sheet.csv")


def test_a_rule_without_hits_is_named_with_the_nearest_one(many_rules: Path, tmp_path: Path) -> None:
    with pytest.raises(DatagenError, match="did you mean 'question_in_answer'"):
        write_sheet(many_rules, "question_in_answr", 5, 0, tmp_path)


# Ids that spreadsheets take for something else, and what they make of them.
IDS = {
    "000000000001": "1",
    "12345678901234567890": "1.23457E+19",
    "1E5": "1.00E+05",
    "2024-01-02": "2024/1/2",
    "1-2": "1月2日",
    "TRUE": "TRUE",
    "true": "TRUE",
    "=1+1": "2",
    "-5": "-5",
    "007.50": "7.5",
    '桜, "花"': '桜, "花"',
}


@pytest.fixture
def odd_ids(tmp_path: Path) -> Path:
    """Filtered rows with hits whose ids look like numbers, dates, truth values and formulas."""
    rows = [{"id": row_id, "question": "何ですか？", "answer": "犬です。何歳ですか？"} for row_id in IDS]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    with without_ray():
        filter_rows(tmp_path / "rows.jsonl", load_policy({"rules": [RULE]}), tmp_path / "run", Output())
    return tmp_path / "run"


def as_spreadsheet(cell: str) -> str:
    """Return a cell as it comes back from a spreadsheet that opened and saved a CSV file."""
    if cell in IDS:
        return IDS[cell]
    return "TRUE" if cell == "true" else f"{float(cell):g}" if re.fullmatch(r"[-+]?\d+(\.\d+)?", cell) else cell


SAVED = {
    "Excel, CSV UTF-8": (",", codecs.BOM_UTF8, "utf-8"),
    "Excel in Japanese, CSV": (",", b"", "cp932"),
    "Excel in German, CSV UTF-8": (";", codecs.BOM_UTF8, "utf-8"),
    "Excel, Unicode text": ("\t", codecs.BOM_UTF16_LE, "utf-16-le"),
    "LibreOffice": (",", b"", "utf-8"),
}


def saved(sheet: Path, how: str) -> None:
    """Mark every line of a sheet in a spreadsheet, and save it."""
    delimiter, mark, encoding = SAVED[how]
    lines = lines_of(sheet)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, lines[0].keys(), delimiter=delimiter, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows({key: as_spreadsheet(cell) for key, cell in (line | {"mark": "true"}).items()} for line in lines)
    sheet.write_bytes(mark + text.getvalue().encode(encoding, "replace"))


@pytest.mark.parametrize("how", SAVED)
def test_ids_and_marks_survive_a_spreadsheet(odd_ids: Path, tmp_path: Path, how: str) -> None:
    sheet = write_sheet(odd_ids, RULE, 100, 0, tmp_path / "sheets")
    saved(sheet.csv, how)
    assert keep_marks(odd_ids, sheet.csv) == len(IDS)
    report = report_of(odd_ids)
    assert report.precisions[RULE].true == len(IDS)
    assert (report.unused_marks.gone, report.unused_marks.unknown) == (0, 0)


def test_sheets_without_the_prefix_are_read_and_ids_that_were_rewritten_are_told(odd_ids: Path, tmp_path: Path) -> None:
    sheet = write_sheet(odd_ids, RULE, 100, 0, odd_ids / "reviews")
    lines = [line | {"id": line["id"].removeprefix("id:"), "mark": "true"} for line in lines_of(sheet.csv)]
    for line in lines:
        line["id"] = f"'{line['id']}" if line["id"].startswith(("=", "-")) else line["id"]
    with sheet.csv.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, lines[0].keys())
        writer.writeheader()
        writer.writerows(lines)
    assert report_of(odd_ids).precisions[RULE].true == len(IDS)
    saved(sheet.csv, "Excel, CSV UTF-8")
    assert len(read_marks(sheet.csv)) == len(IDS) - 1  # of true and TRUE there is one left
    report = write_report_page(odd_ids, tmp_path / "page.html")
    assert report.precisions[RULE].true == 4
    assert report.unused_marks.unknown == 6
    assert "Marks of ids that no row has" in (tmp_path / "page.html").read_text(encoding="utf-8")
    (told,) = unused_lines(report.unused_marks)
    assert re.match(r"6 marks in reviews/ have ids that no row has \('.*', '.*', '.*'\)\. Their sheet is", told)
