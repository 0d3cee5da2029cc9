"""Making rows of parts undone again, so that the next run makes them and nothing else."""

from collections.abc import Callable
from pathlib import Path

from datagen.files.reading import open_parquet
from datagen.files.writing import write_bytes
from datagen.records import PartRow, Row
from datagen.store.journal import anew, journal_line, journal_path, part_path, rows_under_way
from filters import Policy


def reopen_failed(folder: Path, number: int) -> int:
    """Make the failed rows of a part undone again, and return how many there are; where a rule failed, none did.

    Raises:
        DatagenError: the part is damaged.
    """
    return reopen(folder, number, lambda row: row.state == "failed" and not only_a_rule_failed(row))


def reopen_unmade(folder: Path, number: int, before_calls: Policy) -> int:
    """Make those rows of a part undone again that a check dropped before any call, and that a policy lets pass now.

    Args:
        folder: of the parts.
        number: of the part.
        before_calls: the part of the policy that asks for the scores of checks.

    Raises:
        DatagenError: the part is damaged.
    """
    return reopen(folder, number, lambda row: is_unmade(row) and _passes(row, before_calls))


def only_a_rule_failed(row: Row) -> bool:
    """Whether nothing but a rule failed on a row: judging it again is enough, and no model need be asked."""
    return row.error is not None and row.error.class_ == "rule_error"


def is_unmade(row: Row) -> bool:
    """Whether a row was dropped before any call was made for it."""
    return row.state == "dropped" and not row.calls


def _passes(row: Row, before_calls: Policy) -> bool:
    scores = [score.model_dump() for score in row.scores]
    return before_calls.judge([{"messages": [], "scores": scores}])[0].kept


def reopen(folder: Path, number: int, is_undone: Callable[[PartRow], bool]) -> int:
    """Make the rows of a part undone again of which something is true, and return how many there are.

    Raises:
        DatagenError: the part is damaged.
    """
    sealed, journal = part_path(folder, number), journal_path(folder, number)
    if journal.exists():  # also when a worker died between the two steps of sealing
        rows = rows_under_way(folder, number)
    elif sealed.exists():
        with open_parquet(sealed, anew(sealed)) as file:
            rows = [PartRow.model_validate(row) for row in file.read().to_pylist()]
    else:
        return 0
    kept = [row for row in rows if not is_undone(row)]
    if len(kept) < len(rows):
        write_bytes(journal, b"".join(map(journal_line, kept)))
    return len(rows) - len(kept)
