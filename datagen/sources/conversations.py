"""Conversations that are there already: runs and shards of datagen, Parquet, and JSON, with or without pictures.

They are found and read as `datagen filter` does it. A row of a Parquet file is known by its number, an object of a JSON
file by the bytes where it begins and ends.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from datagen.errors import DatagenError
from datagen.failures import Failure
from datagen.recipe import SourceSettings
from datagen.records import MessageRecord
from datagen.sources import Entry, Loaded
from datagen.sources.reading.cells import holds, pictures_in
from datagen.sources.reading.conversation_files import find_conversations, is_parquet
from datagen.sources.reading.json_conversations import located_conversations, read_conversation
from datagen.sources.reading.locations import Locations
from datagen.sources.reading.message_shapes import SHAPES, as_row, pictures_of
from datagen.sources.reading.row_groups import ColumnReader
from datagen.sources.reading.stored_conversations import fault_of, id_of, messages_of

_TEXTS = ("id", *SHAPES, "question", "answer", "caption")


class ConversationsSource:
    """One conversation a row; the key is its id, or file and number where it has none or one that was there before."""

    def __init__(self, settings: SourceSettings, max_bytes: int) -> None:
        self._path = Path(settings.path)
        self._column = settings.column
        self._locations = Locations(max_bytes, settings.allow_private_hosts)
        self._readers: dict[str, ColumnReader] = {}
        self.passed_over: Counter[str] = Counter()

    @property
    def column(self) -> str | None:
        """The column with the pictures, if one is named."""
        return self._column

    def entries(self) -> Iterator[Entry]:
        """List the conversations; only their ids are read."""
        seen: set[str] = set()
        for path in find_conversations(self._path):
            name = path.name
            rows = _rows_of_parquet(path) if is_parquet(path) else _objects_of_json(path)
            for number, (row_id, row, row_group) in enumerate(rows):
                key = row_id if row_id is not None and row_id not in seen else f"{name}#{number}"
                seen.add(key)
                yield Entry(key, os.fsencode(path), row, row_group)

    async def read(self, entry: Entry) -> Loaded:
        """Return the conversation of one row with its pictures."""
        path = Path(os.fsdecode(entry.path))
        if not is_parquet(path):
            row = await asyncio.to_thread(read_conversation, path, entry.row, entry.row_group)
            pictures = await self._locations.read_all(pictures_of(row), path.parent)
            return Loaded(pictures, _messages(row), _caption(row))
        try:
            row, cells = await asyncio.to_thread(self._row, path, entry)
        except (OSError, pa.ArrowException) as error:
            raise Failure("unreadable", f"{entry.key}: {error}") from error
        pictures = ()
        for cell in cells:
            pictures += await self._locations.read_all(pictures_in(cell), path.parent)
        read = as_row({**row, "images": bool(pictures)})
        return Loaded(pictures, _messages(read), _caption(row))

    async def close(self) -> None:
        """Let go of files and connections."""
        for reader in self._readers.values():
            reader.close()
        await self._locations.close()

    def _row(self, path: Path, entry: Entry) -> tuple[dict[str, Any], list[Any]]:
        schema = pq.read_schema(path)
        row: dict[str, Any] = {}
        cells = []
        pictures = self._picture_column(schema)
        for name in (*_TEXTS, *([pictures] if pictures else [])):
            if name not in schema.names:
                continue
            reader = self._readers.setdefault(name, ColumnReader(name))
            cell = reader.cell(entry.path, entry.row_group, entry.row)
            if name != pictures:
                row[name] = cell.as_py()
            elif cell.is_valid and not _is_empty_list(cell):
                cells.append(cell)
        return row, cells

    def _picture_column(self, schema: pa.Schema) -> str | None:
        if self._column is not None:
            if self._column not in schema.names:
                raise DatagenError(f"source.column '{self._column}' is not there; it has {', '.join(schema.names)}.")
            return self._column
        found = [name for name in ("images", "image") if name in schema.names]
        return next((name for name in found if holds(schema.field(name).type) == "pictures"), None)


def _is_empty_list(cell: Any) -> bool:
    values = getattr(cell, "values", None)
    return values is not None and not len(values)


def _rows_of_parquet(path: Path) -> Iterator[tuple[str | None, int, int]]:
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            rows: list[Any] = file.read_row_group(group, columns=["id"]).to_pylist()
            for number, row in enumerate(rows):
                yield id_of(row), number, group


def _objects_of_json(path: Path) -> Iterator[tuple[str | None, int, int]]:
    for row_id, start, size in located_conversations(path):
        if size >= 1 << 31:
            raise DatagenError(f"{path} has an object of {size:,} bytes; no conversation has so many.")
        yield row_id, start, size


def _messages(row: dict[str, Any]) -> tuple[MessageRecord, ...]:
    if fault := fault_of({"id": "row", **{name: value for name, value in row.items() if name != "id"}}):
        raise Failure("bad_row", fault)
    said = messages_of(row)
    others = [message["role"] for message in said if message["role"] not in ("system", "user", "assistant")]
    if others:
        raise Failure("bad_row", f"a message has the role {others[0]!r}; system, user and assistant are known")
    return tuple(MessageRecord(role=message["role"], content=message["content"]) for message in said)


def _caption(row: dict[str, Any]) -> str:
    caption = row.get("caption")
    return caption if isinstance(caption, str) else ""
