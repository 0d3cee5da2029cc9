"""Fingerprints of a benchmark, by which copies of its pictures and questions are found in a set.

A file of fingerprints is Parquet with one row a picture: its name there, the SHA-256 of its file, the id of the photo
if its name has one as Flickr's have, two hashes of each of its windows, and the hashed n-grams of what is asked about
it. A row whose picture cannot be used has its questions alone. It is made from a user's own copy of the benchmark.
"""

import asyncio
import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageOps

from datagen.errors import DatagenError
from datagen.event_loops import run_to_end
from datagen.failures import Failure
from datagen.files.writing import appearing
from datagen.pictures.picture import Picture, usable
from datagen.progress import counted
from datagen.recipe import Images, SourceSettings
from datagen.sources import Entry, Loaded, Source, open_source, settled
from datagen.survey.features import features_of
from datagen.survey.photos import photo_id
from datagen.survey.questions import asked_of_rows, hashed
from datagen.survey.windows import window_hashes

_FIELDS: "list[pa.Field[Any]]" = [
    pa.field("benchmark", pa.string()),
    pa.field("key", pa.string()),
    pa.field("photo", pa.string()),
    pa.field("sha256", pa.string()),
    pa.field("windows", pa.list_(pa.int64())),
    pa.field("gradients", pa.list_(pa.int64())),
    pa.field("features", pa.list_(pa.struct([("points", pa.binary()), ("descriptors", pa.binary())]))),
    pa.field("questions", pa.list_(pa.list_(pa.int64()))),
]
FINGERPRINTS = pa.schema(_FIELDS)


class Fingerprinted(NamedTuple):
    """How many pictures and questions a file of fingerprints has."""

    pictures: int
    questions: int


def make_fingerprints(
    source: SourceSettings,
    images: Images,
    name: str,
    out: Path,
    *,
    features: bool = False,
    questions: Sequence[str] = (),
) -> Fingerprinted:
    """Write the fingerprints of all pictures of a source, and of its questions.

    Args:
        source: a copy of the benchmark.
        images: limits on pictures.
        name: of the benchmark.
        out: the file.
        features: whether with local features, by which crops from anywhere are known; 80 kB a picture.
        questions: the columns with questions; those of conversations are taken without.

    Raises:
        DatagenError: the source cannot be read, has no such column, or has neither a picture that can be used nor a
            question, or the extra `crops` is missing.
    """
    decided = settled(source, images.max_bytes)
    opened = open_source(decided, images.max_bytes)
    asked = asked_of_rows(opened, decided, questions)
    entries = list(source.chosen(opened.entries()))
    rows = run_to_end(_fingerprinted(opened, zip(entries, asked, strict=False), len(entries), images, name, features))
    if not rows:
        raise DatagenError(
            f"{source.path} has no picture that can be used; give a folder, Parquet or data set with some."
        )
    made = Fingerprinted(sum(bool(row["sha256"]) for row in rows), sum(len(row["questions"]) for row in rows))
    if questions and not made.questions:
        raise DatagenError(
            f"--questions {', '.join(questions)}: no row of {source.path} has a text there; name another."
        )
    with appearing(out) as unfinished:
        write_fingerprints(unfinished, rows)
    return made


def write_fingerprints(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows of `FINGERPRINTS`."""
    with path.open("wb") as file:
        pq.write_table(pa.Table.from_pylist([*rows], schema=FINGERPRINTS), file, compression="zstd")


async def _fingerprinted(
    source: Source,
    entries: Iterable[tuple[Entry, Sequence[str]]],
    count: int,
    images: Images,
    name: str,
    features: bool,
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    try:
        with counted("fingerprints", count) as advance:
            for entry, asked in entries:
                try:
                    loaded = await source.read(entry)
                except Failure:
                    loaded = Loaded()
                said = [message.content for message in loaded.messages if message.role == "user"]
                head = {"benchmark": name, "key": entry.key, "photo": photo_id(entry.url) or photo_id(entry.key)}
                looks = [await asyncio.to_thread(_look, data, images, features) for data in loaded.pictures]
                found = [{**head, **look, "questions": []} for look in looks if look]
                if questions := hashed([*asked, *said]):
                    found = found or [{**head, "sha256": "", "windows": [], "gradients": [], "features": []}]
                    found[0]["questions"] = questions
                rows += found
                advance(1)
    finally:
        await source.close()
    return rows


def _look(data: bytes, images: Images, features: bool) -> dict[str, Any]:
    """Return what a picture is known by; nothing of one that cannot be used."""
    try:
        return look_of(data, usable(data, images), features=features)
    except Failure:
        return {}


def look_of(data: bytes, picture: Picture, *, features: bool = False) -> dict[str, Any]:
    """Return what a picture is known by, as columns of `FINGERPRINTS`.

    Args:
        data: its file.
        picture: it.
        features: whether with local features.
    """
    with Image.open(io.BytesIO(picture.data)) as image:
        hashes = window_hashes(image)
        both = (image, ImageOps.mirror(image)) if features else ()
        packed = [features_of(each).packed() for each in both]
    return {
        "sha256": hashlib.sha256(data).hexdigest(),
        "windows": [each.phash for each in hashes],
        "gradients": [each.dhash for each in hashes],
        "features": packed,
    }
