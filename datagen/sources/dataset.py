"""A Hugging Face data set: saved with `save_to_disk`, or named on the hub."""

import asyncio
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from datagen import recipe
from datagen.errors import DatagenError, nearest
from datagen.failures import Failure
from datagen.sources import Entry


class DatasetSource:
    """One image a row; the key is the row's number. The data set is memory-mapped, so reading a row is cheap."""

    def __init__(self, settings: recipe.Source) -> None:
        self._settings = settings

    @cached_property
    def _dataset(self) -> Any:
        import datasets

        settings = self._settings
        try:
            if settings.kind != "hub":
                loaded = datasets.load_from_disk(settings.path)
            else:
                loaded = datasets.load_dataset(settings.path, split=settings.split)
        except Exception as error:  # the hub client raises many kinds
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise DatagenError(f"source.path: the data set {settings.path} cannot be loaded: {reason}") from error
        if isinstance(loaded, datasets.DatasetDict):
            if settings.split not in loaded:
                raise DatagenError(f"source.split '{settings.split}': {nearest(settings.split, loaded)}.")
            loaded = loaded[settings.split]
        return loaded.cast_column(self._column(loaded.features), datasets.Image(decode=False))

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
        kept = [name for name in ("url", "license") if name in dataset.column_names]
        texts = dataset.select_columns(kept) if kept else None
        for row in range(len(dataset)):
            extra: dict[str, Any] = texts[row] if texts is not None else {}
            url, license_ = str(extra.get("url") or ""), str(extra.get("license") or "")
            yield Entry(f"{self._settings.split}#{row}", self._settings.path.encode(), row, url=url, license=license_)

    async def read(self, entry: Entry) -> bytes:
        """Return the picture of one row."""
        return await asyncio.to_thread(self._read, entry.row)

    async def close(self) -> None:
        """Nothing is held open but the memory map."""

    def _read(self, row: int) -> bytes:
        dataset = self._dataset
        cell = dataset[row][self._column(dataset.features)]
        try:
            data = cell["bytes"] or Path(cell["path"]).read_bytes()
        except (OSError, TypeError) as error:
            raise Failure("unreadable", f"row {row} has no picture: {error}") from error
        return bytes(data)
