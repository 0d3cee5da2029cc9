"""WebDataset archives: tar files in which the files of one sample follow each other and share a name up to a dot."""

import asyncio
import os
import tarfile
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path, PurePosixPath

import orjson

from datagen import recipe
from datagen.errors import DatagenError
from datagen.failures import Failure
from datagen.sources import Entry, key_of
from datagen.sources.folder import PICTURE_SUFFIXES, files_of_kind, key_below

_MOST_JSON_BYTES = 1 << 20


class WebDatasetSource:
    """One image a picture file in an archive; the key is the archive and the file's name in it.

    A name that comes again in an archive gets `#2`, `#3` …. The fields `url` and `license` of the `.json` file of the
    same sample are kept in the rows. Listing reads the headers of the files and these alone, and pictures are read by
    their place, so that nothing is unpacked.
    """

    def __init__(self, settings: recipe.Source, max_bytes: int) -> None:
        self._root = Path(settings.path)
        self._extension = settings.column
        self._max_bytes = max_bytes

    def entries(self) -> Iterator[Entry]:
        """List the pictures of all archives."""
        for archive in files_of_kind(self._root, ".tar"):
            try:
                yield from self._archived(archive)
            except (OSError, tarfile.TarError) as error:
                raise DatagenError(
                    f"source.path: {str(archive)!r} is no whole tar file ({error}). Archives may not be compressed; "
                    "write it anew, or move it away."
                ) from error

    async def read(self, entry: Entry) -> bytes:
        """Return the bytes of one file of an archive."""
        return await asyncio.to_thread(self._member, entry)

    async def close(self) -> None:
        """Nothing is held open."""

    def _archived(self, archive: Path) -> Iterator[Entry]:
        path, folder, seen = os.fsencode(archive), key_below(self._root, archive), Counter[str]()
        with tarfile.open(archive, "r:") as tar:
            for _, members in groupby(_files(tar), lambda member: _sample(member.name)):
                sample = list(members)
                pictures = [member for member in sample if self._is_picture(member.name)]
                url, license_ = _about(tar, sample) if pictures else ("", "")
                for member in pictures:
                    name = f"{folder}/{key_of(os.fsencode(member.name))}"
                    seen[name] += 1
                    key = f"{name}#{seen[name]}" if seen[name] > 1 else name
                    yield Entry(key, path, row=member.offset_data - tarfile.BLOCKSIZE, url=url, license=license_)

    def _is_picture(self, name: str) -> bool:
        if self._extension:
            return name.lower().endswith(f".{self._extension.lower().lstrip('.')}")
        return os.fsencode(PurePosixPath(name).suffix.lower()) in PICTURE_SUFFIXES

    def _member(self, entry: Entry) -> bytes:
        try:
            with Path(os.fsdecode(entry.path)).open("rb") as file:
                file.seek(entry.row)
                header = file.read(tarfile.BLOCKSIZE)
                size = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape").size
                if size > self._max_bytes:
                    raise Failure("too_large", f"{size:,} bytes; images.max_bytes allows {self._max_bytes:,}")
                data = file.read(size)
        except (OSError, tarfile.TarError) as error:
            raise Failure("unreadable", f"{key_of(entry.path)}: {error}") from error
        if len(data) < size:
            raise Failure("unreadable", f"{key_of(entry.path)} ends in the middle of the file")
        return data


def _files(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    while (member := tar.next()) is not None:
        tar.members.clear()  # type: ignore[attr-defined]  # else they are all kept
        if member.isreg():
            yield member
    # tarfile takes whatever is no header for the end.
    assert tar.fileobj is not None
    tar.fileobj.seek(tar.offset)
    block = tar.fileobj.read(tarfile.BLOCKSIZE)
    if any(block):
        raise tarfile.ReadError(f"the header at byte {tar.offset:,} is damaged")
    if len(block) < tarfile.BLOCKSIZE:
        raise tarfile.ReadError("it was cut short: its end mark is missing")


def _sample(name: str) -> str:
    """Return the name of a file's sample: its path up to the first dot of the last part.

    >>> _sample("train.v1/000017.seg.png")
    'train.v1/000017'
    """
    folder, slash, base = name.rpartition("/")
    return folder + slash + base.partition(".")[0]


def _about(tar: tarfile.TarFile, sample: list[tarfile.TarInfo]) -> tuple[str, str]:
    """Return what a sample's `.json` has as `url` and `license`, where they are texts."""
    for member in sample:
        if member.name.lower().endswith(".json") and member.size <= _MOST_JSON_BYTES:
            file = tar.extractfile(member)
            try:
                document = orjson.loads(file.read() if file else b"")
            except orjson.JSONDecodeError:
                continue
            if isinstance(document, dict):
                url, license_ = (document.get(name) for name in ("url", "license"))
                return url if isinstance(url, str) else "", license_ if isinstance(license_, str) else ""
    return "", ""
