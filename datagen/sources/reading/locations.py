"""Locations: the paths and URLs of pictures, as a table or a cell of one has them."""

import asyncio
import os
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pybase64

from datagen.failures import Failure
from datagen.sources.folder import read_file
from datagen.sources.reading.http import Fetcher

_URL = re.compile(r"https?://", re.IGNORECASE)
_FILE_URL = re.compile(r"file://(localhost)?(?=/)", re.IGNORECASE)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_DATA_URL = re.compile(r"data:[^,]{0,200};base64,", re.IGNORECASE)
# How JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF and JPEG 2000 begin in base64. Paths are shorter, or have a dot.
_PICTURE_IN_BASE64 = re.compile(r"\s*(/9j/|iVBORw0KGgo|UklGR|R0lGOD|Qk|SUkqA|TU0AK|AAAA)[A-Za-z0-9+/\s]{56}")


class Locations:
    """Reads pictures by their locations: files of this machine, and the web.

    Args:
        max_bytes: the largest picture that is read.
        allow_private_hosts: host names that may resolve to private addresses.
    """

    def __init__(self, max_bytes: int, allow_private_hosts: Collection[str]) -> None:
        self._max_bytes = max_bytes
        self._fetcher = Fetcher(max_bytes, allow_private_hosts)

    async def read(self, location: bytes) -> bytes:
        """Return the bytes at a location that `located` gave.

        Raises:
            Failure: `unreadable` or `too_large`.
        """
        name = os.fsdecode(location)
        if is_url(name):
            return await self._fetcher.fetch(name)
        return await asyncio.to_thread(read_file, location, self._max_bytes)

    async def read_all(self, pictures: Sequence[bytes | str], folder: Path) -> tuple[bytes, ...]:
        """Return the bytes of pictures that are there, or that lie at a location seen from `folder`.

        Raises:
            Failure: `unreadable` or `too_large`.
        """
        return tuple(
            [found if isinstance(found, bytes) else await self.read(located(found, folder)) for found in pictures]
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._fetcher.close()


def is_url(location: str) -> bool:
    """Whether a location is on the web."""
    return _URL.match(location) is not None


def refusal(location: str) -> str | None:
    """Return why a location can never be read, as a clause that says what to do; none when it may be.

    >>> refusal("s3://bucket/a.jpg")
    'is of the scheme s3, which is not read: copy the pictures to a disk, or give http(s) URLs'
    >>> refusal("a.jpg"), refusal("https://pictures.example/a.jpg"), refusal("file:///data/a.jpg")
    (None, None, None)
    """
    if holds_picture(location):
        return "is a picture as base64 text, and not a path or URL: keep such pictures in a Parquet file"
    scheme = _SCHEME.match(location)
    if not scheme or is_url(location) or _FILE_URL.match(location):
        return None
    if scheme[1].lower() == "file":
        return "is a file of another machine: give a path of this one"
    return f"is of the scheme {scheme[1]}, which is not read: copy the pictures to a disk, or give http(s) URLs"


def located(location: str, folder: Path) -> bytes:
    """Return a URL as it is, and a path as the operating system has it.

    Relative paths are looked up from `folder`; `file://` and `~/` are resolved.

    Raises:
        Failure: `unreadable`, when it can never be read.
    """
    if reason := refusal(location):
        raise Failure("unreadable", f"{location[:80]!r} {reason}")
    if is_url(location):
        return location.encode()
    if file_url := _FILE_URL.match(location):
        return unquote_to_bytes(location[file_url.end() :])
    path = Path(location).expanduser() if location.startswith("~/") else location
    return os.path.join(os.fsencode(folder), os.fsencode(path))  # noqa: PTH118 (paths here are bytes)


def holds_picture(text: str) -> bool:
    """Whether a text is a picture itself: a data: URL, or the base64 of one of the usual formats."""
    return bool(_DATA_URL.match(text) or _PICTURE_IN_BASE64.match(text))


def decoded(text: str) -> bytes:
    """Return the picture that a text of `holds_picture` is.

    Raises:
        Failure: `unreadable`, when it is no valid base64.
    """
    url = _DATA_URL.match(text)
    try:
        return pybase64.b64decode("".join(text[url.end() if url else 0 :].split()), validate=True)
    except ValueError as error:
        raise Failure("unreadable", "the text is no valid base64") from error
