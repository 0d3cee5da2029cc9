"""`datagen survey`: measure every picture of a source once, side by side, and go on where it was interrupted.

The directory holds the index of the source, the table in parts as the index has them (`table/part-000000.parquet`),
and what was found in it. No picture is copied, and no model is called.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console

from datagen.errors import DatagenError, InterruptedRunError
from datagen.event_loops import run_to_end
from datagen.executors import call, mapped, suited
from datagen.failures import Failure
from datagen.files.writing import write_json
from datagen.recipe import Images, SourceSettings
from datagen.sources import Source, open_source, settled
from datagen.store.index import Index, IndexEntry, write_index
from datagen.store.run_directory import RunDirectory, usable
from datagen.survey.measures import Measures, measured
from datagen.survey.photos import photo_id
from datagen.survey.table import MeasuredRow, table_part, write_part

PART_ROWS = 512
"""Images a part."""
FEW = 500
"""Images that are measured before Ray has started."""
_AT_ONCE = 32
_VERSION = 2
"""Raised when a measure changes its meaning."""
_OURS = ("survey.json", "run.lock", "survey.json.unfinished")


class SurveyDirectory:
    """The paths of a survey.

    Raises:
        DatagenError: no file can have such a path.
    """

    def __init__(self, path: Path) -> None:
        self.path = usable(path.absolute())
        self.identity = self.path / "survey.json"
        self.index = self.path / "index.parquet"
        self.table = self.path / "table"
        self.duplicates = self.path / "duplicates.parquet"
        self.overlaps = self.path / "overlaps.parquet"

    def missing(self, index: Index) -> list[int]:
        """Return the numbers of the parts that are not measured yet."""
        return [number for number in range(index.parts) if not table_part(self.table, number).exists()]


def survey(source: SourceSettings, images: Images, out: Path, console: Console) -> SurveyDirectory:
    """Measure all pictures of a source into a directory, or what an earlier call has left.

    Args:
        source: where the pictures come from; what is listed once stays.
        images: limits on pictures; what is beyond them is told as a failure.
        out: the directory.
        console: where is said what goes on.

    Raises:
        DatagenError: the source cannot be read, or `out` is the survey of another one.
        InterruptedRunError: Ctrl-C; the same call goes on.
    """
    directory = SurveyDirectory(out)
    decided = settled(source, images.max_bytes)
    try:
        with RunDirectory(directory.path).locked():
            _claim(directory, decided, images)
            if not directory.index.exists():
                call(_list, decided, images.max_bytes, directory.index)
            index = Index(directory.index)
            if done := index.parts - len(directory.missing(index)):
                console.print(f"Going on: {done:,} of {index.parts:,} parts are measured.")
            measure_missing(directory, decided, images, directory.index)
    except KeyboardInterrupt:
        raise InterruptedRunError(f"Stopped. What is measured is kept in {out}; the same command goes on.") from None
    return directory


def _claim(directory: SurveyDirectory, source: SourceSettings, images: Images) -> None:
    """Make this the directory of the source.

    Raises:
        DatagenError: it is that of another one, or holds other files.
    """
    wanted = orjson.loads(
        orjson.dumps({"survey": _VERSION, "source": source.model_dump(), "images": images.model_dump()})
    )
    if directory.identity.exists():
        found = orjson.loads(directory.identity.read_bytes())
        if found != wanted:
            raise DatagenError(
                f"{directory.path} is the survey of another source or with other limits; use another --out."
            )
    elif others := [entry.name for entry in directory.path.iterdir() if entry.name not in _OURS]:
        raise DatagenError(
            f"{directory.path} holds files that are no survey ({others[0]}); choose an empty or new --out."
        )
    else:
        write_json(directory.identity, wanted)


def _list(settings: SourceSettings, max_bytes: int, path: Path) -> None:
    write_index(open_source(settings, max_bytes), path, PART_ROWS, settings)


def measure_missing(directory: SurveyDirectory, source: SourceSettings, images: Images, listing: Path) -> None:
    """Measure the pictures of an index that are not measured yet, the parts side by side."""
    index = Index(listing)
    directory.table.mkdir(parents=True, exist_ok=True)
    parts = [(source, images, listing, number, directory.table) for number in directory.missing(index)]
    with suited(few=index.count <= FEW):
        for _ in mapped(_measure_part, parts, "measuring") if parts else ():
            pass


def _measure_part(settings: SourceSettings, images: Images, index: Path, number: int, folder: Path) -> None:
    rows = run_to_end(_measured_part(open_source(settings, images.max_bytes), images, Index(index).part(number)))
    write_part(table_part(folder, number), rows)


async def _measured_part(source: Source, images: Images, entries: Sequence[IndexEntry]) -> list[MeasuredRow]:
    """Read and measure the pictures of a part; some are read while others are measured."""
    slots = asyncio.Semaphore(_AT_ONCE)

    async def one(listed: IndexEntry) -> list[MeasuredRow]:
        async with slots:
            try:
                loaded = await source.read(listed.entry)
            except Failure as failure:
                found: list[Any] = [Measures(failure=failure.failure_class, told=failure.message)]
            else:
                found = [await asyncio.to_thread(measured, data, images) for data in loaded.pictures]
        entry = listed.entry
        if entry.latitude is not None:
            found = [each._replace(latitude=entry.latitude, longitude=entry.longitude) for each in found]
        photo = photo_id(entry.url) or photo_id(entry.key)
        return [(listed.position, listed.id, entry.key, place, photo, each) for place, each in enumerate(found)]

    try:
        return [row for rows in await asyncio.gather(*map(one, entries)) for row in rows]
    finally:
        await source.close()
