"""How fast a survey is, how much memory it takes, and how duplicates of a million pictures are found.

    python -m benchmarks.survey [--pictures 2000] [--memory 2000 20000] [--hashes 1000000]

Speed is that of photographs of 1,280 × 960 pixels, all different, on all cores by Ray; memory that of the driver, for
small pictures; and the hashes are random, a tenth of them near copies of others.
"""

import argparse
import io
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console

from benchmarks.memory import peak_megabytes
from benchmarks.throughput import photograph
from datagen.recipe import Images, SourceSettings
from datagen.survey.duplicates import DISTANCE, find_duplicates, owners_of
from datagen.survey.neighbours import near_pairs
from datagen.survey.survey import survey

SAMPLE = 300


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
    parser.add_argument("--only", nargs=2, type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        surveyed(*arguments.only)
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


if __name__ == "__main__":
    main()
