"""Where images come from: each source lists its entries, and reads the bytes of one.

A source lists once, cheaply, into the index; workers read the bytes later, by the entry alone. A new source is one new
file here with a class of the shape of `Source`, made from the recipe's section and the most bytes of a picture; or such
a class anywhere that a recipe names as `package.module:Class`, or an entry point of the group `datagen.sources`.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from datagen.errors import DatagenError
from datagen.files.clouds import is_cloud
from datagen.recipe import SourceSettings
from datagen.records import MessageRecord
from filters.registry import Registry, RegistryError


class Entry(NamedTuple):
    """One image of a source.

    Attributes:
        key: the name of the image in its source, unique in it; the row's id is derived from it.
        path: the file (as the operating system has it) or URL.
        row: the row in a table of pictures, the byte in an archive where the file's header starts, or -1.
        row_group: its Parquet row group, or -1.
        url: where the image was published, if known; `license` likewise.
        latitude: where the source says that it was taken, in degrees, if it does; `longitude` likewise.
    """

    key: str
    path: bytes
    row: int = -1
    row_group: int = -1
    url: str = ""
    license: str = ""
    latitude: float | None = None
    longitude: float | None = None


class Loaded(NamedTuple):
    """What a source has for one entry.

    Attributes:
        pictures: the encoded bytes of 0, 1 or several pictures, in their order.
        messages: a conversation that is there already; empty for pictures alone.
        caption: likewise.
    """

    pictures: tuple[bytes, ...] = ()
    messages: tuple[MessageRecord, ...] = ()
    caption: str = ""


class Source(Protocol):
    """A source of images.

    Attributes:
        column: the column that is read, if there are columns; found by looking where the settings name none.
        passed_over: what the last listing saw and did not take for a picture: how many, by suffix or kind.
    """

    @property
    def column(self) -> str | None:
        """See above."""

    passed_over: Counter[str]

    def entries(self) -> Iterator[Entry]:
        """List the images, in an order that does not change between calls.

        Raises:
            DatagenError: the source is not there, or its table cannot be read.
        """

    async def read(self, entry: Entry) -> Loaded:
        """Return what the source has for one entry.

        Raises:
            Failure: `unreadable` or `too_large`.
        """

    async def close(self) -> None:
        """Let go of files and connections."""


class Tabular(Source, Protocol):
    """A source whose images have further columns beside them, such as labels."""

    @property
    def columns(self) -> list[str]:
        """The names of all columns."""

    def records(self, columns: Sequence[str]) -> Iterator[Mapping[str, Any]]:
        """List columns of every row, in the order of `entries`; None where a row or a file has nothing in one.

        Raises:
            DatagenError: the table cannot be read.
        """


def local_file(entry: Entry) -> str:
    """Return the path of the file that is the picture of an entry; empty if it is none, or no text can name it.

    >>> local_file(Entry("桜.png", "/data/桜.png".encode())), local_file(Entry("1", b"/data/a.parquet", 1, 0))
    ('/data/桜.png', '')
    """
    path = entry.path
    if entry.row >= 0 or not path.startswith(b"/"):
        return ""
    try:
        return path.decode()
    except UnicodeDecodeError:
        return ""


def key_of(name: bytes) -> str:
    r"""Return the name of a file as valid Unicode, another one for every name.

    >>> print(key_of("花/桜.png".encode()), key_of(b"\xff.png"), key_of(rb"\xff.png"))
    花/桜.png \xff.png \\xff.png
    """
    return name.replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")


_TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json")
_SAVED_BY_DATASETS = ("dataset_info.json", "dataset_dict.json")
_SUFFIXES_SHOWN = 8


def settled(settings: SourceSettings, max_bytes: int) -> SourceSettings:
    """Return the settings with what `auto` finds at `path` filled in: the kind, and the column.

    It is decided once, before the listing, and kept with the index: what is put beside the pictures later changes
    nothing.

    Raises:
        DatagenError: there is nothing at `path`, or nothing in it that can be read.
    """
    _refuse_missing(settings)
    kind = settings.kind
    if kind == "auto":
        kind = "cloud" if is_cloud(settings.path) else _kind_of(Path(settings.path))
    if kind == "parquet":
        from datagen.sources.parquet import kind_and_column

        kind, column = kind_and_column(settings)
        return settings.model_copy(update={"kind": kind, "column": column})
    decided = settings.model_copy(update={"kind": kind})
    return decided.model_copy(update={"column": open_source(decided, max_bytes).column})


SOURCES: Registry[Callable[[SourceSettings, int], Source]] = Registry(
    "datagen.sources",
    kind="source",
    group="datagen.sources",
    asked="a class of the shape of datagen.sources.Source",
    fits=lambda found: isinstance(found, type) and hasattr(found, "entries") and hasattr(found, "read"),
)


def open_source(settings: SourceSettings, max_bytes: int) -> Source:
    """Return the source that the settings name; the kind `auto` is settled first.

    Raises:
        DatagenError: there is nothing at `path`, or no such kind.
    """
    _refuse_missing(settings)
    if settings.kind == "auto":
        return open_source(settled(settings, max_bytes), max_bytes)
    try:
        return SOURCES.find(settings.kind, "source.kind")(settings, max_bytes)
    except RegistryError as error:
        raise DatagenError(str(error)) from error


def _refuse_missing(settings: SourceSettings) -> None:
    # os.path.exists, because Path.exists raises for names that are too long
    if settings.kind != "hub" and not is_cloud(settings.path) and not os.path.exists(settings.path):  # noqa: PTH110
        raise DatagenError(
            f"source.path: there is no folder or file {settings.path}. Give a folder of pictures, a table, Parquet "
            "files or WebDataset archives; for a data set on the Hugging Face hub set source.kind: hub."
        )


def _kind_of(path: Path) -> str:
    """Tell by the names of the files: any `.parquet` decides; a `.tar` does where there are no pictures beside it."""
    from datagen.sources.folder import files_below, is_input

    if path.is_file() and path.suffix.lower() in _TABLES:
        return "table"
    if any((path / name).is_file() for name in _SAVED_BY_DATASETS):
        return "dataset"
    archives = pictures = False
    for name in files_below(os.fsencode(path)) if path.is_dir() else iter([os.fsencode(path)]):
        if name.lower().endswith(b".parquet"):
            return "parquet"
        archives = archives or name.lower().endswith(b".tar")
        pictures = pictures or is_input(os.path.basename(name))  # noqa: PTH119 (names here are bytes)
    return "webdataset" if archives and not pictures else "folder"


def told(passed_over: Counter[str]) -> str:
    """Return what a listing passed over as a clause, empty when it was nothing.

    >>> told(Counter({".json": 1200, ".txt": 3}))
    '1,200 .json, 3 .txt'
    """
    shown = passed_over.most_common(_SUFFIXES_SHOWN)
    rest = passed_over.total() - sum(count for _, count in shown)
    return ", ".join([f"{count:,} {name}" for name, count in shown] + ([f"{rest:,} others"] if rest else []))
