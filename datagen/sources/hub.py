"""A data set on the Hugging Face hub: Parquet row by row, as it is asked for; all else downloaded by `datasets`.

Which files make up the split, and of which commit, is decided once, when it is listed; the entries name both. A picture
is read with the batch of the row group that it is in, so that ten rows of a large set cost ten rows.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from datagen.errors import DatagenError
from datagen.recipe import SourceSettings
from datagen.sources import Entry, Loaded
from datagen.sources.dataset import DatasetSource
from datagen.sources.reading.cloud_parquet import HubParquet
from filters.errors import nearest


class HubSource:
    """One image a row."""

    def __init__(self, settings: SourceSettings, max_bytes: int) -> None:
        self._settings = settings
        self._max_bytes = max_bytes
        self.passed_over: Counter[str] = Counter()

    @cached_property
    def _source(self) -> HubParquet | DatasetSource:
        urls = self._urls()
        if urls and all(url.endswith(".parquet") for url in urls):
            return HubParquet(self._settings, self._max_bytes, urls)
        return DatasetSource(self._settings, self._max_bytes)

    @property
    def column(self) -> str:
        """The column of the pictures."""
        return self._settings.column or self._source.column

    def entries(self) -> Iterator[Entry]:
        """List the rows."""
        return self._source.entries()

    @property
    def columns(self) -> list[str]:
        """The names of all columns."""
        return self._source.columns

    def records(self, columns: Sequence[str]) -> Iterator[Mapping[str, Any]]:
        """List columns of every row; numbered labels become their names."""
        return self._source.records(columns)

    async def read(self, entry: Entry) -> Loaded:
        """Return the pictures of one row."""
        if entry.row_group >= 0 and "_source" not in vars(self):
            self._source = HubParquet(self._settings, self._max_bytes, [])  # the entry says where its row is
        return await self._source.read(entry)

    async def close(self) -> None:
        """Let go of files and connections."""
        if "_source" in vars(self):
            await self._source.close()

    def _urls(self) -> list[str]:
        """Return the files of the split, as URLs that name the commit."""
        import datasets

        name, split = self._settings.path, self._settings.split
        try:
            files = datasets.load_dataset_builder(name).config.data_files or {}
        except Exception as error:  # the hub's client raises many kinds
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise DatagenError(f"source.path: the data set {name} cannot be loaded ({reason}).") from error
        if split not in files:
            raise DatagenError(f"source.split '{split}': {nearest(split, list(map(str, files)))}.")
        return [str(url) for url in files[split]]
