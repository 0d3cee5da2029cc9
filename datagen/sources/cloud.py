"""Pictures in a cloud, by a URL of fsspec: s3://, gs://, hf://; files of pictures, or Parquet with them in a column.

Listing reads names, and of Parquet the ends of the files; a picture is read when its turn comes, of Parquet no more
than the batch that it is in. Parquet decides, where both are there.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from datagen.errors import DatagenError
from datagen.failures import Failure
from datagen.files.clouds import files_in, filesystem, is_cloud
from datagen.recipe import SourceSettings
from datagen.sources import Entry, Loaded
from datagen.sources.folder import is_input
from datagen.sources.parquet import kind_and_column
from datagen.sources.reading.cloud_parquet import CloudParquet, below


class CloudSource:
    """One image a file or a row."""

    def __init__(self, settings: SourceSettings, max_bytes: int) -> None:
        if not is_cloud(settings.path):
            raise DatagenError(f"source.path {settings.path} is no URL in a cloud; give s3://…, gs://… or hf://….")
        self._settings = settings
        self._max_bytes = max_bytes
        self.passed_over: Counter[str] = Counter()

    @cached_property
    def _found(self) -> list[str]:
        return files_in(self._settings.path)

    @cached_property
    def _parquet(self) -> CloudParquet:
        urls = [url for url in self._found if url.lower().endswith(".parquet")]
        return CloudParquet(self._settings, self._max_bytes, urls)

    @cached_property
    def column(self) -> str | None:
        """The column of the pictures, where there is Parquet."""
        if self._settings.column or not self._parquet.files():
            return self._settings.column
        kind, column = kind_and_column(self._settings, self._parquet.files()[0])
        if kind == "table":
            raise DatagenError(
                f"source.path: the column {column} of {self._parquet.files()[0]} says where pictures are and has "
                "none; copy the table to a disk, and name it as a table."
            )
        return column

    def entries(self) -> Iterator[Entry]:
        """List the pictures."""
        self.passed_over.clear()
        if self._parquet.files():
            yield from self._parquet.entries()
            return
        for url in self._found:
            if is_input(PurePosixPath(url).name.encode()):
                yield Entry(below(self._settings.path, url), url.encode())
            else:
                self.passed_over[PurePosixPath(url).suffix or "no suffix"] += 1

    @property
    def columns(self) -> list[str]:
        """The names of all columns; none where there is no Parquet."""
        return self._parquet.columns

    def records(self, columns: Sequence[str]) -> Iterator[Mapping[str, Any]]:
        """List columns of every row."""
        return self._parquet.records(columns)

    async def read(self, entry: Entry) -> Loaded:
        """Return the pictures of one file or row."""
        if entry.row_group >= 0:
            return await self._parquet.read(entry)
        return Loaded((await asyncio.to_thread(self._picture, os.fsdecode(entry.path)),))

    async def close(self) -> None:
        """Let go of files and connections."""
        if "_parquet" in vars(self):
            await self._parquet.close()

    def _picture(self, url: str) -> bytes:
        try:
            system, path = filesystem(url)
            with system.open(path, "rb") as file:
                data: bytes = file.read(self._max_bytes + 1)
        except DatagenError as error:
            raise Failure("unreadable", str(error)) from error
        except Exception as error:  # clients of clouds raise many kinds
            raise Failure("unreadable", f"{url}: {' '.join(str(error).split())[:200]}") from error
        if len(data) > self._max_bytes:
            raise Failure("too_large", f"{url} has more than {self._max_bytes:,} bytes")
        return data
