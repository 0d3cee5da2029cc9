"""Where images come from: each source lists its entries, and reads the bytes of one.

A source lists once, cheaply, into the index; workers read the bytes later, by the entry alone. A new source is one
module with a class of the shape of `Source` and one line in `open_source`.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

from datagen import recipe
from datagen.errors import DatagenError


class Entry(NamedTuple):
    """One image of a source.

    Attributes:
        key: the name of the image in its source, unique in it; the row's id is derived from it.
        path: the file (as the operating system has it) or URL.
        row: the row in a table of pictures, the byte in an archive where the file's header starts, or -1.
        row_group: its Parquet row group, or -1.
        url: where the image was published, if known; `license` likewise.
    """

    key: str
    path: bytes
    row: int = -1
    row_group: int = -1
    url: str = ""
    license: str = ""


class Source(Protocol):
    """A source of images."""

    def entries(self) -> Iterator[Entry]:
        """List the images, in an order that does not change between calls.

        Raises:
            DatagenError: the source is not there, or its table cannot be read.
        """

    async def read(self, entry: Entry) -> bytes:
        """Return the bytes of one image.

        Raises:
            Failure: `unreadable` or `too_large`.
        """

    async def close(self) -> None:
        """Let go of files and connections."""


def key_of(name: bytes) -> str:
    r"""Return the name of a file as valid Unicode, another one for every name.

    >>> print(key_of("花/桜.png".encode()), key_of(b"\xff.png"), key_of(rb"\xff.png"))
    花/桜.png \xff.png \\xff.png
    """
    return name.replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")


_TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json")
_SAVED_BY_DATASETS = ("dataset_info.json", "dataset_dict.json")


def open_source(settings: recipe.Source, max_bytes: int) -> Source:
    """Return the source that the settings name.

    Raises:
        DatagenError: there is nothing at `path`.
    """
    from datagen.sources.dataset import DatasetSource
    from datagen.sources.folder import FolderSource
    from datagen.sources.parquet import ParquetSource
    from datagen.sources.table import TableSource
    from datagen.sources.webdataset import WebDatasetSource

    if settings.kind == "hub":
        return DatasetSource(settings, max_bytes)
    path = Path(settings.path)
    if not os.path.exists(path):  # noqa: PTH110 (Path.exists raises for names that are too long)
        raise DatagenError(
            f"source.path: there is no folder or file {settings.path}. Give a folder of pictures, a table, Parquet "
            "files or WebDataset archives; for a data set on the Hugging Face hub set source.kind: hub."
        )
    if settings.kind == "table" or (settings.kind == "auto" and path.suffix.lower() in _TABLES):
        return TableSource(settings, max_bytes)
    if settings.kind == "auto" and any((path / name).exists() for name in _SAVED_BY_DATASETS):
        return DatasetSource(settings, max_bytes)
    kind = _kind_of(path) if settings.kind == "auto" else settings.kind
    if kind == "parquet":
        parquet = ParquetSource(settings)
        return parquet if parquet.has_pictures else TableSource(settings, max_bytes)
    return WebDatasetSource(settings, max_bytes) if kind == "webdataset" else FolderSource(settings, max_bytes)


def _kind_of(path: Path) -> str:
    """Tell by the names of the files: any `.parquet` decides; a `.tar` does where there are no pictures beside it."""
    from datagen.sources.folder import files_below, is_input

    archives = pictures = False
    for name in files_below(os.fsencode(path)) if path.is_dir() else iter([os.fsencode(path)]):
        if name.lower().endswith(b".parquet"):
            return "parquet"
        archives = archives or name.lower().endswith(b".tar")
        pictures = pictures or is_input(os.path.basename(name))  # noqa: PTH119 (names here are bytes)
    return "webdataset" if archives and not pictures else "folder"
