"""Pictures that are there more than once in a set, as the same file or nearly the same to look at.

Pictures are taken in the order of their ids. One that is near to a picture that was kept is a duplicate of it, of the
one with the first id if there are several; else it is kept. So who stays depends on the set alone and not on the order
of work, and no chain of small steps makes two different pictures the same.
"""

import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from datagen.files.plain_names import plain_names
from datagen.files.writing import appearing
from datagen.survey.measures import LEAST_CONTRAST
from datagen.survey.neighbours import near_pairs
from datagen.survey.table import parts_of

DISTANCE = 6
"""Bits of 64. At 8 a million unrelated pictures have about a hundred pairs by chance alone, at 6 about two."""
_FIELDS: "list[pa.Field[Any]]" = [
    pa.field("id", pa.string()),
    pa.field("key", pa.string()),
    pa.field("duplicate_of", pa.string()),
    pa.field("original", pa.string()),
    pa.field("distance", pa.int32()),
]
DUPLICATES = pa.schema(_FIELDS)
"""The duplicates: id and key, those of the picture that stays, and the distance of their hashes; -1 for one file."""
SAME_FILE = -1
_MEMORY = "512MB"
"""Of the database; what is beyond it goes to the disk. Beside it a picture takes about 170 bytes of numbers."""
_PLACED = """
SELECT row_number() OVER (ORDER BY id) - 1 AS place, * FROM (
    SELECT id, key, sha256, phash, contrast FROM pictures
    WHERE failure = '' QUALIFY count(*) OVER (PARTITION BY id) = 1
)
"""
_NUMBERS = "SELECT phash, contrast, min(place) OVER (PARTITION BY sha256) AS owner FROM placed ORDER BY place"
_NAMED = """
SELECT here.id, here.key, there.id AS duplicate_of, there.key AS original, distance
FROM found JOIN placed AS here USING (place) JOIN placed AS there ON there.place = owner ORDER BY place
"""


class Found(NamedTuple):
    """How many duplicates a set has.

    Attributes:
        files: pictures whose bytes are those of another one.
        near: others that look nearly the same.
    """

    files: int
    near: int


def find_duplicates(table: Path, out: Path, distance: int = DISTANCE) -> Found:
    """Write the duplicates of a survey's table, sorted by id, and return how many there are.

    Rows with several pictures are left out, and pictures without contrast are duplicates only of the same file: their
    hashes say nothing.

    Args:
        table: the folder of the table's parts.
        out: the file.
        distance: in bits of the perceptual hash; -1 for the same files alone.
    """
    with (
        tempfile.TemporaryDirectory(prefix="datagen-", dir=out.parent) as folder,
        plain_names(*parts_of(table), Path(folder)) as (*names, spill),
        duckdb.connect(config={"memory_limit": _MEMORY, "temp_directory": spill}) as connection,
    ):
        connection.read_parquet(names, hive_partitioning=False).create_view("pictures")
        connection.sql(_PLACED).create_view("placed")
        rows = connection.sql(_NUMBERS).to_arrow_table()
        hashes, contrasts, first = (rows.column(name).to_numpy() for name in rows.column_names)
        owners, distances = _owners(hashes, contrasts, first, distance)
        places = np.flatnonzero(owners != np.arange(len(owners)))
        found = pa.table({"place": places, "owner": owners[places], "distance": distances[places]})
        connection.register("found", found)
        with appearing(out) as unfinished, pq.ParquetWriter(unfinished, DUPLICATES, compression="zstd") as writer:
            for batch in connection.sql(_NAMED).to_arrow_reader():
                writer.write_batch(batch.cast(DUPLICATES))
    same = int((distances[places] == SAME_FILE).sum())
    return Found(same, len(places) - same)


def _owners(
    hashes: npt.NDArray[np.int64], contrasts: npt.NDArray[np.float32], owners: npt.NDArray[np.int64], distance: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return for every picture the place of the one that stays for it, its own if it stays, and their distance.

    Args:
        hashes: of each, in the order of the ids.
        contrasts: likewise.
        owners: of each, the first place with the same file.
        distance: in bits, -1 for the same files alone.
    """
    owners = owners.copy()
    distances = np.where(owners == np.arange(len(owners)), 0, SAME_FILE)
    if distance < 0:
        return owners, distances
    bits = hashes.view(np.uint64)
    clear = (contrasts >= LEAST_CONTRAST) & (owners == np.arange(len(owners)))
    places = np.flatnonzero(clear)
    near = places[owners_of(bits[places], distance)]
    moved = near != places
    owners[places[moved]] = near[moved]
    distances[places[moved]] = np.bitwise_count(bits[places[moved]] ^ bits[near[moved]])
    return owners[owners], distances  # the same file as one that is a duplicate itself


def owners_of(hashes: npt.NDArray[np.uint64], distance: int) -> npt.NDArray[np.int64]:
    """Return for every hash, in order, the place of the first one that stays and is near to it; its own if it stays.

    One stays if no earlier one that stays is near. They are found in rounds, in each of which those stay that have no
    earlier neighbour left, and their neighbours go (the first maximal independent set; Blelloch, Fineman and Shun
    2012). No list of pairs is held, so that a set with many pictures of one thing takes time and no memory.
    """
    unique, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    order = np.argsort(first)
    ordered = unique[order]
    stays = np.zeros(len(ordered), bool)
    left = np.arange(len(ordered))
    while len(left):
        earlier, goes = np.zeros(len(left), bool), np.zeros(len(left), bool)
        for _, second in near_pairs(ordered[left], distance):
            earlier[second] = True
        for one, second in near_pairs(ordered[left], distance):
            goes[second[~earlier[one]]] = True
        stays[left[~earlier]] = True
        left = left[earlier & ~goes]
    owner = np.where(stays, np.arange(len(ordered)), len(ordered))
    for one, other in near_pairs(ordered, distance):
        for here, there in ((one, other), (other, one)):
            chosen = stays[here] & ~stays[there]
            np.minimum.at(owner, there[chosen], here[chosen])
    places = np.empty(len(ordered), np.int64)
    places[order] = first[order][owner]
    found: npt.NDArray[np.int64] = places[inverse]
    return found
