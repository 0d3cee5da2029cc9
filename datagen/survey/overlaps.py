"""The pictures of a set that are in a benchmark, looked up in its fingerprints: by id, by file, by look."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from datagen.errors import DatagenError
from datagen.files.reading import open_parquet
from datagen.files.writing import appearing
from datagen.survey.fingerprints import FINGERPRINTS
from datagen.survey.measures import LEAST_CONTRAST
from datagen.survey.table import batches
from datagen.survey.windows import windows

NEAR = 10
"""Bits of 64 up to which the perceptual hash of a window is that of the same picture, if the other hash agrees."""
_AGREES = 16
"""Bits up to which the difference hash does; unrelated pictures that are near by the first have 32 on average."""
_ID, _FILE = -2, -1
_HASHES = ("phash", "inner", "dhash", "inner_dhash")
_PICTURES = pa.schema([field for field in FINGERPRINTS if field.name not in ("features", "questions")])
"""The columns of fingerprints that are read here: what is known of a picture as a whole."""
_QUERIES, _REFERENCES = 64, 1 << 16
_FOUND: "list[pa.Field[Any]]" = [
    pa.field("id", pa.string()),
    pa.field("key", pa.string()),
    pa.field("benchmark", pa.string()),
    pa.field("reference", pa.string()),
    pa.field("by", pa.string()),
    pa.field("distance", pa.int32()),
]
OVERLAPS = pa.schema(_FOUND)
"""Pictures that are in a benchmark: id, key, the benchmark, its picture, by what it is known, and how far apart."""


class References(NamedTuple):
    """Fingerprints, ready to be compared with.

    Attributes:
        names: benchmark and key of each reference.
        photos: reference by the photo's id; `files` by the SHA-256 of the file.
        hashes: of all windows; `gradients` their difference hashes; `owners` says which reference each is of.
    """

    names: list[tuple[str, str]]
    photos: dict[str, int]
    files: dict[str, int]
    hashes: npt.NDArray[np.uint64]
    gradients: npt.NDArray[np.uint64]
    owners: npt.NDArray[np.int64]


def read_fingerprints(paths: Sequence[Path]) -> References:
    """Read files of fingerprints.

    Raises:
        DatagenError: one is none.
    """
    names: list[tuple[str, str]] = []
    photos: dict[str, int] = {}
    files: dict[str, int] = {}
    hashes: list[int] = []
    gradients: list[int] = []
    owners: list[int] = []
    for path in paths:
        if not path.is_file():
            raise DatagenError(f"There is no file of fingerprints {path}; datagen fingerprint writes one.")
        with open_parquet(path, "Give a file that datagen fingerprint has written.") as file:
            if not pa.schema([field for field in file.schema_arrow if field.name in _PICTURES.names]).equals(_PICTURES):
                raise ValueError("it holds no fingerprints")
            rows = file.read(columns=_PICTURES.names).to_pylist()
        for row in rows:
            if not row["photo"] and not row["sha256"]:
                continue  # it has questions alone
            if row["photo"]:
                photos.setdefault(row["photo"], len(names))
            if row["sha256"]:
                files.setdefault(row["sha256"], len(names))
            owners += [len(names)] * len(row["windows"])
            hashes += row["windows"]
            gradients += row["gradients"]
            names.append((row["benchmark"], row["key"]))
    return References(names, photos, files, unsigned(hashes), unsigned(gradients), np.array(owners, np.int64))


def unsigned(hashes: Sequence[int]) -> npt.NDArray[np.uint64]:
    """Return hashes that stand as signed numbers as bits."""
    return np.array(hashes, np.int64).view(np.uint64)


def find_overlaps(table: Path, references: References, out: Path, near: int = NEAR) -> int:
    """Write the pictures of a survey's table that are in a benchmark, and return how many there are.

    By the photo's id first, then by the file, then by the look: the window that is nearest, at most `near` bits away.
    """
    found: list[dict[str, Any]] = []
    for batch in batches(table, ("id", "key", "photo", "sha256", *_HASHES, "contrast", "failure")):
        found += _overlaps(batch.to_pylist(), references, near)
    with appearing(out) as unfinished, unfinished.open("wb") as file:
        pq.write_table(pa.Table.from_pylist(found, schema=OVERLAPS), file, compression="zstd")
    return len(found)


def _overlaps(rows: Sequence[dict[str, Any]], references: References, near: int) -> Iterator[dict[str, Any]]:
    looked_at = [row for row in rows if not row["failure"] and row["contrast"] >= LEAST_CONTRAST]
    phashes, dhashes = (
        unsigned([row[name] for row in looked_at for name in names]).reshape(-1, 2)
        for names in (_HASHES[:2], _HASHES[2:])
    )
    best = dict(zip((row["id"] for row in looked_at), matches(phashes, dhashes, references), strict=True))
    window_names = [name for name, _ in windows(Image.new("L", (8, 8)))]
    for row in rows:
        place, distance = best.get(row["id"], (-1, 65))
        photo, file = references.photos.get(row["photo"] or "-"), references.files.get(row["sha256"] or "-")
        if photo is not None:
            owner, by, away = photo, "photo id", _ID
        elif file is not None:
            owner, by, away = file, "file", _FILE
        elif distance <= near:
            owner = int(references.owners[place])
            by = window_names[place - int(np.searchsorted(references.owners, owner))]
            away = distance
        else:
            continue
        benchmark, reference = references.names[owner]
        head = {"id": row["id"], "key": row["key"]}
        yield {**head, "benchmark": benchmark, "reference": reference, "by": by, "distance": away}


def matches(
    phashes: npt.NDArray[np.uint64], dhashes: npt.NDArray[np.uint64], references: References
) -> list[tuple[int, int]]:
    """Return for every picture the place of the nearest window by which it is known, and its distance.

    A window whose difference hash does not agree is none, and 65 bits away.

    Args:
        phashes: two a picture, of it and of what is inside its border.
        dhashes: likewise.
        references: what is compared with.
    """
    if not len(references.hashes):
        return [(-1, 65)] * len(phashes)
    places, distances = nearest(phashes.reshape(-1), references.hashes)
    apart = np.bitwise_count(dhashes.reshape(-1) ^ references.gradients[places])
    distances = np.where(apart <= _AGREES, distances, 65).reshape(-1, 2)
    chosen, rows = distances.argmin(axis=1), np.arange(len(distances))
    return list(zip(places.reshape(-1, 2)[rows, chosen].tolist(), distances[rows, chosen].tolist(), strict=True))


def nearest(
    queries: npt.NDArray[np.uint64], references: npt.NDArray[np.uint64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return for every query the place of the nearest reference, of which there is one at least, and its distance."""
    places = np.zeros(len(queries), np.int64)
    distances = np.full(len(queries), 65, np.int64)
    for start in range(0, len(queries), _QUERIES):
        some = queries[start : start + _QUERIES, None]
        for first in range(0, len(references), _REFERENCES):
            apart = np.bitwise_count(some ^ references[None, first : first + _REFERENCES])
            place = apart.argmin(axis=1)
            value = apart[np.arange(len(place)), place]
            better = value < distances[start : start + _QUERIES]
            places[start : start + _QUERIES][better] = first + place[better]
            distances[start : start + _QUERIES][better] = value[better]
    return places, distances
