"""What no rule that reads one row can see: texts that begin alike, and answers that are said again and again."""

import io
from pathlib import Path

import orjson
import pytest
from rich.console import Console

from datagen.inspection.report import Report, report_of
from datagen.inspection.report_page import write_report_page
from datagen.inspection.terminal import print_report
from datagen.pipeline.filtering import filter_rows
from datagen.recipe import Output
from filters import load_policy

ROWS = 40


@pytest.fixture(scope="module")
def filtered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty rows, of whose captions thirty begin alike, and in which one answer of ten rows differs in digits alone."""
    folder = tmp_path_factory.mktemp("alike")
    rows = []
    for number in range(ROWS):
        seen, sign = chr(0x4E00 + number), chr(0x5200 + number)
        caption = f"この画像は{seen}の写真です。" if number % 4 else f"{seen}が写っています。"
        answer = f"屋根の上に猫が {number} 匹います。" if number < 10 else f"{sign}という字の看板があります。"
        rows.append({"id": str(number), "caption": caption, "question": "何が写っていますか？", "answer": answer})
    (folder / "rows.jsonl").write_bytes(b"\n".join(map(orjson.dumps, rows)))
    filter_rows(folder / "rows.jsonl", load_policy({"name": "none", "rules": []}), folder / "out", Output())
    return folder / "out"


@pytest.fixture(scope="module")
def report(filtered: Path) -> Report:
    return report_of(filtered)


def test_openings_are_counted_with_their_share(report: Report) -> None:
    first = next(opening for opening in report.openings if opening.part == "caption")
    assert (first.text, first.share) == ("この画像は", pytest.approx(first.texts / ROWS))
    assert [opening.texts for opening in report.openings if opening.text == "屋根の上に"] == [10]


def test_answers_that_differ_in_digits_alone_count_as_said_again(report: Report) -> None:
    found = {repeated.part: repeated for repeated in report.repeated}
    assert (found["answer"].texts, found["answer"].repeated, found["answer"].most) == (ROWS, 10, 10)
    assert found["caption"].repeated == 0


def test_what_is_much_is_printed_and_stands_in_the_page(report: Report, filtered: Path, tmp_path: Path) -> None:
    said = io.StringIO()
    print_report(report, Console(file=said, width=200))
    assert "25% of the answers" not in said.getvalue()  # ten texts are few
    write_report_page(filtered, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "屋根の上に" in page
    assert "alike but for digits" in page
