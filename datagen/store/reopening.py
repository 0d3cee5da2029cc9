"""Making rows of parts undone again, so that the next run makes them and nothing else."""

from collections.abc import Callable
from pathlib import Path

from datagen.files.writing import write_bytes
from datagen.records import PartRow, Row
from datagen.store.journal import is_sealed, journal_line, journal_path, part_path, rows_of_part, rows_under_way
from datagen.store.mix_plan import NOT_NEEDED
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


def reopen_for(folder: Path, number: int, positions: set[int]) -> None:
    """Let a complete part be gone on with if it has not all the rows of these positions.

    Raises:
        DatagenError: the part is damaged.
    """
    if is_sealed(folder, number):
        rows = _rows_of(folder, number)
        if positions.difference(row.position for row in rows):
            write_bytes(journal_path(folder, number), b"".join(map(journal_line, rows)))


def only_a_rule_failed(row: Row) -> bool:
    """Whether nothing but a rule failed on a row: judging it again is enough, and no model need be asked."""
    return row.error is not None and row.error.class_ == "rule_error"


def is_unmade(row: Row) -> bool:
    """Whether a row was dropped by a check before any call was made for it."""
    return row.state == "dropped" and not row.calls and all(finding.rule != NOT_NEEDED for finding in row.findings)


def _passes(row: Row, before_calls: Policy) -> bool:
    scores = [score.model_dump() for score in row.scores]
    return before_calls.judge([{"messages": [], "scores": scores}])[0].kept


def reopen(folder: Path, number: int, is_undone: Callable[[PartRow], bool]) -> int:
    """Make the rows of a part undone again of which something is true, and return how many there are.

    Raises:
        DatagenError: the part is damaged.
    """
    rows = _rows_of(folder, number)
    kept = [row for row in rows if not is_undone(row)]
    if len(kept) < len(rows):
        write_bytes(journal_path(folder, number), b"".join(map(journal_line, kept)))
    return len(rows) - len(kept)


def _rows_of(folder: Path, number: int) -> list[PartRow]:
    if journal_path(folder, number).exists():  # also when a worker died between the two steps of sealing
        return rows_under_way(folder, number)
    return rows_of_part(folder, number) if part_path(folder, number).exists() else []
