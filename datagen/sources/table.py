"""A table of paths or URLs: CSV, TSV, JSON lines or Parquet."""

import asyncio
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import duckdb

from datagen import recipe
from datagen.errors import DatagenError, nearest
from datagen.sources import Entry
from datagen.sources.fetch import Fetcher
from datagen.sources.folder import read_file

_COLUMNS = ("url", "image_url", "path", "image", "file_name", "file", "filename")
_URL_SCHEMES = ("http://", "https://")
_OCCURRENCE = re.compile(r"#[0-9]+\Z")
_LISTING = """
SELECT place, row_number() OVER (PARTITION BY place ORDER BY number), url, license
FROM (SELECT {place} AS place, {url} AS url, {license} AS license, row_number() OVER () AS number FROM listing)
ORDER BY number
"""


class TableSource:
    """One image a row; relative paths are looked up from the table's folder.

    The key of an image is its path or URL as the table has it; when it comes again, `#2`, `#3` … is added (and `#1` to
    the first where the name itself ends so).
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
                texts = {"place": self._chosen(table.columns)}
                texts |= {name: name for name in ("url", "license") if name in table.columns}
                table = self._relation(connection, texts.values())
                table.create_view("listing")
                selected = {name: _text(texts.get(name)) for name in ("place", "url", "license")}
                rows = connection.execute(_LISTING.format_map(selected))
                while batch := rows.fetchmany(1024):
                    for place, occurrence, url, license_ in batch:
                        yield self._entry(place, occurrence, url, license_)
            except duckdb.Error as error:
                reason = str(error).splitlines()[0]
                raise DatagenError(
                    f"source.path: the table {self._table} cannot be read ({reason}). Tables are UTF-8: .csv and .tsv "
                    "with a header line, .jsonl with one object a line, or .parquet."
                ) from error

    async def read(self, entry: Entry) -> bytes:
        """Return the bytes of the file or URL of one row."""
        place = os.fsdecode(entry.path)
        if _is_url(place):
            return await self._fetcher.fetch(place)
        return await asyncio.to_thread(read_file, entry.path, self._max_bytes)

    async def close(self) -> None:
        """Close the connections."""
        await self._fetcher.close()

    def _relation(self, connection: duckdb.DuckDBPyConnection, texts: Iterable[str] = ()) -> duckdb.DuckDBPyRelation:
        """Open the table; of JSON, the columns `texts` alone, as they are written (names may look like dates)."""
        name = re.sub(r"([*?\[])", r"[\1]", str(self._table))
        suffix = self._table.suffix.lower()
        if suffix == ".parquet" or self._table.is_dir():
            return connection.read_parquet(name if self._table.is_file() else f"{name}/**/*.parquet")
        if suffix in (".csv", ".tsv"):
            return connection.read_csv(name, header=True, all_varchar=True)
        return connection.read_json(name, columns=dict.fromkeys(texts, "VARCHAR") or None)

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
        key = f"{place}#{occurrence}" if occurrence > 1 or _OCCURRENCE.search(place) else place
        if _is_url(place):
            return Entry(key, place.encode(), url=place, license=license_)
        return Entry(key, os.fsencode(self._table.parent / place), url=url, license=license_)


def _is_url(place: str) -> bool:
    return place.lower().startswith(_URL_SCHEMES)


def _text(column: str | None) -> str:
    """Return SQL for the text of a column, empty where there is none."""
    if column is None:
        return "''"
    quoted = column.replace('"', '""')
    return f"coalesce(CAST(\"{quoted}\" AS VARCHAR), '')"
