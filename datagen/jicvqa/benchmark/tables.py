"""Tables of labelled pictures: CSV, Parquet, or a data set on the Hugging Face hub.

Needed are `id` and `category` (or `label`); `subset`, `url`, `license`, `license_url` are kept when there. Pictures
stand in a column `image` (embedded as the Hugging Face Image feature, as bytes or as base64, or a path), in `path` or
`file_name`, or behind `url`, to be downloaded; a `url` without http(s) is a path.
"""

import csv
import glob
import os
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from datagen.errors import DatagenError, system_error
from datagen.failures import Failure
from filters.errors import nearest, sentence

_ALSO_CALLED = {"category": ("category", "label", "class"), "id": ("id", "image_id", "key")}
_PATH_COLUMNS = ("image", "path", "file_name", "image_path")
_TEXTS = ("subset", "url", "license", "license_url")


class ImageRow(BaseModel):
    """One labelled picture.

    Attributes:
        number: the row's number in the table, from 0.
        id: a name for the picture that no other has.
        category: the class.
        subset: the class list, or empty when the category says it.
        path: the picture's path, or empty.
        url: where it is on the web, or empty; `license` and `license_url` say how it may be used.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)

    number: int
    id: str = Field(min_length=1, max_length=200)
    category: str = Field(min_length=1, max_length=100)
    subset: str = ""
    path: str = ""
    url: str = ""
    license: str = ""
    license_url: str = ""


class Table(Protocol):
    """A table that is open for reading."""

    @property
    def columns(self) -> Sequence[str]:
        """The names of its columns."""

    @property
    def embedded(self) -> bool:
        """Whether the pictures' bytes are in the table."""

    @property
    def local(self) -> bool:
        """Whether it is a file of the user's, whose paths may be followed."""

    def records(self) -> Iterator[Mapping[str, Any]]:
        """List the rows without pictures."""

    def picture(self, number: int) -> bytes | str:
        """Return the bytes of an embedded picture, or its path where the row has no bytes.

        Raises:
            Failure: the row has neither.
        """


class _CsvTable:
    embedded = False
    local = True

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open(encoding="utf-8-sig", newline="") as file:
            self.columns = next(csv.reader(file, delimiter=self._delimiter), [])

    def records(self) -> Iterator[Mapping[str, Any]]:
        with self._path.open(encoding="utf-8-sig", newline="") as file:
            for record in csv.DictReader(file, delimiter=self._delimiter):
                if None in record:
                    raise DatagenError(
                        f"{self._path} has more fields than columns at the row that starts with "
                        f"'{next(iter(record.values()))}'; quote fields that hold commas."
                    )
                yield record

    def picture(self, number: int) -> bytes | str:
        raise NotImplementedError("a CSV holds no pictures")

    @property
    def _delimiter(self) -> Literal[",", "\t"]:
        return "\t" if self._path.suffix == ".tsv" else ","


class _ParquetTable:
    local = True

    def __init__(self, path: Path) -> None:
        import pyarrow.parquet as pq

        from datagen.sources.parquet import is_base64
        from datagen.sources.reading.cells import ALLOWED, holds
        from datagen.sources.reading.row_groups import ColumnReader

        self._path = os.fsencode(path)
        self._file = pq.ParquetFile(path, memory_map=True)
        schema = self._file.schema_arrow
        self.columns = schema.names
        image = schema.field("image").type if "image" in schema.names else None
        if image is not None and holds(image) == "nothing":
            raise DatagenError(
                f"{path}: the column 'image' is of the type {' '.join(str(image).split())}, which holds no pictures: "
                f"it must be {ALLOWED}."
            )
        self.embedded = image is not None and (holds(image) != "text" or is_base64(self._file, "image"))
        groups = range(self._file.num_row_groups)
        self._ends = list(accumulate(self._file.metadata.row_group(group).num_rows for group in groups))
        self._images = ColumnReader("image")
        self._labels = _label_names(schema)

    def records(self) -> Iterator[Mapping[str, Any]]:
        wanted = [name for name in self.columns if not (name == "image" and self.embedded)]
        for batch in self._file.iter_batches(columns=wanted):
            for record in batch.to_pylist():
                yield {**record, **{name: _named(record[name], labels) for name, labels in self._labels.items()}}

    def picture(self, number: int) -> bytes | str:
        from datagen.sources.reading.cells import pictures_in

        group = bisect_right(self._ends, number)
        start = self._ends[group - 1] if group else 0
        return _only(pictures_in(self._images.cell(self._path, group, number - start)))


