"""What a table of labelled pictures consists of: its sources, and the splits of which one is chosen."""

import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from datagen.errors import DatagenError
from datagen.recipe import Images, SourceSettings
from datagen.sources import Entry, Source, settled
from datagen.sources.reading.locations import is_url
from filters.errors import nearest

_METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
SPLITS = ("train", "test", "validation", "val", "valid", "dev", "eval")
_SPLIT_OF_FILE = re.compile(rf"(?:^|/)({'|'.join(SPLITS)})[-_.]")


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


class PictureAt(NamedTuple):
    """Where a row's picture is: a source and its entry."""

    source: Source
    entry: Entry

    @property
    def url(self) -> str:
        """The URL that the picture is to be fetched from; empty when it is here."""
        location = os.fsdecode(self.entry.path)
        return location if self.entry.row < 0 and is_url(location) else ""


Rows = Iterator[tuple[Mapping[str, Any], PictureAt | None]]
"""Records of labels, each with where its picture is."""


class Part(NamedTuple):
    """One source of a table: its settings, the split to choose its pictures by, and whether folders are labels."""

    settings: SourceSettings
    split: str
    by_folder: bool


def parts_of(name: str, labels: Labels) -> Iterator[Part]:
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
            yield Part(SourceSettings(path=name, kind="hub", split=chosen, column=column), "", by_folder=False)
        return
    if metadata := _metadata_of(path):
        for chosen in _chosen(name, list(metadata), split):
            yield Part(SourceSettings(path=str(metadata[chosen]), kind="table", column=column), "", by_folder=False)
        return
    if (path / "dataset_dict.json").is_file():
        splits = json.loads((path / "dataset_dict.json").read_text(encoding="utf-8"))["splits"]
        for chosen in _chosen(name, splits, split):
            yield Part(SourceSettings(path=name, kind="dataset", split=chosen, column=column), "", by_folder=False)
        return
    settings = SourceSettings(path=name, column=column)
    kind = _kind(settings)
    yield Part(settings.model_copy(update={"kind": kind}), split, by_folder=kind == "folder")


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
    places = {"": folder} | {split: folder / split for split in SPLITS}
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


def of_split(rows: Rows, split: str, shown: str) -> Rows:
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
    return first if first in SPLITS else file[1] if file else ""
