"""Labelled pictures, read by the same sources as those of a run.

Labels stand in a column (`category`, `label`, `class`), or are the folders that the pictures lie in (`桜/001.jpg`, also
below `train/`), or stand in the metadata file of an ImageFolder. Kept when there: `id`, `subset`, `url`, `license`,
`license_url`.
"""

import json
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from datagen.errors import DatagenError
from datagen.jicvqa.benchmark.splits import SPLITS, Labels, Part, PictureAt, Rows, of_split, parts_of
from datagen.recipe import Images
from datagen.sources import Entry, open_source
from datagen.sources.reading.locations import is_url
from datagen.survey.photos import photo_id
from filters.errors import nearest, sentence

_LABELS = ("category", "label", "class", "labels")
_IDS = ("id", "image_id", "key")
_LOCATIONS = ("image", "path", "file_name", "image_path", "file", "filename", "url", "image_url")
_TEXTS = ("subset", "url", "license", "license_url")
_MADE_ID = "row "


class ImageRow(BaseModel):
    """One labelled picture.

    Attributes:
        number: the row's number among those that were read, from 0.
        id: a name for the picture that no other has.
        category: the class.
        subset: the class list, or empty when the category says it.
        url: where it is on the web, or empty; `license` and `license_url` say how it may be used.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)

    number: int
    id: str = Field(min_length=1, max_length=200)
    category: str = Field(min_length=1, max_length=100)
    subset: str = ""
    url: str = ""
    license: str = ""
    license_url: str = ""

    @property
    def has_own_id(self) -> bool:
        """Whether the table names the picture; where it does not, the build does once it has read it."""
        return not self.id.startswith(_MADE_ID)


@dataclass
class Labelled:
    """A table of labelled pictures that was read.

    Attributes:
        shown: its name for messages.
        rows: all rows, in their order.
        pictures: by row number, where the pictures are; empty when the table has no column with pictures.
        cleaned: how many labels had spaces around them, or letters taken apart (NFD).
    """

    shown: str
    rows: list[ImageRow] = field(default_factory=list)
    pictures: list[PictureAt] = field(default_factory=list)
    cleaned: int = 0

    def photo(self, row: ImageRow) -> str:
        """Return the id that Flickr gave a row's photo, by its URL, its file or its own id; empty if it has none."""
        names = (row.url, self.pictures[row.number].entry.key, f"{row.id}.jpg")
        return next(filter(None, map(photo_id, names)), "")


BY_THEMSELVES = Labels()


def read_labelled(name: str, labels: Labels = BY_THEMSELVES) -> Labelled:
    """Read the labels of a table, and where its pictures are.

    Args:
        name: a table (CSV, TSV, JSON lines, Parquet), a folder of pictures by class, an ImageFolder, a data set saved
            by `datasets`, or the name of one on the hub.
        labels: how they are read.

    Raises:
        DatagenError: there is no such table, it cannot be read, or a row is not valid.
    """
    found = Labelled(name)
    try:
        for part in parts_of(name, labels):
            _read_part(part, labels, found)
    except DatagenError as error:
        # The sources speak of the fields of a recipe.
        said = str(error).removeprefix("source.path: ").replace("source.column", "--image-column")
        raise DatagenError(said) from error
    if not found.rows:
        raise DatagenError(f"{name} has no rows.")
    seen: dict[str, int] = {}
    for row in found.rows:
        if row.id in seen:
            raise DatagenError(
                f"{name}: the id '{row.id}' stands in row {seen[row.id] + 1} and in row {row.number + 1}; "
                "every picture needs an id of its own."
            )
        seen[row.id] = row.number
    return found


