"""What people marked in review sheets, and the precision of each rule that follows from it.

The sheets of `datagen review` come back as CSV files in the run's folder `reviews/`. A mark is about one row and one
rule; when two sheets mark the same, the later file by name counts. Marks of hits that the present policy no longer
makes do not count.
"""

import csv
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from datagen.errors import DatagenError, system_error
from datagen.inspection.intervals import Interval, wilson
from datagen.inspection.stored_rows import StoredRows

REVIEWS = "reviews"
MARKS = ("true", "false", "unsure")
_KEYS = {mark[0]: mark for mark in MARKS}  # as on the page
COLUMNS = ("id", "rule", "mark", "note", "key", "turn", "text", "evidence", "message", "stratum")
"""The columns of a sheet; `mark` and `note` are for the reviewer."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


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


def read_marks(path: Path) -> dict[tuple[str, str], str]:
    """Return the marks of a sheet by id and rule; lines without a mark are left out.

    Raises:
        DatagenError: the file is no review sheet, or holds a mark that is none.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if missing := {"id", "rule", "mark"} - set(reader.fieldnames or ()):
                raise DatagenError(
                    f"{path} has no column {', '.join(sorted(missing))}; give a sheet that datagen review wrote."
                )
            lines = list(reader)
    except OSError as error:
        raise DatagenError(system_error(error, path)) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DatagenError(f"{path} cannot be read as CSV in UTF-8: {error}") from error
    marks: dict[tuple[str, str], str] = {}
    for number, line in enumerate(lines, start=2):
        mark = (line["mark"] or "").strip().lower()
        mark = _KEYS.get(mark, mark)
        if mark and mark not in MARKS:
            raise DatagenError(f"{path}, line {number}: '{mark}' is no mark; write {', '.join(MARKS)} or nothing.")
        if mark:
            marks[_unguarded(line["id"]), _unguarded(line["rule"])] = mark
    return marks


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


def precisions(stored: StoredRows) -> dict[str, Precision]:
    """Return the precision of every rule with marks."""
    marks: dict[tuple[str, str], str] = {}
    for path in sorted((stored.run / REVIEWS).glob("*.csv")):
        marks |= read_marks(path)
    if not marks:
        return {}
    ids = sorted({row_id for row_id, _ in marks})
    hits = stored.ask(
        "SELECT id, unnest(list_distinct([finding.rule FOR finding IN findings])) FROM stored WHERE id IN "
        "(SELECT unnest($ids))",
        ids=ids,
    )
    counted: dict[str, Counter[str]] = {}
    for row_id, rule in set(hits):
        if mark := marks.get((row_id, rule)):
            counted.setdefault(rule, Counter())[mark] += 1
    return {rule: _precision(counts) for rule, counts in sorted(counted.items())}


def _precision(counts: Counter[str]) -> Precision:
    decided = counts["true"] + counts["false"]
    share = counts["true"] / decided if decided else None
    return Precision(counts["true"], counts["false"], counts["unsure"], share, wilson(counts["true"], decided))
