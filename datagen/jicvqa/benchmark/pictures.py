"""The pictures of a table, brought together before anything is built: checked, hashed, shrunk, in a scratch file.

Sources are the table itself, files beside it, and the web (politely: a few connections a host, each body kept in a
cache folder under the digest of its URL, dead links noted and not asked again).
"""

import asyncio
import hashlib
import io
import json
import os
import tempfile
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple, Self

import stamina.instrumentation
from PIL import Image

from datagen.errors import DatagenError
from datagen.event_loops import run_to_end
from datagen.failures import Failure
from datagen.files.writing import write_bytes
from datagen.jicvqa.benchmark.labelled import ImageRow, Labelled
from datagen.pictures.colours import in_srgb
from datagen.pictures.picture import Picture, prepare
from datagen.recipe import Images
from datagen.sources.folder import read_file
from datagen.survey.fingerprints import look_of

THUMBNAIL = (224, 224)
"""The size, in pixels, to which llm-jp-eval-mm shrinks every picture before a model sees it."""

_LIMITS = Images(phash=True)
_AHEAD = 32
_GONE = frozenset(f"HTTP {status}" for status in (401, 403, 404, 410, 451))


class Gathered(NamedTuple):
    """What is known of one picture that was read: its hashes, and where its bytes stand in the scratch file.

    Attributes:
        phash: perceptual hash.
        suffix: of its file.
        sha256: of its bytes as they are published.
        picture: where those are; `thumbnail` likewise.
        known_by: its columns of `datagen.survey.fingerprints`.
    """

    phash: str
    suffix: str
    sha256: str
    picture: tuple[int, int]
    thumbnail: tuple[int, int]
    known_by: dict[str, Any]


class LostPicture(NamedTuple):
    """A picture that could not be had, and why."""

    id: str
    url: str
    reason: str


class Scratch:
    """The bytes of all pictures, in a temporary file that is gone when it is closed."""

    def __init__(self) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self._end = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, data: bytes) -> tuple[int, int]:
        """Append bytes and return where they are."""
        extent = (self._end, len(data))
        self._file.seek(self._end)
        self._file.write(data)
        self._end += len(data)
        return extent

    def read(self, extent: tuple[int, int]) -> bytes:
        """Return the bytes at an extent."""
        self._file.seek(extent[0])
        return self._file.read(extent[1])


ReadPicture = Callable[[ImageRow], Awaitable[bytes]]
"""Returns the bytes of a row's picture, or raises Failure."""


def gather(
    rows: Sequence[ImageRow],
    read: ReadPicture,
    photo: Callable[[ImageRow], str],
    scratch: Scratch,
    advance: Callable[[int], None] = lambda _: None,
) -> tuple[dict[str, Gathered], list[LostPicture]]:
    """Read, check and shrink the pictures of rows, in the order of the rows.

    Args:
        rows: the rows.
        read: reads one.
        photo: returns the id of the photo that one is, or nothing.
        scratch: takes the bytes.
        advance: told of finished rows.

    Returns:
        What was gathered, by id, and the pictures that were lost.
    """
    gathered: dict[str, Gathered] = {}
    lost: list[LostPicture] = []

    async def prepared(row: ImageRow) -> tuple[Picture, bytes, dict[str, Any]]:
        return await asyncio.to_thread(_checked, await read(row))

    async def run() -> None:
        for start in range(0, len(rows), _AHEAD):
            chunk = rows[start : start + _AHEAD]
            found = await asyncio.gather(*map(prepared, chunk), return_exceptions=True)
            for row, outcome in zip(chunk, found, strict=True):
                if isinstance(outcome, Failure):
                    lost.append(LostPicture(row.id, row.url, outcome.message))
                elif isinstance(outcome, BaseException):
                    raise outcome
                else:
                    picture, thumbnail, look = outcome
                    gathered[row.id] = Gathered(
                        picture.phash,
                        picture.suffix,
                        hashlib.sha256(picture.data).hexdigest(),
                        scratch.add(picture.data),
                        scratch.add(thumbnail),
                        {"photo": photo(row), **look},
                    )
            advance(len(chunk))

    run_to_end(run())
    return gathered, lost