def read_label_names(path: Path) -> tuple[str, ...]:
    """Read the names of numbered labels: a JSON list, or one name a line.

    Raises:
        DatagenError: the file cannot be read, or is no list of names.
    """
    try:
        text = path.read_text(encoding="utf-8")
        names = json.loads(text) if path.suffix.lower() == ".json" else [line.strip() for line in text.splitlines()]
    except OSError as error:
        raise DatagenError(f"--label-names {path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise DatagenError(f"--label-names {path} is no list of names in UTF-8: {error}.") from error
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise DatagenError(f"--label-names {path}: give a JSON list of names, or one name a line, from label 0 on.")
    return tuple(names)


def _read_part(part: Part, labels: Labels, found: Labelled) -> None:
    rows = _by_folder(part, found.shown) if part.by_folder else _by_column(part, labels.column, found.shown)
    if part.split != "all":
        rows = of_split(rows, part.split, found.shown)
    for record, picture in rows:
        number = len(found.rows)
        label = record.get("category")
        if isinstance(label, int) or (isinstance(label, str) and label.isdigit() and labels.names):
            label = _named(int(label), labels.names, found.shown, number)
        if isinstance(label, str):
            cleaned = unicodedata.normalize("NFC", label).strip()
            found.cleaned += cleaned != label
            label = cleaned
        identity = record.get("id")
        fields: dict[str, Any] = {name: record.get(name) or "" for name in _TEXTS}
        fields["category"] = "" if label is None else label
        fields["id"] = f"{_MADE_ID}{number}" if identity is None and "id" not in record else identity or ""
        if identity == 0:
            fields["id"] = identity
        if not is_url(str(fields["url"])):  # a path tells the class as often as not, and is of use to nobody else
            fields["url"] = picture.url if picture else ""
        try:
            found.rows.append(ImageRow.model_validate({"number": number, **fields}))
        except ValidationError as error:
            raise DatagenError(f"{found.shown}, row {number + 1}: {sentence(error, ImageRow)}") from error
        if picture:
            found.pictures.append(picture)


def _by_folder(part: Part, shown: str) -> Rows:
    source = open_source(part.settings, Images().max_bytes)
    for entry in source.entries():
        folders = entry.key.split("/")[:-1]
        if not folders or (len(folders) == 1 and folders[0] in SPLITS):
            raise DatagenError(
                f"{shown}: the picture {entry.key} lies in no folder that names its class; put pictures into one "
                "folder a class (桜/001.jpg), or give a table with a column 'category'."
            )
        yield {"category": folders[-1]}, PictureAt(source, entry)


def _by_column(part: Part, label_column: str | None, shown: str) -> Rows:
    source: Any = open_source(part.settings, Images().max_bytes)
    if not hasattr(source, "records"):
        raise DatagenError(f"{shown} is of the kind {part.settings.kind}, whose pictures have no labels; give a table.")
    columns: list[str] = source.columns
    if label_column and label_column not in columns:
        raise DatagenError(
            f"{shown} has no column '{label_column}' (--label-column): {nearest(label_column, columns)}."
        )
    wanted = {"category": label_column or _column(columns, _LABELS), "id": _column(columns, _IDS)}
    if wanted["category"] is None:
        raise DatagenError(f"{shown} has no column 'category': {nearest('category', columns)} (--label-column).")
    kept = {name: column for name, column in wanted.items() if column}
    kept |= {name: name for name in _TEXTS if name in columns}
    if part.settings.kind in ("table", "conversations"):
        location = part.settings.column or _column(columns, _LOCATIONS)
        source = (
            location and open_source(part.settings.model_copy(update={"column": location}), Images().max_bytes)
        ) or source
        entries: Iterator[Entry | None] = source.entries() if location else _nothing()
    else:
        entries = source.entries()
    records = source.records(list(dict.fromkeys(kept.values())))
    for entry, record in zip(entries, records, strict=False):
        picture = PictureAt(source, entry) if entry else None
        yield {name: record[column] for name, column in kept.items()}, picture


def _nothing() -> Iterator[None]:
    while True:
        yield None


def _column(columns: Sequence[str], names: Sequence[str]) -> str | None:
    return next((name for name in names if name in columns), None)


def _named(label: int, names: Sequence[str], shown: str, number: int) -> str:
    if not names:
        raise DatagenError(
            f"{shown}, row {number + 1}: the label is the number {label}, and the table does not say what the numbers "
            "mean; give a file with their names with --label-names."
        )
    if not 0 <= label < len(names):
        raise DatagenError(f"{shown}, row {number + 1}: the label {label} is not among the {len(names)} label names.")
    return names[label]
