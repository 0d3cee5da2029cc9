"""Crops from anywhere of a benchmark's pictures, which no window of theirs is near to: a second pass, by features."""

import asyncio
import io
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from PIL import Image

from datagen.event_loops import run_to_end
from datagen.executors import mapped, suited
from datagen.failures import Failure
from datagen.files.writing import appearing
from datagen.pictures.picture import usable
from datagen.recipe import Images, SourceSettings
from datagen.sources import Source, open_source
from datagen.store.index import Index, IndexEntry
from datagen.survey.features import INLIERS, FeatureIndex, Features, features_of
from datagen.survey.overlaps import OVERLAPS
from datagen.survey.survey import FEW, SurveyDirectory

_DISTANCE = 10


def has_features(paths: Sequence[Path]) -> bool:
    """Whether a picture of the files of fingerprints has features."""
    columns = (pq.read_table(path, columns=["features"]).column(0) for path in paths)
    return any(pc.sum(pc.list_value_length(column)).as_py() for column in columns)


def find_crops(
    directory: SurveyDirectory,
    source: SourceSettings,
    images: Images,
    paths: Sequence[Path],
    listing: Path | None = None,
) -> int:
    """Look for crops among the pictures that are in no benchmark yet, add them to the overlaps, and return how many.

    Every picture is read again, and takes about 50 ms for fifty references.

    Args:
        directory: of the survey, with its overlaps.
        source: as it was read.
        images: limits on pictures.
        paths: files of fingerprints, with features.
        listing: the index of the source; that of the survey if not given.

    Raises:
        DatagenError: the extra `crops` is not installed.
    """
    before = pq.read_table(directory.overlaps)
    listing = listing or directory.index
    index = Index(listing)
    names = tuple(str(path) for path in paths)
    calls = [(source, images, listing, number, names, directory.overlaps) for number in range(index.parts)]
    with suited(few=index.count <= FEW):
        found = [row for rows in mapped(_crops_of_part, calls, "looking for crops") for row in rows]
    after = pa.concat_tables([before, pa.Table.from_pylist(found, schema=OVERLAPS)])
    with appearing(directory.overlaps) as unfinished, unfinished.open("wb") as file:
        pq.write_table(after, file, compression="zstd")
    return len(found)


@lru_cache(maxsize=2)
def _references(paths: tuple[str, ...]) -> tuple[FeatureIndex, list[tuple[str, str]]]:
    names: list[tuple[str, str]] = []
    features: list[tuple[int, Features]] = []
    for path in paths:
        for row in pq.read_table(path, columns=["benchmark", "key", "features"]).to_pylist():
            features += [(len(names), Features.unpacked(each)) for each in row["features"]]
            names.append((row["benchmark"], row["key"]))
    return FeatureIndex(features), names


def _crops_of_part(
    source: SourceSettings, images: Images, index: Path, number: int, paths: tuple[str, ...], overlaps: Path
) -> list[dict[str, Any]]:
    known = frozenset(pq.read_table(overlaps, columns=["id"]).column(0).to_pylist())
    entries = [listed for listed in Index(index).part(number) if listed.id not in known]
    return run_to_end(_looked_up(open_source(source, images.max_bytes), images, entries, paths))


async def _looked_up(
    source: Source, images: Images, entries: Sequence[IndexEntry], paths: tuple[str, ...]
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    try:
        for listed in entries:
            try:
                loaded = await source.read(listed.entry)
            except Failure:
                continue
            for data in loaded.pictures:
                if row := await asyncio.to_thread(_crop, data, images, paths):
                    found.append({"id": listed.id, "key": listed.entry.key, **row})
                    break
    finally:
        await source.close()
    return found


def _crop(data: bytes, images: Images, paths: tuple[str, ...]) -> Mapping[str, Any]:
    """Return what a picture is a crop of; nothing where it is none, or cannot be used."""
    index, names = _references(paths)
    try:
        picture = usable(data, images)
        with Image.open(io.BytesIO(picture.data)) as image:
            owner, agreeing = index.match(features_of(image))
    except (Failure, OSError):
        return {}
    if agreeing < INLIERS:
        return {}
    benchmark, reference = names[owner]
    return {"benchmark": benchmark, "reference": reference, "by": "a crop", "distance": _DISTANCE}
