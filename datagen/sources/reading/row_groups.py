"""Single cells of Parquet files, in memory that does not depend on the size of a row group.

Arrow reads a row group from its beginning or not at all, and whole groups may be larger than memory. So a group is
passed through in small batches, by a cursor that stays where it is until a later row is asked for; workers read
the rows of a part in order, and of a few parts at once. Batches that were read are held up to a number of bytes.
"""

import os
from collections import OrderedDict
from threading import Lock
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from datagen.failures import Failure
from datagen.files.clouds import is_cloud, open_in_cloud

_HELD_BYTES = 256 << 20
_BATCH_BYTES = 8 << 20
_BATCH_ROWS = 32  # so that a batch is under the 2 GiB of a 32-bit column for pictures up to the default max_bytes
_CURSORS = 4  # one more than a worker has parts under way
_BUFFER_BYTES = 1 << 20

Group = tuple[bytes, int]


class ColumnReader:
    """Reads cells of one column of any Parquet files; it may be used from several threads."""

    def __init__(self, column: str) -> None:
        self._column = column
        self._lock = Lock()
        self._cursors: list[_Cursor] = []
        self._batch_rows: dict[Group, int] = {}
        self._held: OrderedDict[tuple[Group, int], pa.ChunkedArray[Any]] = OrderedDict()
        self._held_bytes = 0
        self._broken: dict[Group, tuple[int, Exception]] = {}

    def cell(self, path: bytes, group: int, row: int) -> "pa.Scalar[Any]":
        """Return the cell of a row of a row group.

        Raises:
            OSError: the file cannot be read.
            pa.ArrowException: it is damaged at this row or before it.
            Failure: `unreadable`, when the file has no such row.
        """
        where = (path, group)
        with self._lock:
            batch = self._held_batch(where, row)
            if batch is None:
                batch = self._read(where, row)
            cell: pa.Scalar[Any] = batch[row % self._batch_rows[where]]
            return cell

    def close(self) -> None:
        """Let go of files and batches."""
        with self._lock:
            self._cursors.clear()
            self._held.clear()
            self._held_bytes = 0

    def _held_batch(self, where: Group, row: int) -> "pa.ChunkedArray[Any] | None":
        key = (where, row // self._batch_rows.get(where, 1))
        if key not in self._held:
            return None
        self._held.move_to_end(key)
        return self._held[key]

    def _read(self, where: Group, row: int) -> "pa.ChunkedArray[Any]":
        damaged_from, error = self._broken.get(where, (None, None))
        if damaged_from is not None and error is not None and row >= damaged_from:
            raise error
        cursor = self._cursor_before(where, row)
        self._batch_rows[where] = cursor.batch_rows
        while True:
            start = cursor.next_row
            try:
                batch = cursor.advance()
            except (OSError, pa.ArrowException) as fault:
                self._drop(cursor)
                if isinstance(fault, pa.ArrowException):
                    self._broken[where] = (start, fault)
                raise
            if batch is None:
                self._drop(cursor)
                raise Failure("unreadable", f"the file has no row {row} any more; it changed after it was listed")
            wanted = cursor.next_row > row
            # Of a group that can be held whole, what is passed by is needed soon.
            if wanted or cursor.group_bytes <= _HELD_BYTES:
                self._hold((where, start // cursor.batch_rows), batch)
            if cursor.at_end:
                self._drop(cursor)
            if wanted:
                return batch

    def _cursor_before(self, where: Group, row: int) -> "_Cursor":
        """Return the cursor nearest before a row, or a new one; it becomes the last to be given up."""
        fitting = [cursor for cursor in self._cursors if cursor.where == where and cursor.next_row <= row]
        if fitting:
            cursor = max(fitting, key=lambda cursor: cursor.next_row)
            self._cursors.remove(cursor)
        else:
            cursor = _Cursor(where, self._column)
        self._cursors = [*self._cursors[-_CURSORS + 1 :], cursor]
        return cursor

    def _drop(self, cursor: "_Cursor") -> None:
        """Let go of a cursor, its file and the page that it holds."""
        self._cursors = [other for other in self._cursors if other is not cursor]

    def _hold(self, key: tuple[Group, int], batch: "pa.ChunkedArray[Any]") -> None:
        if key in self._held:
            self._held_bytes -= self._held.pop(key).nbytes
        self._held[key] = batch
        self._held_bytes += batch.nbytes
        while self._held_bytes > _HELD_BYTES and len(self._held) > 1:
            _, oldest = self._held.popitem(last=False)
            self._held_bytes -= oldest.nbytes


class _Cursor:
    """A pass through a column of one row group, batch by batch."""

    def __init__(self, where: Group, column: str) -> None:
        path, group = where
        # With a buffer the column is read as it is passed through, and not taken into memory first.
        name = os.fsdecode(path)
        opened = open_in_cloud(name) if is_cloud(name) else name
        file = pq.ParquetFile(opened, buffer_size=_BUFFER_BYTES, pre_buffer=False)
        if group >= file.num_row_groups:
            raise Failure("unreadable", f"the file has no row group {group} any more; it changed after it was listed")
        metadata = file.metadata.row_group(group)
        leaves = [metadata.column(number) for number in range(metadata.num_columns)]
        self.where = where
        self.next_row = 0
        self.group_bytes = sum(
            leaf.total_uncompressed_size for leaf in leaves if f"{leaf.path_in_schema}.".startswith(f"{column}.")
        )
        self.batch_rows = max(1, min(_BATCH_ROWS, _BATCH_BYTES * metadata.num_rows // max(self.group_bytes, 1)))
        self._rows = metadata.num_rows
        self._batches = file.iter_batches(self.batch_rows, row_groups=[group], columns=[column], use_threads=False)

    @property
    def at_end(self) -> bool:
        """Whether all rows were passed."""
        return self.next_row >= self._rows

    def advance(self) -> "pa.ChunkedArray[Any] | None":
        """Return the next batch, none at the end; Arrow may give it in several pieces."""
        pieces = []
        wanted = min(self.batch_rows, self._rows - self.next_row)
        while wanted > 0:
            piece = next(self._batches, None)
            if piece is None:
                break
            pieces.append(piece.column(0))
            wanted -= piece.num_rows
        self.next_row += sum(map(len, pieces))
        return pa.chunked_array(pieces) if pieces else None
