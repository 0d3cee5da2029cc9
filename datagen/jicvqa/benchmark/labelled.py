"""Labelled pictures, read by the same sources as those of a run.

Labels stand in a column (`category`, `label`, `class`), or are the folders that the pictures lie in (`桜/001.jpg`, also
below `train/`), or stand in the metadata file of an ImageFolder. Kept when there: `id`, `subset`, `url`, `license`,
`license_url`.
"""

import json
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from datagen.errors import DatagenError
from datagen.recipe import Images, SourceSettings
from datagen.sources import Entry, Source, open_source, settled
from datagen.sources.reading.locations import is_url
from filters.errors import nearest, sentence

_LABELS = ("category", "label", "class", "labels")
_IDS = ("id", "image_id", "key")
_LOCATIONS = ("image", "path", "file_name", "image_path", "file", "filename", "url", "image_url")
_TEXTS = ("subset", "url", "license", "license_url")
_METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
_SPLITS = ("train", "test", "validation", "val", "valid", "dev", "eval")
_SPLIT_OF_FILE = re.compile(rf"(?:^|/)({'|'.join(_SPLITS)})[-_.]")
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


class PictureAt(NamedTuple):
    """Where a row's picture is: a source and its entry."""

    source: Source
    entry: Entry

    @property
    def url(self) -> str:
        """The URL that the picture is to be fetched from; empty when it is here."""
        location = os.fsdecode(self.entry.path)
        return location if self.entry.row < 0 and is_url(location) else ""


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


class Labels(NamedTuple):
    """How labels are read.

    Attributes:
        split: which one, `all` for all of them, empty where there is one.
        names: of numbered labels.
        column: with the labels; found when it is named category, label or class.
        image_column: with the pictures, paths or URLs; found by itself when it is named image, path, file_name or url.
    """

    split: str = ""
    names: tuple[str, ...] = ()
    column: str | None = None
    image_column: str | None = None


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
        for part in _parts(name, labels):
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


class _Part(NamedTuple):
    """One source of a table: its settings, the split to choose its pictures by, and whether folders are labels."""

    settings: SourceSettings
    split: str
    by_folder: bool


def _parts(name: str, labels: Labels) -> Iterator[_Part]:
    """List the sources that a name stands for.

    Raises:
        DatagenError: there is nothing of that name, or several splits and none is chosen.
    """
    path, split, column = Path(name), labels.split, labels.image_column
    here = os.path.exists(name)  # noqa: PTH110 (Path.exists raises for names that are too long)
    if not name or (not here and (name.count("/") != 1 or path.suffix)):
        raise DatagenError(
            f"There is no table {name}; give a .csv, .tsv, .jsonl or .parquet file, a folder of pictures by class, a "
            "data set folder, or owner/name on the hub."
        )
    if not here:
        for chosen in _chosen(name, _hub_splits(name), split):
            yield _Part(SourceSettings(path=name, kind="hub", split=chosen, column=column), "", by_folder=False)
        return
    if metadata := _metadata_of(path):
        for chosen in _chosen(name, list(metadata), split):
            yield _Part(SourceSettings(path=str(metadata[chosen]), kind="table", column=column), "", by_folder=False)
        return
    if (path / "dataset_dict.json").is_file():
        splits = json.loads((path / "dataset_dict.json").read_text(encoding="utf-8"))["splits"]
        for chosen in _chosen(name, splits, split):
            yield _Part(SourceSettings(path=name, kind="dataset", split=chosen, column=column), "", by_folder=False)
        return
    settings = SourceSettings(path=name, column=column)
    kind = _kind(settings)
    yield _Part(settings.model_copy(update={"kind": kind}), split, by_folder=kind == "folder")


def _kind(settings: SourceSettings) -> str:
    """Return the kind of a source, tables without a column of pictures included."""
    try:
        return settled(settings, Images().max_bytes).kind
    except DatagenError:
        path = Path(settings.path)
        if path.suffix.lower() in (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet"):
            return "table"
        raise


def _hub_splits(name: str) -> list[str]:
    import datasets

    try:
        return list(datasets.get_dataset_split_names(name))
    except Exception as error:  # the hub's client raises many kinds
        reason = " ".join(str(error).split())[:300]
        raise DatagenError(f"The table {name} cannot be read ({type(error).__name__}: {reason}).") from error


def _metadata_of(folder: Path) -> dict[str, Path]:
    """Return the metadata files of an ImageFolder, by split; the empty one for a folder without splits."""
    places = {"": folder} | {split: folder / split for split in _SPLITS}
    return {split: place / file for split, place in places.items() for file in _METADATA if (place / file).is_file()}


def _chosen(name: str, splits: Sequence[str], split: str) -> list[str]:
    """Return the splits that are read.

    Raises:
        DatagenError: the split is not there, or there are several and none is chosen.
    """
    if split == "all" or (not split and len(splits) == 1):
        return list(splits)
    if not split:
        raise DatagenError(
            f"{name} has the splits {', '.join(splits)}; name one with --split, or all of them: --split all."
        )
    if split not in splits:
        raise DatagenError(f"{name}: --split '{split}': {nearest(split, [*splits, 'all'])}.")
    return [split]


def _read_part(part: _Part, labels: Labels, found: Labelled) -> None:
    rows = _by_folder(part, found.shown) if part.by_folder else _by_column(part, labels.column, found.shown)
    if part.split != "all":
        rows = _of_split(rows, part.split, found.shown)
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
        if picture and not fields["url"]:
            fields["url"] = picture.url
        try:
            found.rows.append(ImageRow.model_validate({"number": number, **fields}))
        except ValidationError as error:
            raise DatagenError(f"{found.shown}, row {number + 1}: {sentence(error, ImageRow)}") from error
        if picture:
            found.pictures.append(picture)


_Rows = Iterator[tuple[Mapping[str, Any], PictureAt | None]]


def _by_folder(part: _Part, shown: str) -> _Rows:
    source = open_source(part.settings, Images().max_bytes)
    for entry in source.entries():
        folders = entry.key.split("/")[:-1]
        if not folders or (len(folders) == 1 and folders[0] in _SPLITS):
            raise DatagenError(
                f"{shown}: the picture {entry.key} lies in no folder that names its class; put pictures into one "
                "folder a class (桜/001.jpg), or give a table with a column 'category'."
            )
        yield {"category": folders[-1]}, PictureAt(source, entry)


def _by_column(part: _Part, label_column: str | None, shown: str) -> _Rows:
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


def _of_split(rows: _Rows, split: str, shown: str) -> _Rows:
    """Choose the pictures of a split, by the folder or the name of the file that they are in.

    Raises:
        DatagenError: the split is not there, or there are several and none is chosen.
    """
    counts: Counter[str] = Counter()
    held = []
    for record, picture in rows:
        own = _split_of(picture.entry.key) if picture else ""
        counts[own] += 1
        held.append((own, record, picture))
    named = sorted(counts.keys() - {""})
    if not split and len(named) > 1:
        raise DatagenError(
            f"{shown} has the splits {', '.join(named)}; name one with --split, or all of them: --split all."
        )
    if split and split not in named:
        raise DatagenError(f"{shown}: --split '{split}': {nearest(split, [*named, 'all'])}.")
    for own, record, picture in held:
        if not split or own == split:
            yield record, picture


def _split_of(key: str) -> str:
    first = key.split("/")[0]
    file = _SPLIT_OF_FILE.search(key.rpartition("#")[0])
    return first if first in _SPLITS else file[1] if file else ""


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
