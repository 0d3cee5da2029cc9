"""Rows a second of `datagen filter`: the whole command on one core and on all of them.

python -m benchmarks.filter_cores [--rows 200000]
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from benchmarks.filters import answers


def write_rows(path: Path, count: int) -> None:
    """Write conversations of one turn each, with answers of about 150 characters."""
    columns = {
        "id": [f"row-{number}" for number in range(count)],
        "question": ["何が写っていますか？"] * count,
        "answer": list(answers(count)),
    }
    pq.write_table(pa.table(columns), path, row_group_size=4096)


def seconds(source: Path, out: Path, cores: set[int]) -> float:
    """Run `datagen filter` on these cores alone, and return how long it took."""
    command = [sys.executable, "-m", "datagen", "filter", str(source), "--policy", "standard", "--out", str(out)]
    started = time.perf_counter()
    subprocess.run(
        command,
        check=True,
        stdout=subprocess.DEVNULL,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )
    return time.perf_counter() - started


def main() -> None:
    """Print both times and the ratio."""
    parser = argparse.ArgumentParser(description="Rows a second of datagen filter on one core and on all.")
    parser.add_argument("--rows", type=int, default=200_000)
    options = parser.parse_args()
    console = Console(soft_wrap=True)
    cores = os.sched_getaffinity(0)
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "rows.parquet"
        write_rows(source, options.rows)
        one = seconds(source, Path(scratch) / "one", {min(cores)})
        every = seconds(source, Path(scratch) / "all", cores)
    console.print(
        f"{options.rows:,} rows: {options.rows / one:,.0f} rows/s on one core, {options.rows / every:,.0f} "
        f"on {len(cores)}, ratio {one / every:.2f} (start and end of the command included)"
    )


if __name__ == "__main__":
    main()
