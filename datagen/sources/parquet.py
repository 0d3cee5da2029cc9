"""Parquet files with the pictures in a column, as the Hugging Face hub and datagen itself write them."""

import asyncio
import os
from collections.abc import Iterator
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from datagen import recipe
from datagen.errors import DatagenError, nearest
from datagen.failures import Failure
from datagen.sources import Entry, key_of
from datagen.sources.folder import files_of_kind, key_below

_GROUPS_HELD = 4


class ParquetSource:
    """One image a row; the key is the file and the row in it.

    The picture column is a struct with `bytes` (the Image feature) or plain binary. Listing reads no pictures.
    """

    def __init__(self, settings: recipe.Source) -> None:
        self._root = Path(settings.path)
        self._column = settings.column
        self._group = lru_cache(maxsize=_GROUPS_HELD)(self._read_group)

    @cached_property
    def _files(self) -> list[Path]:
        return files_of_kind(self._root, ".parquet")

    @cached_property
    def _picture_column(self) -> str | None:
        path = self._files[0]
        schema = _open(path).schema_arrow
        if self._column and self._column not in schema.names:
            raise DatagenError(
                f"source.column '{self._column}' is not in {path}: {nearest(self._column, schema.names)}."
            )
        pictures = [field.name for field in schema if _holds_pictures(field.type)]
        wanted = [self._column] if self._column else ["image", *pictures]
        return next((name for name in wanted if name in pictures), None)

    @property
    def has_pictures(self) -> bool:
        """Whether a column holds bytes, not only paths or URLs."""
        return self._picture_column is not None

    def entries(self) -> Iterator[Entry]:
        """List the rows."""
        for path in self._files:
            file = _open(path)
            column = self._picture_column
            if column not in file.schema_arrow.names or not _holds_pictures(file.schema_arrow.field(column).type):
                raise DatagenError(
                    f"source.path: {path} has no column '{column}' with pictures, as {self._files[0]} has; "
                    "move it out of the source, or name another column with source.column."
                )
            name = key_below(self._root, path)
            kept: list[str] = [column for column in ("url", "license") if column in file.schema_arrow.names]
            row = 0
            for group in range(file.num_row_groups):
                rows = file.metadata.row_group(group).num_rows
                columns = _texts(file, path, group, kept) if kept else {}
                for place in range(rows):
                    texts = {column: str(values[place] or "") for column, values in columns.items()}
                    yield Entry(f"{name}#{row}", os.fsencode(path), row=place, row_group=group, **texts)
                    row += 1

    async def read(self, entry: Entry) -> bytes:
        """Return the picture of one row; the row group around it is read once for its neighbours too."""
        try:
            column = await asyncio.to_thread(self._group, entry.path, entry.row_group)
        except (OSError, pa.ArrowException) as error:
            raise Failure("unreadable", f"{key_of(entry.path)}: {error}") from error
        cell = column[entry.row].as_py()
        data = cell.get("bytes") if isinstance(cell, dict) else cell
        if not data:
            raise Failure("unreadable", "the row has no picture bytes")
        return bytes(data)

    async def close(self) -> None:
        """Let go of the row groups."""
        self._group.cache_clear()

    def _read_group(self, path: bytes, group: int) -> "pa.ChunkedArray[Any]":
        file = pq.ParquetFile(os.fsdecode(path))
        return file.read_row_group(group, columns=[self._picture_column]).column(0)


def _open(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (OSError, pa.ArrowException, UnicodeError) as error:  # Arrow opens no file whose name is not UTF-8
        raise DatagenError(
            f"source.path: {str(path)!r} is no readable Parquet file ({error}). Write or name it anew, or move it away."
        ) from error


def _texts(file: pq.ParquetFile, path: Path, group: int, columns: list[str]) -> dict[str, list[Any]]:
    try:
        return file.read_row_group(group, columns=columns).to_pydict()
    except (OSError, pa.ArrowException) as error:
        raise DatagenError(f"source.path: {path} is damaged ({error}); write it anew, or move it away.") from error


def _holds_pictures(data_type: pa.DataType) -> bool:
    if pa.types.is_struct(data_type):
        return any(field.name == "bytes" and _holds_pictures(field.type) for field in data_type.fields)
    return pa.types.is_binary(data_type) or pa.types.is_large_binary(data_type)