def reader_of(labelled: Labelled, cache: Path | None) -> ReadPicture:
    """Return what reads the picture of a row: from its source, or from the download cache."""

    async def read(row: ImageRow) -> bytes:
        source, entry = labelled.pictures[row.number]
        url = labelled.pictures[row.number].url
        if url:
            if cache is None:
                raise Failure("unreadable", f"{url[:200]} is a URL; --download fetches it")
            return await asyncio.to_thread(read_file, os.fsencode(cache_path(cache, url)), _LIMITS.max_bytes)
        try:
            found = (await source.read(entry)).pictures
        except Failure as failure:
            raise Failure(failure.failure_class, f"{entry.key}: {failure.message}") from failure
        if len(found) != 1:
            raise Failure("unreadable", f"the row holds {len(found)} pictures; a question is about one")
        return found[0]

    return read


def download(
    urls: Iterable[str],
    cache: Path,
    allow_private_hosts: Collection[str] = (),
    retry_dead: bool = False,
    advance: Callable[[int], None] = lambda _: None,
) -> tuple[dict[str, str], dict[str, str]]:
    """Fetch what is not in the cache yet.

    Args:
        urls: what to fetch.
        cache: a folder; a body that is there is not fetched again, nor is a link that was found dead.
        allow_private_hosts: host names that may be at private addresses.
        retry_dead: ask the dead links again.
        advance: told of finished links.

    Returns:
        The dead links (gone for good, and noted), and those that could not be reached this time, with reasons.

    Raises:
        DatagenError: the cache cannot be written to.
    """
    stamina.instrumentation.set_on_retry_hooks(())  # retries are not said one by one
    try:
        cache.mkdir(parents=True, exist_ok=True)
        return run_to_end(_download(sorted(set(urls)), cache, allow_private_hosts, retry_dead, advance))
    except OSError as error:
        raise DatagenError(f"The cache {cache} cannot be written to: {error.strerror}.") from error


def cache_path(cache: Path, url: str) -> Path:
    """Return where the body behind a URL is kept."""
    digest = hashlib.sha256(url.encode()).hexdigest()[:32]
    return cache / digest[:2] / digest


async def _download(
    urls: Sequence[str],
    cache: Path,
    allow_private_hosts: Collection[str],
    retry_dead: bool,
    advance: Callable[[int], None],
) -> tuple[dict[str, str], dict[str, str]]:
    from datagen.sources.reading.http import Fetcher

    record = cache / "dead.jsonl"
    known = _dead_links(record)
    dead = {} if retry_dead else {url: known[url] for url in urls if url in known}
    wanted = [url for url in urls if url not in dead and not cache_path(cache, url).exists()]
    advance(len(urls) - len(wanted))
    unreached: dict[str, str] = {}
    fetcher = Fetcher(_LIMITS.max_bytes, allow_private_hosts)
    queue = iter(wanted)

    with record.open("a", encoding="utf-8") as file:

        async def work() -> None:
            for url in queue:
                try:
                    write_bytes(cache_path(cache, url), await fetcher.fetch(url))
                except Failure as failure:
                    if failure.message in _GONE:
                        dead[url] = failure.message
                        file.write(json.dumps({"url": url, "reason": failure.message}, ensure_ascii=False) + "\n")
                        file.flush()
                    else:
                        unreached[url] = failure.message
                advance(1)

        try:
            await asyncio.gather(*(work() for _ in range(16)))
        finally:
            await fetcher.close()
    return dead, unreached


def _dead_links(record: Path) -> dict[str, str]:
    if not record.exists():
        return {}
    dead = {}
    for line in record.read_text(encoding="utf-8", errors="replace").split("\n"):
        try:
            entry = json.loads(line)
            dead[entry["url"]] = entry["reason"]
        except (ValueError, LookupError, TypeError):
            continue  # the last line of a killed run
    return dead


def _checked(data: bytes) -> tuple[Picture, bytes, dict[str, Any]]:
    """Return the picture as it is published, the small JPEG that llm-jp-eval-mm reads, and what copies are known by."""
    picture = prepare(data, _LIMITS)
    encoded = io.BytesIO()
    with Image.open(io.BytesIO(picture.data)) as image:
        image.draft("RGB", THUMBNAIL)
        small = in_srgb(image, image.info.get("icc_profile"), image.mode).resize(THUMBNAIL)
        small.save(encoded, "JPEG", quality=95)
    return picture, encoded.getvalue(), look_of(data, picture)
