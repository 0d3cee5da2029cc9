"""Parquet files with the pictures in a column, as the Hugging Face hub and datagen itself write them."""

import asyncio
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from datagen.errors import DatagenError
from datagen.failures import Failure
from datagen.files.clouds import is_cloud, open_in_cloud
from datagen.recipe import SourceSettings
from datagen.sources import Entry, Loaded, key_of
from datagen.sources.folder import files_of_kind, key_below
from datagen.sources.reading.cells import ALLOWED, holds, pictures_in
from datagen.sources.reading.facts import FACTS, facts_of
from datagen.sources.reading.locations import Locations, holds_picture
from datagen.sources.reading.row_groups import ColumnReader
from filters.errors import nearest

COLUMNS_OF_LOCATIONS = ("url", "image_url", "path", "image", "file_name", "file", "filename")
_ROWS_LOOKED_AT = 16


class ParquetSource:
    """One image a row; the key is the file and the row in it.

    Listing reads no pictures. The picture of a row that has no bytes is read from its path, which is looked up from
    the folder of the Parquet file, or from its URL.
    """

    def __init__(self, settings: SourceSettings, max_bytes: int) -> None:
        self._settings = settings
        self._root = Path(settings.path)
        self._locations = Locations(max_bytes, settings.allow_private_hosts)
        self.passed_over: Counter[str] = Counter()

    @cached_property
    def column(self) -> str:
        """The column of the pictures."""
        return self._settings.column or kind_and_column(self._settings, self.files()[0])[1]

    @cached_property
    def _reader(self) -> ColumnReader:
        return ColumnReader(self.column)

    def files(self) -> Sequence[Path | str]:
        """Return the files, by their paths or, in a cloud, their URLs."""
        self.passed_over.clear()
        return files_of_kind(self._root, ".parquet", self.passed_over)

    def key(self, path: Path | str, row: int, before: int) -> str:
        """Return the key of a row of a file, `before` which so many stand in the files before it."""
        return f"{key_below(self._root, Path(path))}#{row}"

    def entries(self) -> Iterator[Entry]:
        """List the rows."""
        files = self.files()
        before = 0
        for path in files:
            file = open_parquet(path)
            schema = file.schema_arrow
            data_type = schema.field(self.column).type if self.column in schema.names else None
            # Where no row of a file has a picture, its column may be of the type null; the rows fail one by one.
            if data_type is None or (holds(data_type) == "nothing" and not pa.types.is_null(data_type)):
                raise DatagenError(
                    f"source.path: {path} has no column '{self.column}' with pictures, as {files[0]} has; "
                    "move it out of the source, or name another column with source.column."
                )
            kept = [name for name in FACTS if name in schema.names and name != self.column]
            row = 0
            for group in range(file.num_row_groups):
                rows = file.metadata.row_group(group).num_rows
                columns = _columns(file, path, group, kept) if kept else {}
                for number in range(rows):
                    facts = facts_of({column: values[number] for column, values in columns.items()})
                    yield Entry(self.key(path, row, before), os.fsencode(path), row=number, row_group=group, **facts)
                    row += 1
            before += row

    @property
    def columns(self) -> list[str]:
        """The names of all columns that any of the files has."""
        return list(dict.fromkeys(name for path in self.files() for name in open_parquet(path).schema_arrow.names))

    def records(self, columns: Sequence[str]) -> Iterator[Mapping[str, Any]]:
        """List columns of every row."""
        return records_of(self.files(), columns)

    async def read(self, entry: Entry) -> Loaded:
        """Return the pictures of one row."""
        try:
            cell = await asyncio.to_thread(self._reader.cell, entry.path, entry.row_group, entry.row)
        except (OSError, pa.ArrowException) as error:
            raise Failure("unreadable", f"{key_of(entry.path)}: {error}") from error
        return Loaded(await self._locations.read_all(pictures_in(cell), Path(os.fsdecode(entry.path)).parent))

    async def close(self) -> None:
        """Let go of files and connections."""
        self._reader.close()
        await self._locations.close()