class _HubTable:
    local = False

    def __init__(self, name: str) -> None:
        import datasets

        from datagen.sources.reading.cells import holds

        splits = datasets.load_dataset(name)
        self._rows = datasets.concatenate_datasets([splits[split] for split in sorted(splits)])
        self.columns = list(self._rows.column_names)
        schema = self._rows.features.arrow_schema
        self.embedded = "image" in schema.names and holds(schema.field("image").type) in ("pictures", "octets")
        self._images: Any = self._rows.select_columns(["image"]).with_format("arrow") if self.embedded else None
        self._labels = _label_names(self._rows.features.arrow_schema)

    def records(self) -> Iterator[Mapping[str, Any]]:
        plain = self._rows.remove_columns(["image"]) if self.embedded else self._rows
        for record in plain:
            yield {**record, **{name: _named(record[name], labels) for name, labels in self._labels.items()}}

    def picture(self, number: int) -> bytes | str:
        from datagen.sources.reading.cells import pictures_in

        return _only(pictures_in(self._images[number].column(0)[0]))


def _only(pictures: Sequence[bytes | str]) -> bytes | str:
    if len(pictures) > 1:
        raise Failure("unreadable", f"the row holds {len(pictures)} pictures; a question is about one")
    return pictures[0]


def open_table(name: str) -> Table:
    """Open a table by its path, or a hub data set by its name.

    Raises:
        DatagenError: there is no such table, or it cannot be read.
    """
    path = Path(name)
    try:
        if path.suffix in {".csv", ".tsv"} and path.exists():
            return _CsvTable(path)
        if path.suffix == ".parquet" and path.exists():
            return _ParquetTable(path)
        if path.is_dir() and glob.has_magic(name):
            raise DatagenError(f"The folder {name} has characters that datasets takes for a pattern; rename it.")
        if path.is_dir() or (name.count("/") == 1 and not path.suffix):
            return _HubTable(name)
    except DatagenError:
        raise
    except Exception as error:  # readers of broken files and the hub's client raise many kinds
        reason = " ".join(str(error).split())[:300]
        raise DatagenError(f"The table {name} cannot be read ({type(error).__name__}: {reason}).") from error
    raise DatagenError(
        f"There is no table {name}; give a .csv, .tsv or .parquet file, a data set folder, or owner/name on the hub."
    )


def read_rows(table: Table, shown: str) -> list[ImageRow]:
    """Return the rows of a table.

    Args:
        table: an open table.
        shown: its name for messages.

    Raises:
        DatagenError: a column is missing, a row is not valid, or an id comes twice.
    """
    columns = {wanted: _column(table.columns, names, shown) for wanted, names in _ALSO_CALLED.items()}
    column = next(
        (name for name in _PATH_COLUMNS if name in table.columns and not (name == "image" and table.embedded)), None
    )
    rows: list[ImageRow] = []
    seen: dict[str, int] = {}
    for number, record in enumerate(_records(table, shown)):
        fields = {name: record.get(name) or "" for name in _TEXTS}
        fields |= {wanted: "" if record[name] is None else record[name] for wanted, name in columns.items()}
        fields["path"] = _path(record, column) if table.local else ""
        try:
            row = ImageRow.model_validate({"number": number, **fields})
        except ValidationError as error:
            raise DatagenError(f"{shown}, row {number + 1}: {sentence(error, ImageRow)}") from error
        if row.id in seen:
            raise DatagenError(
                f"{shown}: the id '{row.id}' stands in row {seen[row.id] + 1} and in row {number + 1}; "
                "every picture needs an id of its own."
            )
        seen[row.id] = number
        rows.append(row)
    if not rows:
        raise DatagenError(f"{shown} has no rows.")
    return rows


def _path(record: Mapping[str, Any], column: str | None) -> object:
    """Return the path of a row's picture; without a column for it, what stands in `url` when that is no URL."""
    if column:
        return record[column] or ""
    url = record.get("url") or ""
    return "" if str(url).startswith(("http://", "https://")) else url


def _records(table: Table, shown: str) -> Iterator[Mapping[str, Any]]:
    """List the rows, and say where a damaged file breaks off."""
    number = 0
    try:
        for record in table.records():
            number += 1
            yield record
    except (UnicodeDecodeError, csv.Error) as error:
        raise DatagenError(f"{shown} is no CSV in UTF-8 after row {number}: {error}. Save it as UTF-8.") from error
    except (OSError, ValueError) as error:  # pyarrow raises its own kinds of both
        if isinstance(error, OSError) and error.errno:
            raise DatagenError(system_error(error, shown)) from error
        reason = " ".join(str(error).split())[:200]
        raise DatagenError(f"{shown} cannot be read after row {number} ({reason}); the file is damaged.") from error


def _column(columns: Sequence[str], names: Sequence[str], shown: str) -> str:
    for name in names:
        if name in columns:
            return name
    raise DatagenError(f"{shown} has no column '{names[0]}': {nearest(names[0], columns)}.")


def _label_names(schema: Any) -> dict[str, list[str]]:
    """Return the names of integer labels, by column, where the table says them (the Hugging Face ClassLabel)."""
    if b"huggingface" not in (schema.metadata or {}):
        return {}
    import datasets

    features = datasets.Features.from_arrow_schema(schema)
    return {name: feature.names for name, feature in features.items() if isinstance(feature, datasets.ClassLabel)}


def _named(value: Any, names: Sequence[str]) -> Any:
    return names[value] if isinstance(value, int) and 0 <= value < len(names) else value
