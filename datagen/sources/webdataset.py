"""WebDataset archives: tar files in which the files of one sample follow each other and share a name up to a dot."""

import asyncio
import os
import posixpath
import tarfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, NamedTuple

import orjson

from datagen.errors import DatagenError
from datagen.failures import Failure
from datagen.recipe import SourceSettings
from datagen.sources import Entry, Loaded, key_of
from datagen.sources.folder import PICTURE_SUFFIXES, files_of_kind, key_below, pass_over
from datagen.sources.reading.facts import coordinates

_MOST_JSON_BYTES = 1 << 20
_LINKS_FOLLOWED = 16
_SCANNED_BYTES = 1 << 20


class _File(NamedTuple):
    """A file of an archive: its name, and the byte where its header starts, or that of the file it is a link to."""

    name: str
    offset: int


class WebDatasetSource:
    """One image a picture file in an archive; the key is the archive and the file's name in it.

    A name that comes again in an archive gets `#2`, `#3` …. The fields `url` and `license` of the `.json` file of the
    same sample are kept in the rows; where a sample has several, of the one whose name has most in common with the
    picture's. Links to files of the same archive are followed, and archives that were put one behind the other are read
    to their end. Listing reads the headers of the files and these alone, and pictures are read by their offset, so
    that nothing is unpacked.
    """

    def __init__(self, settings: SourceSettings, max_bytes: int) -> None:
        self._root = Path(settings.path)
        self.column = settings.column
        self._max_bytes = max_bytes
        self.passed_over: Counter[str] = Counter()

    def entries(self) -> Iterator[Entry]:
        """List the pictures of all archives."""
        self.passed_over.clear()
        for archive in files_of_kind(self._root, ".tar", self.passed_over):
            try:
                yield from self._archived(archive)
            except (OSError, tarfile.TarError) as error:
                raise DatagenError(
                    f"source.path: {str(archive)!r} is no whole tar file ({error}). Archives may not be compressed; "
                    "write it anew, or move it away."
                ) from error

    async def read(self, entry: Entry) -> Loaded:
        """Return the picture of one file of an archive."""
        return Loaded((await asyncio.to_thread(self._member, entry),))

    async def close(self) -> None:
        """Nothing is held open."""

    def _archived(self, archive: Path) -> Iterator[Entry]:
        path, folder, seen = os.fsencode(archive), key_below(self._root, archive), Counter[str]()
        with archive.open("rb") as beside:  # the sidecars are read while the archive is listed
            for _, files in groupby(self._files(archive), lambda file: _sample(file.name)):
                sample = list(files)
                pictures = [file for file in sample if self._is_picture(file.name)]
                sidecars = [file for file in sample if file.name.lower().endswith(".json")] if pictures else []
                for file in pictures:
                    name = f"{folder}/{key_of(os.fsencode(file.name))}"
                    seen[name] += 1
                    key = f"{name}#{seen[name]}" if seen[name] > 1 else name
                    facts = _about(beside, _sidecars_of(file, pictures, sidecars))
                    yield Entry(key, path, row=file.offset, **facts)

    def _files(self, archive: Path) -> Iterator[_File]:
        """Yield the pictures and `.json` files of an archive, and count what else is in it."""
        links: _Links | None = None
        for member in _members(archive, self.passed_over):
            of_use = self._is_picture(member.name) or member.name.lower().endswith(".json")
            if member.isreg() and of_use:
                yield _File(member.name, member.offset)
            elif (member.islnk() or member.issym()) and of_use:
                links = links or _Links(archive)
                offset = links.target(member)
                if offset is None:
                    self.passed_over["links to nothing in their archive"] += 1
                else:
                    yield _File(member.name, offset)
            elif member.isreg():
                pass_over(self.passed_over, os.fsencode(member.name))
            elif not member.isdir():
                self.passed_over["links, devices and the like"] += 1

    def _is_picture(self, name: str) -> bool:
        if self.column:
            return name.lower().endswith(f".{self.column.lower().lstrip('.')}")
        return os.fsencode(PurePosixPath(name).suffix.lower()) in PICTURE_SUFFIXES

    def _member(self, entry: Entry) -> bytes:
        try:
            with Path(os.fsdecode(entry.path)).open("rb") as file:
                return _content(file, entry.row, self._max_bytes)
        except (OSError, tarfile.TarError) as error:
            raise Failure("unreadable", f"{key_of(entry.path)}: {error}") from error


def _content(archive: BinaryIO, offset: int, max_bytes: int) -> bytes:
    """Return the file whose header starts at an offset.

    Raises:
        Failure: `too_large`.
        tarfile.TarError: there is no whole file.
    """
    archive.seek(offset)
    member = tarfile.TarInfo.frombuf(archive.read(tarfile.BLOCKSIZE), "utf-8", "surrogateescape")
    if member.type in (tarfile.REGTYPE, tarfile.AREGTYPE):
        _refuse_large(member, max_bytes)
        data = archive.read(member.size)
    else:  # long names, extended headers and holes are for tarfile
        archive.seek(offset)
        with tarfile.TarFile(fileobj=archive) as tar:
            found = tar.next()
            if found is None or not found.isreg():
                raise tarfile.ReadError("there is no file at this offset any more; it changed after it was listed")
            member = found
            _refuse_large(member, max_bytes)
            file = tar.extractfile(member)
            data = file.read() if file else b""
    if len(data) < member.size:
        raise tarfile.ReadError("it ends in the middle of the file")
    return data


