"""A Hugging Face data set: saved with `save_to_disk`, or named on the hub."""

import asyncio
import os
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import pyarrow as pa

from datagen import recipe
from datagen.errors import DatagenError, nearest
from datagen.failures import Failure
from datagen.sources import Entry
from datagen.sources.folder import read_file


class DatasetSource:
    """One image a row; the key is the row's number. The data set is memory-mapped, so reading a row is cheap."""

    def __init__(self, settings: recipe.Source, max_bytes: int) -> None:
        self._settings = settings
        self._max_bytes = max_bytes

    @cached_property
    def _dataset(self) -> Any:
        """The data set without the columns that are not read; its pictures are not decoded."""
        import datasets

        settings = self._settings
        try:
            if settings.kind != "hub":
                loaded = datasets.load_from_disk(settings.path)
            else:
                loaded = datasets.load_dataset(settings.path, split=settings.split)
            if isinstance(loaded, datasets.DatasetDict):
                if settings.split not in loaded:
                    raise DatagenError(f"source.split '{settings.split}': {nearest(settings.split, loaded)}.")
                loaded = loaded[settings.split]
            column = self._column(loaded.features)
            read = [name for name in ("url", "license") if name in loaded.column_names and name != column]
            return loaded.select_columns([column, *read]).cast_column(column, datasets.Image(decode=False))
        except DatagenError:
            raise
        except Exception as error:  # the hub client raises many kinds
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise DatagenError(f"source.path: the data set {settings.path} cannot be loaded ({reason}).") from error

    def _column(self, features: dict[str, Any]) -> str:
        import datasets

        column = self._settings.column
        if column and column not in features:
            raise DatagenError(f"source.column '{column}' is not in the data set: {nearest(column, features)}.")
        pictures = [column] if column else [name for name in features if isinstance(features[name], datasets.Image)]
        if not pictures:
            raise DatagenError(
                f"source.path: the data set has no image column; name one with source.column: {', '.join(features)}."
            )
        return pictures[0]

    def entries(self) -> Iterator[Entry]:
        """List the rows."""
        dataset = self._dataset
        kept = dataset.column_names[1:]
        texts = dataset.select_columns(kept) if kept else None
        for row in range(len(dataset)):
            extra: dict[str, Any] = texts[row] if texts is not None else {}
            url, license_ = str(extra.get("url") or ""), str(extra.get("license") or "")
            yield Entry(
                f"{self._settings.split}#{row}", os.fsencode(self._settings.path), row, url=url, license=license_
            )

    async def read(self, entry: Entry) -> bytes:
        """Return the picture of one row."""
        return await asyncio.to_thread(self._read, entry.row)

    async def close(self) -> None:
        """Nothing is held open but the memory map."""

    def _read(self, row: int) -> bytes:
        dataset = self._dataset
        try:
            cell = dataset[row][dataset.column_names[0]] or {}
        except (OSError, pa.ArrowException) as error:
            raise Failure("unreadable", f"row {row} cannot be read: {error}") from error
        if cell.get("bytes"):
            return bytes(cell["bytes"])
        if not cell.get("path"):
            raise Failure("unreadable", f"row {row} has no picture")
        return read_file(os.fsencode(cell["path"]), self._max_bytes)
