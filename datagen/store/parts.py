"""The parts of a run, read one after the other: with their checksums, and beside the index that they belong to.

Part *k* holds the rows of the images that the index has for it, each at its position. Where a part says otherwise, the
index was listed anew from a source that has changed, or a file was moved: the rows of one source would pass for those
of another. One part is in memory at a time, and one file open.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from datagen.errors import AccountingError, DatagenError
from datagen.files.reading import open_parquet
from datagen.records import EARLIER_PART_SCHEMA, PART_SCHEMA
from datagen.store.index import Index
from datagen.store.journal import anew, part_path, rows_under_way
from datagen.store.schema_1 import is_schema_1, refuse_schema_1

_PART_FIELD: "list[pa.Field[Any]]" = [pa.field("part", pa.int32())]
NUMBERED_SCHEMA = pa.schema([*PART_SCHEMA, *_PART_FIELD])
"""The columns of a part, and its number."""
_NAMES = ("position", "id", "key")
_SHOWN = 3


def sealed_parts(parts: Path) -> list[Path]:
    """Return the complete parts of a folder, in order."""
    return sorted(parts.glob("part-*.parquet"))


def read_part(path: Path, columns: Iterable[str] | None = None) -> pa.Table:
    """Read a complete part with its checksums.

    Raises:
        DatagenError: it is damaged, or the machine could not read it; the message names it.
    """
    with open_parquet(path, anew(path), checksums=True) as file:
        if is_schema_1(file.schema_arrow):
            raise refuse_schema_1(path.parent.parent)
        wanted = PART_SCHEMA.names if columns is None else list(columns)
        if file.schema_arrow.equals(EARLIER_PART_SCHEMA):
            rows = file.read(columns=[name for name in wanted if name in EARLIER_PART_SCHEMA.names])
            return _completed(rows, wanted)
        if not file.schema_arrow.equals(PART_SCHEMA):  # no checksum covers it
            raise ValueError("the schema is another one")
        return file.read(columns=wanted)


def _completed(rows: pa.Table, wanted: list[str]) -> pa.Table:
    """Return rows with the columns that came later, which are empty in them."""
    columns: list[Any] = [
        rows.column(name) if name in rows.column_names else pa.array([[]] * rows.num_rows, PART_SCHEMA.field(name).type)
        for name in wanted
    ]
    return pa.table(columns, schema=pa.schema([PART_SCHEMA.field(name) for name in wanted]))


def check_parts(paths: Iterable[Path]) -> None:
    """Read complete parts with their checksums.

    Raises:
        DatagenError: one is damaged; the message names it.
    """
    for path in paths:
        read_part(path)


def states_of(paths: Iterable[Path]) -> Counter[str]:
    """Count the rows of complete parts by state.

    Raises:
        DatagenError: one is damaged.
    """
    states: Counter[str] = Counter()
    for path in paths:
        found: list[Any] = read_part(path, ["state"]).column("state").to_pylist()
        states.update(found)
    return states


def states_under_way(folder: Path, number: int) -> Counter[str]:
    """Count the rows of a part that is not complete by state.

    Raises:
        DatagenError: a line of its journal is damaged.
    """
    return Counter(row.state for row in rows_under_way(folder, number))


def check_rows_of_index(index: Index, parts: Path) -> None:
    """Make sure that all rows that are stored, in complete parts and in journals, are those that an index lists.

    Raises:
        AccountingError: they are not; nothing was changed.
        DatagenError: a part or the index is damaged.
    """
    for path in sorted(parts.glob("part-*.*")):
        number = _number(path)
        if path.suffix == ".parquet":
            _check(index, number, path, read_part(path, _NAMES))
        elif path.suffix == ".jsonl" and (rows := rows_under_way(parts, number)):
            columns = {name: [getattr(row, name) for row in rows] for name in _NAMES}
            listed = _listed(index, number)
            _check(index, number, path, pa.table(columns, schema=listed.schema).sort_by("position"), whole=False)


class PartRows:
    """The rows of all complete parts, with the number of their part (`NUMBERED_SCHEMA`), for one reader in one pass.

    Args:
        parts: the folder.
        index: of the run, if there is one.
        needed: the numbers of the parts that have to be there.

    Attributes:
        fault: what ended the reading; readers outside of Python tell no more of it than its text.
    """

    def __init__(self, parts: Path, index: Index | None, needed: range = range(0)) -> None:
        self._parts = parts
        self._index = index
        self._needed = needed
        self.fault: DatagenError | None = None

    def reader(self) -> pa.RecordBatchReader:
        """Return them a part at a time, each checked by its checksums and beside the index."""
        return pa.RecordBatchReader.from_batches(NUMBERED_SCHEMA, self._batches())

    def _batches(self) -> Iterator[pa.RecordBatch]:
        try:
            yield from self._checked()
        except DatagenError as error:
            self.fault = error
            raise

    def _checked(self) -> Iterator[pa.RecordBatch]:
        numbers = set()
        for path in sealed_parts(self._parts):
            number = _number(path)
            numbers.add(number)
            rows = read_part(path)
            if self._index is not None:
                _check(self._index, number, path, rows)
            yield from rows.append_column("part", pa.repeat(pa.scalar(number, pa.int32()), rows.num_rows)).to_batches()
        missing = sorted(set(self._needed) - numbers)
        if missing:
            raise AccountingError(
                f"{part_path(self._parts, missing[0])} is missing{_more(len(missing))}. Put it back from a copy, or "
                "run the same datagen run again, which makes it."
            )


def _number(path: Path) -> int:
    try:
        return int(path.stem.removeprefix("part-"))
    except ValueError:
        raise DatagenError(f"{path} has not the name of a part; move it out of the folder.") from None


def _listed(index: Index, number: int) -> pa.Table:
    return index.names(number if number < index.parts else 0).slice(0, None if number < index.parts else 0)


def _check(index: Index, number: int, path: Path, rows: pa.Table, *, whole: bool = True) -> None:
    """Compare the rows of a part, in the order of their positions, with what the index has for it."""
    listed, stored = _listed(index, number), rows.select(_NAMES)
    if not whole:
        listed = listed.filter(pc.is_in(listed.column("position"), stored.column("position").combine_chunks()))
    if stored.equals(listed):
        return
    keys, others = _keys(stored), _keys(listed)
    positions = [
        position for position in sorted(keys.keys() | others.keys()) if keys.get(position) != others.get(position)
    ]
    examples = "; ".join(
        f"image {position:,} is {_shown(keys, position)} there and {_shown(others, position)} here"
        for position in positions[:_SHOWN]
    )
    raise AccountingError(
        f"{path} has other images than the index: {examples}{_more(len(positions) - _SHOWN + 1)}. The source has "
        "changed since, or a file was moved. Put back what changed, delete index.parquet alone if it is there, and run "
        "the same command: what is done is kept. Or use another --out. Nothing was deleted."
    )


def _keys(rows: pa.Table) -> dict[int, str]:
    named: list[dict[str, Any]] = rows.to_pylist()
    return {row["position"]: row["key"] for row in named}


def _shown(keys: dict[int, str], position: int) -> str:
    return repr(keys[position]) if position in keys else "absent"


def _more(count: int) -> str:
    return f" (and {count - 1:,} more)" if count > 1 else ""
