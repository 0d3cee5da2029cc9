"""Fingerprints of a benchmark's pictures, by which their copies are found in a set; no picture can be made of them.

A file of fingerprints is Parquet with one row a picture: its name there, the SHA-256 of its file, the id of the photo
if its name has one as Flickr's have, and two hashes of each of its windows. It is made from a user's own copy of the
benchmark.
"""

import asyncio
import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageOps

from datagen.errors import DatagenError
from datagen.event_loops import run_to_end
from datagen.failures import Failure
from datagen.files.writing import appearing
from datagen.pictures.picture import usable
from datagen.progress import counted
from datagen.recipe import Images, SourceSettings
from datagen.sources import Entry, Source, open_source, settled
from datagen.survey.features import features_of
from datagen.survey.photos import photo_id
from datagen.survey.windows import window_hashes

_FIELDS: "list[pa.Field[Any]]" = [
    pa.field("benchmark", pa.string()),
    pa.field("key", pa.string()),
    pa.field("photo", pa.string()),
    pa.field("sha256", pa.string()),
    pa.field("windows", pa.list_(pa.int64())),
    pa.field("gradients", pa.list_(pa.int64())),
    pa.field("features", pa.list_(pa.struct([("points", pa.binary()), ("descriptors", pa.binary())]))),
]
FINGERPRINTS = pa.schema(_FIELDS)


def make_fingerprints(source: SourceSettings, images: Images, name: str, out: Path, *, features: bool = False) -> int:
    """Write the fingerprints of all pictures of a source, and return how many there are.

    Args:
        source: a copy of the benchmark.
        images: limits on pictures.
        name: of the benchmark.
        out: the file.
        features: whether with local features, by which crops from anywhere are known; 80 kB a picture.

    Raises:
        DatagenError: the source cannot be read, or has no picture that can be used, or the extra `crops` is missing.
    """
    opened = open_source(settled(source, images.max_bytes), images.max_bytes)
    entries = list(source.chosen(opened.entries()))
    rows = run_to_end(_fingerprinted(opened, entries, images, name, features))
    if not rows:
        raise DatagenError(
            f"{source.path} has no picture that can be used; give a folder, Parquet or data set with some."
        )
    with appearing(out) as unfinished, unfinished.open("wb") as file:
        pq.write_table(pa.Table.from_pylist(rows, schema=FINGERPRINTS), file, compression="zstd")
    return len(rows)


async def _fingerprinted(
    source: Source, entries: Sequence[Entry], images: Images, name: str, features: bool
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    try:
        with counted("fingerprints", len(entries)) as advance:
            for entry in entries:
                try:
                    loaded = await source.read(entry)
                except Failure:
                    loaded = None
                for data in loaded.pictures if loaded else ():
                    rows += await asyncio.to_thread(_fingerprint, data, entry, images, name, features)
                advance(1)
    finally:
        await source.close()
    return rows


def _fingerprint(data: bytes, entry: Entry, images: Images, name: str, features: bool) -> list[dict[str, Any]]:
    """Return the row of a picture; none of one that cannot be used."""
    try:
        picture = usable(data, images)
        with Image.open(io.BytesIO(picture.data)) as image:
            hashes = window_hashes(image)
            both = (image, ImageOps.mirror(image)) if features else ()
            packed = [features_of(each).packed() for each in both]
    except Failure:
        return []
    return [
        {
            "benchmark": name,
            "key": entry.key,
            "photo": photo_id(entry.url) or photo_id(entry.key),
            "sha256": hashlib.sha256(data).hexdigest(),
            "windows": [each.phash for each in hashes],
            "gradients": [each.dhash for each in hashes],
            "features": packed,
        }
    ]
