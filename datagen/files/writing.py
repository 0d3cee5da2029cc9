"""Writing files so that a reader never sees half of one: each appears complete, by rename."""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

UNFINISHED = ".unfinished"
"""Behind the name of a file while it is written; a killed process may leave one, and the next one writes over it."""


@contextmanager
def appearing(path: Path) -> Iterator[Path]:
    """Yield where to write a file; when the context ends the file is on the disk, and then appears at `path`.

    What is written is thrown away where the context raises.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder, appearing(Path(folder) / "rows.txt") as unfinished:
    ...     _ = unfinished.write_text("a row")
    ...     (Path(folder) / "rows.txt").exists()
    False

    Raises:
        OSError: it cannot be written; the error names the file.
    """
    if not path.name or path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    unfinished = path.with_name(path.name + UNFINISHED)
    try:
        with writing(unfinished):
            yield unfinished
            with unfinished.open("rb") as file:
                os.fsync(file.fileno())
    except Exception:
        unfinished.unlink(missing_ok=True)
        raise
    os.replace(unfinished, path)  # noqa: PTH105


@contextmanager
def appearing_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder to write into; when the context ends it takes the place of what is at `path`.

    What is written is thrown away where the context raises.

    Raises:
        OSError: it cannot be written.
    """
    unfinished = path.with_name(path.name + UNFINISHED)
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        yield unfinished
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    shutil.rmtree(path, ignore_errors=True)
    unfinished.rename(path)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Give an error of writing the name of the file; `write` and `fsync`, Python's and Arrow's, do not know it."""
    try:
        yield
    except OSError as error:
        if error.errno and error.filename is None:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file, making its folder if need be.

    Raises:
        OSError: it cannot be written; the error names the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with appearing(path) as unfinished:
        unfinished.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write text as UTF-8, see `write_bytes`."""
    write_bytes(path, text.encode())


def write_json(path: Path, document: Any) -> None:
    """Write JSON for programs, see `write_bytes`."""
    write_bytes(path, orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")


def json_text(document: Any) -> str:
    """Return JSON for people to read, with Japanese as it is and a final newline."""
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def digest_of(data: bytes) -> str:
    """Return the SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()
