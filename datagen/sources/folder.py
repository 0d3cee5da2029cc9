"""A folder of pictures, at any depth and with any names."""

import asyncio
import os
import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from datagen.errors import DatagenError
from datagen.failures import Failure
from datagen.recipe import SourceSettings
from datagen.sources import Entry, Loaded, key_of

PICTURE_SUFFIXES = frozenset(
    b".jpg .jpeg .jpe .jfif .jif .pjpeg .png .apng .webp .gif .bmp .dib .tif .tiff .ppm .pgm .pbm .pnm .pam .ico .cur "
    b".svg .svgz .avif .avifs .heic .heics .heif .heifs .hif .jp2 .j2k .j2c .jpc .jpf .jpx .jxl .jxr .wdp .hdp "
    b".psd .psb .xcf .tga .pcx .exr .hdr .qoi "
    b".dng .cr2 .cr3 .crw .nef .nrw .arw .srf .sr2 .orf .rw2 .raf .pef .srw".split()
)
"""Files with these suffixes, or with none at all, are inputs; one that is no picture ends as failed, not unseen."""

_MOST_SUFFIXES = 1000
_LONGEST_SUFFIX = 16


class FolderSource:
    """All pictures below a folder, in the order of their names.

    Linked folders are followed, each folder once, and directories of datagen runs are left out. The key of an image is
    its path from the folder.
    """

    column = None

    def __init__(self, settings: SourceSettings, max_bytes: int) -> None:
        self._root = os.fsencode(settings.path)
        self._max_bytes = max_bytes
        self.passed_over: Counter[str] = Counter()

    def entries(self) -> Iterator[Entry]:
        """List the pictures."""
        self.passed_over.clear()
        if not os.path.isdir(self._root):  # noqa: PTH112 (names here are bytes)
            raise DatagenError(f"source.path: {os.fsdecode(self._root)} is not a folder; give a folder of pictures.")
        for path in files_below(self._root, self.passed_over):
            if is_input(os.path.basename(path)):  # noqa: PTH119
                yield Entry(key_of(path[len(self._root) :].lstrip(b"/")), path)
            else:
                pass_over(self.passed_over, path)

    async def read(self, entry: Entry) -> Loaded:
        """Return the picture of one file."""
        return Loaded((await asyncio.to_thread(read_file, entry.path, self._max_bytes),))

    async def close(self) -> None:
        """Nothing is held open."""


def files_below(root: bytes, passed_over: Counter[str] | None = None) -> Iterator[bytes]:
    """Yield all files below a folder, at any depth; those of one folder in the order of their names.

    The directories of datagen runs below it are left out, and counted: their shards and archives are no part of what
    they were made from.

    Raises:
        DatagenError: a folder cannot be listed, or `root` is the directory of a run itself.
    """
    seen: set[tuple[int, int]] = set()
    waiting = [(root, True)]
    while waiting:
        path, is_folder = waiting.pop()
        if not is_folder:
            yield path
            continue
        listing = _listing(path, seen)
        if (b"run.json", False) in listing and (b"parts", True) in listing:
            if path == root:
                raise DatagenError(
                    f"source.path: {os.fsdecode(root)} is the directory of a datagen run; give its folder train."
                )
            if passed_over is not None:
                passed_over["directories of datagen runs"] += 1
            continue
        waiting += [(os.path.join(path, name), below) for name, below in reversed(listing)]  # noqa: PTH118


def files_of_kind(root: Path, suffix: str, passed_over: Counter[str] | None = None) -> list[Path]:
    """Return the one file that is the source, or all files with a suffix below the folder that is.

    Args:
        root: the file or folder.
        suffix: in lower case, with its dot.
        passed_over: counts the other files.

    Raises:
        DatagenError: the folder cannot be listed, or holds none.
    """
    if not root.is_dir():
        return [root]
    wanted = suffix.encode()
    files = []
    for path in files_below(os.fsencode(root), passed_over):
        if path.lower().endswith(wanted):
            files.append(Path(os.fsdecode(path)))
        elif passed_over is not None:
            pass_over(passed_over, path)
    if not files:
        raise DatagenError(f"source.path: {root} holds no {suffix} files; give a folder that does, or a file.")
    return files


def pass_over(passed_over: Counter[str], name: bytes) -> None:
    """Count a file that is not taken for a picture, by its suffix."""
    base = os.path.basename(name)  # noqa: PTH119
    suffix = key_of(os.path.splitext(base)[1].lower() or (base if base.startswith(b".") else b""))  # noqa: PTH122
    known = suffix in passed_over or len(passed_over) < _MOST_SUFFIXES
    passed_over[suffix if suffix and known and len(suffix) <= _LONGEST_SUFFIX else "of other names"] += 1


def key_below(root: Path, path: Path) -> str:
    """Return the key of a file that `files_of_kind` found: its path from the folder, or its name."""
    return key_of(os.fsencode(path.relative_to(root) if root.is_dir() else path.name))


def _listing(folder: bytes, seen: set[tuple[int, int]]) -> list[tuple[bytes, bool]]:
    """Return the names in a folder and whether they are folders; nothing when the folder has been seen."""
    try:
        status = os.stat(folder)  # noqa: PTH116
        if (status.st_dev, status.st_ino) in seen:
            return []
        seen.add((status.st_dev, status.st_ino))
        with os.scandir(folder) as listing:
            return sorted((entry.name, _is_folder(entry)) for entry in listing)
    except OSError as error:
        raise DatagenError(
            f"source.path: the folder {os.fsdecode(folder)!r} cannot be listed ({error.strerror}), and its images "
            "would be missing. Make it readable, or move it out of the source."
        ) from error


def _is_folder(entry: "os.DirEntry[bytes]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def is_input(name: bytes) -> bool:
    """Whether a file of this name is taken for a picture."""
    suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122
    return suffix in PICTURE_SUFFIXES or (not suffix and not name.startswith(b"."))


def read_file(path: bytes, max_bytes: int) -> bytes:
    """Return the bytes of a regular file.

    Raises:
        Failure: `unreadable` (missing, forbidden, a pipe or device) or `too_large`.
    """
    try:
        # Without O_NONBLOCK the opening of a named pipe would wait for its writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise Failure("unreadable", "not a regular file")
            if status.st_size > max_bytes:
                raise Failure("too_large", f"{status.st_size:,} bytes; images.max_bytes allows {max_bytes:,}")
            return file.readall()
    except (OSError, ValueError) as error:
        raise Failure("unreadable", getattr(error, "strerror", None) or str(error)) from error
