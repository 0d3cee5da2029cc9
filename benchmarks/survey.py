"""How fast a survey is, how much memory it takes, and how duplicates of a million pictures are found.

    python -m benchmarks.survey [--pictures 2000] [--memory 2000 20000] [--rows 2000000] [--hashes 1000000]

Speed is that of photographs of 1,280 × 960 pixels, all different, on all cores by Ray; memory that of the driver, for
small pictures, and for a table of so many rows in which duplicates are looked for; and the hashes are random, a tenth
of them near copies of others.
"""

import argparse
import io
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from rich.console import Console

from benchmarks.memory import peak_megabytes
from benchmarks.throughput import photograph
from datagen.recipe import Images, SourceSettings
from datagen.survey.duplicates import DISTANCE, find_duplicates, owners_of
from datagen.survey.neighbours import near_pairs
from datagen.survey.survey import survey
from datagen.survey.table import TABLE, table_part

SAMPLE = 300
_ROWS_A_PART = 50_000


def write_photographs(folder: Path, count: int) -> None:
    """Write photographs, all different files of sixteen looks."""
    looks = [photograph(number) for number in range(16)]
    for number in range(count):
        (folder / f"{number:06d}.jpg").write_bytes(looks[number % 16] + b"%08d" % number)


def write_small(folder: Path, count: int) -> None:
    """Write small pictures, all different."""
    for number in range(count):
        cells = np.random.default_rng(number).integers(0, 256, (4, 4, 3), np.uint8)
        file = io.BytesIO()
        Image.fromarray(cells).resize((48, 48)).save(file, "JPEG", quality=60)
        (folder / f"{number:06d}.jpg").write_bytes(file.getvalue())


def surveyed(folder: Path, out: Path) -> None:
    """Survey a folder, duplicates included."""
    directory = survey(SourceSettings(path=str(folder)), Images(), out, Console(file=io.StringIO()))
    find_duplicates(directory.table, directory.duplicates)


def write_table(folder: Path, count: int) -> None:
    """Write the table of a survey of pictures that are nowhere."""
    draw = np.random.default_rng(0)
    for part, start in enumerate(range(0, count, _ROWS_A_PART)):
        rows = min(_ROWS_A_PART, count - start)
        columns = {field.name: pa.nulls(rows, field.type) for field in TABLE}
        columns["id"] = pa.array([draw.bytes(16).hex() for _ in range(rows)])
        columns["sha256"] = pa.array([draw.bytes(32).hex() for _ in range(rows)])
        columns["key"] = pa.array([f"photographs/{number:09d}.jpg" for number in range(start, start + rows)])
        columns["phash"] = pa.array(draw.integers(-(2**63), 2**63 - 1, rows))
        columns["contrast"] = pa.array(np.full(rows, 50, np.float32))
        columns["failure"] = pa.array([""] * rows)
        pq.write_table(pa.table(columns).select(TABLE.names).cast(TABLE), table_part(folder, part))


def near_copies(count: int) -> "np.ndarray[tuple[int], np.dtype[np.uint64]]":
    """Return different random hashes, a tenth of which are near copies of others."""
    draw = np.random.default_rng(0)
    base = draw.integers(0, 2**64, count * 9 // 10, dtype=np.uint64)
    copies = base[: count // 10].copy()
    for _ in range(DISTANCE):
        copies ^= np.uint64(1) << draw.integers(0, 64, len(copies), dtype=np.uint64)
    return np.unique(np.concatenate([base, copies]))


def duplicates_of(count: int) -> None:
    """Print how near pairs of so many hashes are found, and whether all of a sample are."""
    hashes = near_copies(count)
    started = time.monotonic()
    found = {
        (int(one), int(other))
        for first, second in near_pairs(hashes, DISTANCE)
        for one, other in zip(first, second, strict=True)
    }
    seconds = time.monotonic() - started
    expected = missed = 0
    for place in np.random.default_rng(1).choice(len(hashes), SAMPLE, replace=False):
        apart = np.bitwise_count(hashes ^ hashes[place])
        for other in np.flatnonzero(apart <= DISTANCE):
            if other != place:
                expected += 1
                missed += (min(int(place), int(other)), max(int(place), int(other))) not in found
    started = time.monotonic()
    owners = owners_of(np.random.default_rng(2).permutation(hashes), DISTANCE)
    deciding = time.monotonic() - started
    print(
        f"{len(hashes):,} hashes: {len(found):,} pairs within {DISTANCE} bits in {seconds:.1f} s; "
        f"of {SAMPLE} compared with all others {expected} pairs, {missed} missed; "
        f"{(owners != np.arange(len(owners))).sum():,} duplicates decided in {deciding:.1f} s"
    )


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--memory", type=int, nargs="*", default=[2000, 20000])
    parser.add_argument("--hashes", type=int, default=1_000_000)
    parser.add_argument("--rows", type=int, nargs="*", default=[2_000_000])
    parser.add_argument("--only", nargs=2, type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--only-duplicates", nargs=2, type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        surveyed(*arguments.only)
        return
    if arguments.only_duplicates:
        find_duplicates(*arguments.only_duplicates)
        return
    duplicates_of(arguments.hashes)
    with tempfile.TemporaryDirectory() as folder:
        for name, count, write in (
            ("photographs", arguments.pictures, write_photographs),
            *(("small pictures", count, write_small) for count in arguments.memory),
        ):
            pictures, out = Path(folder) / f"{name} {count}", Path(folder) / f"out {name} {count}"
            pictures.mkdir()
            write(pictures, count)
            command = [sys.executable, "-m", "benchmarks.survey", "--only", str(pictures), str(out)]
            megabytes, seconds = peak_megabytes(command)
            print(f"{count:,} {name}: {count / seconds:,.0f}/s with Ray's start, {megabytes:,.0f} MB in the driver")
        for count in arguments.rows:
            table = Path(folder) / f"table {count}"
            table.mkdir()
            write_table(table, count)
            command = [sys.executable, "-m", "benchmarks.survey", "--only-duplicates", str(table), f"{table}.parquet"]
            megabytes, seconds = peak_megabytes(command)
            print(f"{count:,} rows: duplicates in {seconds:,.0f} s and {megabytes:,.0f} MB")


if __name__ == "__main__":
    main()