def _refuse_large(member: tarfile.TarInfo, max_bytes: int) -> None:
    if member.size > max_bytes:
        raise Failure("too_large", f"{member.size:,} bytes; images.max_bytes allows {max_bytes:,}")


def _members(archive: Path, passed_over: Counter[str]) -> Iterator[tarfile.TarInfo]:
    """Yield all members of an archive, and of those that follow behind its end mark (`cat a.tar b.tar`)."""
    with tarfile.open(archive, "r:") as tar:
        assert tar.fileobj is not None
        while True:
            while (member := tar.next()) is not None:
                tar.members.clear()  # type: ignore[attr-defined]  # else they are all kept
                yield member
            # tarfile takes whatever is no header for the end.
            tar.fileobj.seek(tar.offset)
            block = tar.fileobj.read(tarfile.BLOCKSIZE)
            if any(block):
                raise tarfile.ReadError(f"the header at byte {tar.offset:,} is damaged")
            if len(block) < tarfile.BLOCKSIZE:
                raise tarfile.ReadError("it was cut short: its end mark is missing")
            beginning = _next_beginning(tar.fileobj, tar.offset + tarfile.BLOCKSIZE, passed_over)
            if beginning is None:
                return
            tar.offset = beginning


def _next_beginning(archive: "BinaryIO | tarfile._Fileobj", offset: int, passed_over: Counter[str]) -> int | None:
    """Return where another archive begins behind an end mark; what is none is counted."""
    archive.seek(offset)
    while chunk := archive.read(_SCANNED_BYTES):
        zeros = len(chunk) - len(chunk.lstrip(b"\0"))
        if zeros < len(chunk):
            beginning = (offset + zeros) // tarfile.BLOCKSIZE * tarfile.BLOCKSIZE
            archive.seek(beginning)
            header = archive.read(tarfile.BLOCKSIZE)
            try:
                tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
            except tarfile.TarError as error:
                if header[257:262] == b"ustar":
                    raise tarfile.ReadError(f"the header at byte {beginning:,} is damaged") from error
                passed_over["archives with other bytes behind their end"] += 1
                return None
            return beginning
        offset += len(chunk)
    return None


class _Links:
    """Where the links of an archive lead; made when it has one, by another pass over its headers."""

    def __init__(self, archive: Path) -> None:
        self._found: defaultdict[str, list[tarfile.TarInfo]] = defaultdict(list)
        for member in _members(archive, Counter()):
            if member.isreg() or member.islnk() or member.issym():
                self._found[posixpath.normpath(member.name)].append(member)

    def target(self, link: tarfile.TarInfo) -> int | None:
        """Return the byte where the header of the file behind a link starts, none where there is no such file.

        Of several files of a name, the last before the link is meant, as if the archive were unpacked.
        """
        for _ in range(_LINKS_FOLLOWED):
            folder = posixpath.dirname(link.name) if link.issym() else ""
            named = self._found.get(posixpath.normpath(posixpath.join(folder, link.linkname)), [])
            before = [member for member in named if member.offset < link.offset]
            found = before[-1] if before else named[0] if named and link.issym() else None
            if found is None or found.isreg():
                return found.offset if found else None
            link = found
        return None


def _sample(name: str) -> str:
    """Return the name of a file's sample: its path up to the first dot of the last part.

    >>> _sample("train.v1/000017.seg.png")
    'train.v1/000017'
    """
    folder, slash, base = name.rpartition("/")
    return folder + slash + base.partition(".")[0]


def _sidecars_of(picture: _File, pictures: Sequence[_File], sidecars: Sequence[_File]) -> list[_File]:
    """Return the `.json` files of a sample that speak of one of its pictures, the nearest first.

    `photo.v1.json` speaks of `photo.v1.jpg`, and of `photo.v1.seg.png` if that has none of its own; `photo.meta.json`
    speaks of `photo.jpg`. Nothing is taken from one that stands beside another picture.
    """

    def parts(file: _File) -> list[str]:
        return file.name.rpartition(".")[0].split(".")

    own = parts(picture)
    above = [file for file in sidecars if own[: len(parts(file))] == parts(file)]
    others = [parts(file) for file in pictures if parts(file) != own]
    below = [
        file for file in sidecars if file not in above and parts(file)[: len(own)] == own and parts(file) not in others
    ]
    return [*sorted(above, key=lambda file: -len(parts(file))), *below]


def _about(archive: BinaryIO, sidecars: Sequence[_File]) -> dict[str, Any]:
    """Return the facts of the first `.json` that can be read; `url` and `license` where they are texts."""
    for file in sidecars:
        try:
            document = orjson.loads(_content(archive, file.offset, _MOST_JSON_BYTES))
        except (orjson.JSONDecodeError, Failure):
            continue
        if isinstance(document, dict):
            texts = {name: document[name] for name in ("url", "license") if isinstance(document.get(name), str)}
            return texts | coordinates(document)
    return {}
