"""A Hugging Face data set: saved with `save_to_disk`, or named on the hub."""

import asyncio
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from datagen.errors import DatagenError
from datagen.failures import Failure
from datagen.recipe import SourceSettings
from datagen.sources import Entry, Loaded
from datagen.sources.parquet import label_names, named
from datagen.sources.reading.cells import ALLOWED, holds, pictures_in
from datagen.sources.reading.facts import FACTS, facts_of
from datagen.sources.reading.locations import Locations
from filters.errors import nearest


class DatasetSource:
    """One image a row; the key is the row's number. The data set is memory-mapped, so reading a row is cheap."""

    def __init__(self, settings: SourceSettings, max_bytes: int) -> None:
        self._settings = settings
        self._locations = Locations(max_bytes, settings.allow_private_hosts)
        self.passed_over: Counter[str] = Counter()

    @cached_property
    def _loaded(self) -> Any:
        """The data set as Arrow has it, so that no picture is decoded."""
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
            return loaded.with_format("arrow")
        except DatagenError:
            raise
        except Exception as error:  # the hub client raises many kinds
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise DatagenError(f"source.path: the data set {settings.path} cannot be loaded ({reason}).") from error

    @cached_property
    def column(self) -> str:
        """The column of the pictures."""
        schema = self._loaded.features.arrow_schema
        column = self._settings.column
        if column and column not in schema.names:
            raise DatagenError(f"source.column '{column}' is not in the data set: {nearest(column, schema.names)}.")
        found = [field.name for field in schema if holds(field.type) == "pictures"]
        chosen = column or next((name for name in ("image", *found) if name in found), None)
        if chosen is None:
            raise DatagenError(
                "source.path: the data set has no image column; name one with source.column: "
                f"{', '.join(schema.names)}."
            )
        if holds(schema.field(chosen).type) == "nothing":
            raise DatagenError(
                f"source.column '{chosen}' of the data set is of the type {schema.field(chosen).type}, which holds no "
                f"pictures: a column must be {ALLOWED}. Name another with source.column ({', '.join(schema.names)})."
            )
        return chosen

    @cached_property
    def _pictures(self) -> Any:
        return self._loaded.select_columns([self.column])

    def entries(self) -> Iterator[Entry]:
        """List the rows."""
        loaded = self._loaded.with_format(None)
        kept = [name for name in FACTS if name in loaded.column_names and name != self.column]
        texts = loaded.select_columns(kept) if kept else None
        for row in range(len(loaded)):
            extra: dict[str, Any] = texts[row] if texts is not None else {}
            yield Entry(f"{self._settings.split}#{row}", os.fsencode(self._settings.path), row, **facts_of(extra))

    @property
    def columns(self) -> list[str]:
        """The names of all columns."""
        return list(self._loaded.column_names)

    def records(self, columns: Sequence[str]) -> Iterator[Mapping[str, Any]]:
        """List columns of every row; numbered labels become their names."""
        labels = label_names(self._loaded.features.arrow_schema)
        for record in self._loaded.with_format(None).select_columns(list(columns)):
            yield {name: named(value, labels.get(name)) for name, value in record.items()}

    async def read(self, entry: Entry) -> Loaded:
        """Return the pictures of one row; a path, where one has no bytes, is looked up from the data set's folder."""
        try:
            cell = await asyncio.to_thread(self._cell, entry.row)
        except (OSError, IndexError, pa.ArrowException) as error:
            raise Failure("unreadable", f"row {entry.row} cannot be read: {error}") from error
        return Loaded(await self._locations.read_all(pictures_in(cell), Path(self._settings.path)))

    async def close(self) -> None:
        """Close the connections; nothing else is held open but the memory map."""
        await self._locations.close()

    def _cell(self, row: int) -> "pa.Scalar[Any]":
        cell: pa.Scalar[Any] = self._pictures[row].column(0)[0]
        return cell
