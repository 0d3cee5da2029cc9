"""What people marked in review sheets, and the precision of each rule that follows from it.

The sheets of `datagen review` come back as CSV files in the run's folder `reviews/`, as a spreadsheet saved them. A
mark is about one row and one rule; when two sheets mark the same, the later file by name counts. Marks of hits that
the present policy no longer makes do not count, nor do those of ids that the run has not; both are counted and told.
"""

import codecs
import csv
import io
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from datagen.errors import DatagenError
from datagen.inspection.stored_rows import StoredRows
from datagen.statistics import Interval, wilson

REVIEWS = "reviews"
MARKS = ("true", "false", "unsure")
_KEYS = {mark[0]: mark for mark in MARKS}  # as on the page
COLUMNS = ("id", "rule", "mark", "note", "key", "turn", "text", "evidence", "message", "stratum")
"""The columns of a sheet; `mark` and `note` are for the reviewer."""
_READ = ("id", "rule", "mark")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_ID = "id:"
_DELIMITERS = (",", ";", "\t")
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_SAVE = "save it as CSV in UTF-8"
_EXAMPLES = 3


@dataclass(frozen=True)
class Precision:
    """How often a rule was right among the hits that people marked.

    Attributes:
        true: hits marked as right.
        false: hits marked as wrong.
        unsure: hits that nobody could tell; they do not count.
        precision: the share of right ones, none if nothing was marked.
        interval: its 95 % confidence interval (Wilson).
    """

    true: int
    false: int
    unsure: int
    precision: float | None
    interval: Interval


@dataclass(frozen=True)
class UnusedMarks:
    """Marks that say nothing of the present run.

    Attributes:
        gone: those of rows in which the rule finds nothing now.
        unknown: those whose id no row has.
        examples: a few of these ids.
    """

    gone: int
    unknown: int
    examples: tuple[str, ...]


def read_marks(path: Path) -> dict[tuple[str, str], str]:
    """Return the marks of a sheet by id and rule; lines without a mark are left out.

    Read is what spreadsheets save: UTF-8, UTF-16 and Shift_JIS, with commas, semicolons or tabs.

    Raises:
        DatagenError: the file is no review sheet, or holds a mark that is none.
    """
    text = _text_of(path)
    # A cell may hold a whole conversation. The limit is one for the process, and belongs to whoever set it.
    limit = csv.field_size_limit(len(text))
    try:
        reader = _reader(path, text)
        lines = [{name: line[name] or "" for name in _READ} for line in reader]
    except csv.Error as error:
        raise DatagenError(f"{path} cannot be read as CSV ({error}); {_SAVE}.") from error
    finally:
        csv.field_size_limit(limit)
    marks: dict[tuple[str, str], str] = {}
    for number, line in enumerate(lines, start=2):
        mark = line["mark"].strip().lower()
        mark = _KEYS.get(mark, mark)
        if mark and mark not in MARKS:
            raise DatagenError(f"{path}, line {number}: '{mark}' is no mark; write {', '.join(MARKS)} or nothing.")
        if mark:
            marks[_id_in(line["id"]), _unguarded(line["rule"])] = mark
    return marks


def _text_of(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DatagenError(f"{path} cannot be read: {error.strerror}.") from error
    if content.startswith(_WORKBOOKS):
        raise DatagenError(f"{path} is a workbook; {_SAVE}.")
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    for encoding in ("utf-16",) if wide else ("utf-8-sig", "cp932"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise DatagenError(f"{path} is neither UTF-8 nor UTF-16 nor Shift_JIS; {_SAVE}.")


def _reader(path: Path, text: str) -> "csv.DictReader[str]":
    for delimiter in _DELIMITERS:
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        if set(_READ) <= set(reader.fieldnames or ()):
            return reader
    names = csv.DictReader(io.StringIO(text, newline="")).fieldnames or ()
    missing = ", ".join(name for name in _READ if name not in names)
    raise DatagenError(f"{path} has no column {missing}; give a sheet that datagen review wrote.")


def id_cell(row_id: str) -> str:
    """Return the cell of an id: text that no spreadsheet takes for a number, a date, a truth value or a formula.

    >>> id_cell("000000000001"), id_cell("1E5"), id_cell("2024-01-02")
    ('id:000000000001', 'id:1E5', 'id:2024-01-02')
    """
    return _ID + row_id


def _id_in(cell: str) -> str:
    """Return the id of a cell, also of sheets that were written without the prefix."""
    return cell.removeprefix(_ID) if cell.startswith(_ID) else _unguarded(cell)


def guarded(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula.

    >>> guarded("=1+1"), guarded("桜です。")
    ("'=1+1", '桜です。')
    """
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _unguarded(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_FORMULA) else cell


def keep_marks(run: Path, path: Path) -> int:
    """Put a marked sheet among the reviews of a run, and return how many marks it has.

    Raises:
        DatagenError: it is no sheet, it has no marks, or another sheet with marks has its name.
    """
    marks = read_marks(path)
    if not marks:
        raise DatagenError(f"{path} has no marks; fill the column mark with {', '.join(MARKS)}.")
    kept = run / REVIEWS / path.name
    if kept.resolve() != path.resolve():
        if kept.exists() and not marks.keys() >= read_marks(kept).keys():
            raise DatagenError(f"{kept} has marks that {path} has not; rename {path.name} to keep both.")
        kept.parent.mkdir(exist_ok=True)
        shutil.copy(path, kept)
    return len(marks)


_HITS = """
SELECT id, [finding.rule FOR finding IN coalesce(findings, [])] FROM stored WHERE id IN (SELECT unnest($ids))
"""


def reviewed(stored: StoredRows) -> tuple[dict[str, Precision], UnusedMarks]:
    """Return the precision of every rule with marks, and the marks that do not count.

    Raises:
        DatagenError: a sheet among the reviews cannot be read.
    """
    marks: dict[tuple[str, str], str] = {}
    for path in sorted((stored.run / REVIEWS).glob("*.csv")):
        marks |= read_marks(path)
    ids = sorted({row_id for row_id, _ in marks})
    found = stored.ask(_HITS, ids=ids) if ids else []
    rules = {row_id: set(names) for row_id, names in found}
    counted: dict[str, Counter[str]] = {}
    for (row_id, rule), mark in marks.items():
        if rule in rules.get(row_id, ()):
            counted.setdefault(rule, Counter())[mark] += 1
    unknown = [row_id for row_id, _ in marks if row_id not in rules]
    used = sum(counts.total() for counts in counted.values())
    unused = UnusedMarks(len(marks) - used - len(unknown), len(unknown), tuple(unknown[:_EXAMPLES]))
    return {rule: _precision(counts) for rule, counts in sorted(counted.items())}, unused


def _precision(counts: Counter[str]) -> Precision:
    decided = counts["true"] + counts["false"]
    share = counts["true"] / decided if decided else None
    return Precision(counts["true"], counts["false"], counts["unsure"], share, wilson(counts["true"], decided))
