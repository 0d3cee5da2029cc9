"""A table of paths or URLs: CSV, TSV, JSON lines or Parquet."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from datagen.errors import DatagenError
from datagen.failures import Failure
from datagen.files.plain_names import plain_names
from datagen.recipe import SourceSettings
from datagen.sources import Entry, Loaded
from datagen.sources.folder import files_of_kind
from datagen.sources.parquet import COLUMNS_OF_LOCATIONS, open_parquet, records_of, refuse_unreadable
from datagen.sources.reading.cells import holds
from datagen.sources.reading.csv_tables import csv_options, csv_reason
from datagen.sources.reading.facts import FACTS, facts_of
from datagen.sources.reading.locations import Locations, is_url, located
from filters.errors import nearest

_OCCURRENCE = re.compile(r"#[0-9]+\Z")
_LISTING = """
SELECT number, location, row_number() OVER (PARTITION BY location ORDER BY number), url, license, latitude, longitude
FROM (
    SELECT row_number() OVER () AS number, {location} AS location, {url} AS url, {license} AS license,
        {latitude} AS latitude, {longitude} AS longitude
    FROM listing
)
ORDER BY number
"""


class TableSource:
    """One image a row; relative paths are looked up from the table's folder.

    The key of an image is its path or URL as the table has it; when it comes again, `#2`, `#3` … is added (and `#1` to
    the first where the name itself ends so).
    Columns `url` and `license` are kept in the rows; `latitude` and `longitude` are what a survey goes by.
    """

    def __init__(self, settings: SourceSettings, max_bytes: int) -> None:
        self._table = Path(settings.path)
        self._settings = settings
        self._locations = Locations(max_bytes, settings.allow_private_hosts)
        self.passed_over: Counter[str] = Counter()

    @cached_property
    def column(self) -> str:
        """The column with the locations."""
        columns = self._columns
        wanted = [self._settings.column] if self._settings.column else COLUMNS_OF_LOCATIONS
        for name in wanted:
            if name in columns:
                return name
        if self._settings.column:
            raise DatagenError(
                f"source.column '{self._settings.column}' is not in {self._table}: "
                f"{nearest(self._settings.column, columns)}."
            )
        raise DatagenError(
            f"{self._table} has no column with a path or URL ({', '.join(COLUMNS_OF_LOCATIONS)}); name it with "
            f"source.column. It has {', '.join(columns)}."
        )

    def entries(self) -> Iterator[Entry]:
        """List the rows."""
        self.passed_over.clear()
        columns = self._columns
        texts = {"location": self.column} | {name: name for name in FACTS if name in columns}
        selected = {name: _text(texts.get(name)) for name in ("location", *FACTS)}
        with self._opened() as (connection, name):
            self._relation(connection, name, list(dict.fromkeys(texts.values()))).create_view("listing")
            rows = connection.execute(_LISTING.format_map(selected))
            while batch := rows.fetchmany(1024):
                for row in batch:
                    yield self._entry(*row)

    @property
    def columns(self) -> list[str]:
        """The names of all columns."""
        return list(self._columns)

    def records(self, columns: Sequence[str]) -> Iterator[Mapping[str, Any]]:
        """List columns of every row, as text."""
        if self._is_parquet:
            yield from records_of(files_of_kind(self._table, ".parquet"), columns)
            return
        if not columns:
            return
        with self._opened() as (connection, name):
            self._relation(connection, name, list(columns)).create_view("listing")
            rows = connection.execute("SELECT * FROM listing")
            place_of = {description[0]: place for place, description in enumerate(rows.description or ())}
            while batch := rows.fetchmany(1024):
                for row in batch:
                    yield {column: row[place_of[column]] for column in columns}

    async def read(self, entry: Entry) -> Loaded:
        """Return the picture of the file or URL of one row."""
        return Loaded((await self._locations.read(entry.path),))

    async def close(self) -> None:
        """Close the connections."""
        await self._locations.close()

    @contextmanager
    def _opened(self) -> Iterator[tuple[duckdb.DuckDBPyConnection, str]]:
        """Yield a connection, and the name that the table has for it."""
        with plain_names(self._table) as (name,), duckdb.connect() as connection:
            try:
                yield connection, name
            except duckdb.Error as error:
                reason = str(error).splitlines()[0]
                if self._table.suffix.lower() in (".csv", ".tsv"):
                    reason = csv_reason(self._table, str(error))
                reason = reason.replace(name, str(self._table))
                raise DatagenError(
                    f"source.path: the table {self._table} cannot be read ({reason}). Tables are UTF-8: .csv and .tsv "
                    "with a header line, .jsonl with one object a line, or .parquet."
                ) from error

    @cached_property
    def _pictures_folder(self) -> Path:
        return self._table if self._table.is_dir() else self._table.parent

    @cached_property
    def _is_parquet(self) -> bool:
        return self._table.is_dir() or self._table.suffix.lower() == ".parquet"

    @cached_property
    def _columns(self) -> list[str]:
        """The columns of the table; of several files, those that any of them has."""
        if self._is_parquet:
            files = files_of_kind(self._table, ".parquet")
            return list(dict.fromkeys(name for path in files for name in open_parquet(path).schema_arrow.names))
        with self._opened() as (connection, name):
            return self._relation(connection, name, []).columns

    def _relation(
        self, connection: duckdb.DuckDBPyConnection, name: str, columns: list[str]
    ) -> duckdb.DuckDBPyRelation:
        """Open the table; of JSON and Parquet these columns alone, as they are written (names may look like dates)."""
        if self._is_parquet:
            return connection.from_arrow(self._batches(columns))
        if self._table.suffix.lower() in (".csv", ".tsv"):
            options = csv_options(self._table)
            return connection.read_csv(name, header=True, all_varchar=True, hive_partitioning=False, **options)
        types = dict.fromkeys(columns, "VARCHAR") or None
        return connection.read_json(name, columns=types, hive_partitioning=False)

    def _batches(self, columns: list[str]) -> pa.RecordBatchReader:
        """Read columns of all files as text; one that a file lacks is empty there.

        Raises:
            DatagenError: a file has no locations.
        """
        files = files_of_kind(self._table, ".parquet", self.passed_over)
        schema = pa.schema([(name, pa.string()) for name in columns])
        for path in files:
            found = open_parquet(path).schema_arrow
            if self.column not in found.names:
                raise DatagenError(
                    f"source.path: {path} has no column '{self.column}', as {files[0]} has; move it out of the source, "
                    "or name another column with source.column."
                )
            data_type = found.field(self.column).type
            if pa.types.is_null(data_type) and path != files[0]:
                continue  # its rows are empty, and fail one by one
            refuse_unreadable(path, found, self.column)
            if holds(data_type) != "text":
                raise DatagenError(
                    f"source.column '{self.column}' of {path} holds pictures, not paths or URLs; set source.kind: "
                    "parquet."
                )

        def batches() -> Iterator[pa.RecordBatch]:
            for path in files:
                file = open_parquet(path)
                names = [name for name in columns if name in file.schema_arrow.names]
                for batch in file.iter_batches(columns=names):
                    texts = [
                        _texts(batch.column(name)) if name in names else pa.nulls(batch.num_rows, pa.string())
                        for name in columns
                    ]
                    yield pa.record_batch(texts, schema=schema)

        return pa.RecordBatchReader.from_batches(schema, batches())

    def _entry(self, number: int, location: str, occurrence: int, *facts: str) -> Entry:
        try:
            path = located(location, self._pictures_folder)
        except Failure as failure:
            raise DatagenError(f"source.path: row {number} of {self._table}: {failure.message}.") from failure
        key = f"{location}#{occurrence}" if occurrence > 1 or _OCCURRENCE.search(location) else location
        said = facts_of(dict(zip(FACTS, facts, strict=True)))
        return Entry(key, path, **(said | {"url": location} if is_url(location) else said))


def _texts(values: "pa.Array[Any]") -> "pa.Array[Any]":
    """Return values as text, lists and the like as Python writes them."""
    try:
        return values.cast(pa.string())
    except pa.ArrowException:
        return pa.array([None if value is None else str(value) for value in values.to_pylist()], pa.string())


def _text(column: str | None) -> str:
    """Return SQL for the text of a column, empty where there is none."""
    if column is None:
        return "''"
    quoted = column.replace('"', '""')
    return f"coalesce(CAST(\"{quoted}\" AS VARCHAR), '')"