def kind_and_column(
    settings: SourceSettings, first: Path | str | None = None
) -> tuple[Literal["parquet", "table"], str]:
    """Decide whether Parquet files hold pictures, or are a table of paths or URLs, and in which column.

    Args:
        settings: of the source.
        first: the file that is looked at, if it was found before.

    Raises:
        DatagenError: there are no files, or none of the columns can be read; the message names the type.
    """
    path = first if first is not None else files_of_kind(Path(settings.path), ".parquet")[0]
    file = open_parquet(path)
    schema = file.schema_arrow
    held = {field.name: holds(field.type) for field in schema}
    if settings.column:
        if settings.column not in held:
            raise DatagenError(
                f"source.column '{settings.column}' is not in {path}: {nearest(settings.column, schema.names)}."
            )
        column = settings.column
    else:
        pictures = [name for name, what in held.items() if what == "pictures"]
        named = [name for name in COLUMNS_OF_LOCATIONS if name in held]
        if held.get("image") in ("pictures", "octets") or is_base64(file, "image"):
            column = "image"
        elif pictures:
            column = pictures[0]
        elif named:
            column = next((name for name in named if held[name] != "nothing"), named[0])
        else:
            raise DatagenError(
                f"{path} has no column with pictures, and none with a path or URL ({', '.join(COLUMNS_OF_LOCATIONS)}); "
                f"name it with source.column. It has {', '.join(schema.names)}."
            )
    refuse_unreadable(path, schema, column)
    return "table" if held[column] == "text" and not is_base64(file, column) else "parquet", column


def records_of(files: Sequence[Path | str], columns: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """List columns of every row of files; numbered labels become their names where a file says them (ClassLabel).

    Raises:
        DatagenError: a file is damaged.
    """
    for path in files:
        file = open_parquet(path)
        names = [name for name in columns if name in file.schema_arrow.names]
        labels = label_names(file.schema_arrow)
        nothing = dict.fromkeys(columns)
        try:
            for batch in file.iter_batches(columns=names):
                for record in batch.to_pylist() if names else [{}] * batch.num_rows:
                    yield nothing | {name: named(value, labels.get(name)) for name, value in record.items()}
        except (OSError, pa.ArrowException) as error:
            raise DatagenError(f"source.path: {path} is damaged ({error}); write it anew, or move it away.") from error


def label_names(schema: pa.Schema) -> dict[str, list[str]]:
    """Return the names of numbered labels, by column, where the table says them (the Hugging Face ClassLabel)."""
    if b"huggingface" not in (schema.metadata or {}):
        return {}
    import datasets

    features = datasets.Features.from_arrow_schema(schema)
    return {name: feature.names for name, feature in features.items() if isinstance(feature, datasets.ClassLabel)}


def named(value: Any, names: Sequence[str] | None) -> Any:
    """Return the name of a numbered label, or the value itself where it has none."""
    return names[value] if names and isinstance(value, int) and 0 <= value < len(names) else value


def refuse_unreadable(path: Path | str, schema: pa.Schema, column: str) -> None:
    """Make sure that a column can hold pictures or their locations.

    Raises:
        DatagenError: it cannot.
    """
    data_type = schema.field(column).type
    if holds(data_type) == "nothing":
        shown = " ".join(str(data_type).split())
        raise DatagenError(
            f"source.column '{column}' of {path} is of the type {shown}, which holds no pictures: a column must be "
            f"{ALLOWED}. Name another with source.column ({', '.join(schema.names)})."
        )


def open_parquet(path: Path | str) -> pq.ParquetFile:
    """Open a Parquet file, in a cloud too.

    Raises:
        DatagenError: it cannot be read.
    """
    try:
        return pq.ParquetFile(open_in_cloud(str(path)) if is_cloud(path) else path)
    except (OSError, pa.ArrowException, UnicodeError) as error:  # Arrow opens no file whose name is not UTF-8
        raise DatagenError(
            f"source.path: {str(path)!r} is no readable Parquet file ({error}). Write or name it anew, or move it away."
        ) from error


def is_base64(file: pq.ParquetFile, column: str) -> bool:
    """Whether a column holds pictures as base64 text, by its first rows."""
    schema = file.schema_arrow
    if column not in schema.names or holds(schema.field(column).type) != "text":
        return False
    try:
        first = next(file.iter_batches(_ROWS_LOOKED_AT, columns=[column], use_threads=False), None)
    except (OSError, pa.ArrowException):  # rows that are damaged fail one by one
        return False
    return first is not None and any(holds_picture(value) for value in first.column(0).to_pylist() if value)


def _columns(file: pq.ParquetFile, path: Path | str, group: int, columns: list[str]) -> dict[str, list[Any]]:
    try:
        return file.read_row_group(group, columns=columns).to_pydict()
    except (OSError, pa.ArrowException) as error:
        raise DatagenError(f"source.path: {path} is damaged ({error}); write it anew, or move it away.") from error
