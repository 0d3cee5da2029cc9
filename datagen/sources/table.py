"""A table of paths or URLs: CSV, TSV, JSON lines or Parquet."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import duckdb

from datagen import recipe
from datagen.errors import DatagenError, nearest
from datagen.sources import Entry
from datagen.sources.fetch import Fetcher
from datagen.sources.folder import read_file

_COLUMNS = ("url", "image_url", "path", "image", "file_name", "file", "filename")
_URL_SCHEMES = ("http://", "https://")


class TableSource:
    """One image a row; relative paths are looked up from the table's folder.

    The key of an image is its path or URL as the table has it; when it comes again, `#2`, `#3` … is added.
    Columns `url` and `license` are kept in the rows.
    """

    def __init__(self, settings: recipe.Source, max_bytes: int) -> None:
        self._table = Path(settings.path)
        self._column = settings.column
        self._max_bytes = max_bytes
        self._fetcher = Fetcher(max_bytes, settings.allow_private_hosts)

    def entries(self) -> Iterator[Entry]:
        """List the rows."""
        with duckdb.connect() as connection:
            try:
                table = self._relation(connection)
                column = self._chosen(table.columns)
                table.create_view("listing")
                optional = [name if name in table.columns else f"'' AS {name}" for name in ("url", "license")]
                rows = connection.execute(
                    f'SELECT place, occurrence, {", ".join(optional)} FROM (SELECT *, CAST("{column}" AS VARCHAR) '  # noqa: S608
                    f'AS place, row_number() OVER () AS number, row_number() OVER (PARTITION BY "{column}") '
                    "AS occurrence FROM listing) ORDER BY number"
                )
                while batch := rows.fetchmany(1024):
                    for place, occurrence, url, license_ in batch:
                        yield self._entry(place or "", occurrence, url or "", license_ or "")
            except duckdb.Error as error:
                reason = str(error).splitlines()[0]
                raise DatagenError(f"source.path: the table {self._table} cannot be read: {reason}") from error

    async def read(self, entry: Entry) -> bytes:
        """Return the bytes of the file or URL of one row."""
        place = os.fsdecode(entry.path)
        if place.startswith(_URL_SCHEMES):
            return await self._fetcher.fetch(place)
        return await asyncio.to_thread(read_file, entry.path, self._max_bytes)

    async def close(self) -> None:
        """Close the connections."""
        await self._fetcher.close()

    def _relation(self, connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyRelation:
        name = str(self._table)
        if self._table.suffix == ".parquet" or self._table.is_dir():
            return connection.read_parquet(name if self._table.is_file() else f"{name}/**/*.parquet")
        if self._table.suffix in (".csv", ".tsv"):
            return connection.read_csv(name, header=True, all_varchar=True)
        return connection.read_json(name)

    def _chosen(self, columns: list[str]) -> str:
        wanted = [self._column] if self._column else _COLUMNS
        for name in wanted:
            if name in columns:
                return name
        if self._column:
            raise DatagenError(
                f"source.column '{self._column}' is not in {self._table}: {nearest(self._column, columns)}."
            )
        raise DatagenError(
            f"{self._table} has no column with a path or URL ({', '.join(_COLUMNS)}); name it with source.column. "
            f"It has {', '.join(columns)}."
        )

    def _entry(self, place: str, occurrence: int, url: str, license_: str) -> Entry:
        key = place if occurrence == 1 else f"{place}#{occurrence}"
        if place.startswith(_URL_SCHEMES):
            return Entry(key, place.encode(), url=place, license=license_)
        return Entry(key, os.fsencode(self._table.parent / place), url=url, license=license_)
