"""How fast exports are, as a ratio to `cp -r` of the same bytes, and how much memory they take.

    python -m benchmarks.exports --rows 2000
    python -m benchmarks.exports --memory 10000 200000

A run has photographs of about 240 kB, all different; export and copy take turns, and each figure is the median of the
rounds. For memory the pictures are small, so that rows and not disks are what is measured.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

from benchmarks.memory import peak_megabytes
from benchmarks.stored_runs import write_run
from benchmarks.throughput import photograph
from datagen.exporters import EXPORTERS
from datagen.exporters.writing.export import export

ROUNDS = 3


@cache
def _base(number: int) -> bytes:
    return photograph(number)


def photograph_of(row: int) -> bytes:
    """A JPEG that no other row has: a comment stands behind its end."""
    return _base(row % 16) + b"%08d" % row


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def speeds(folder: Path, rows: int, names: list[str]) -> None:
    run, out, copy = folder / "run", folder / "out", folder / "copy"
    write_run(run, rows, failed=0.0, photographs=photograph_of, shard_bytes=64_000_000)

    def export_once(name: str) -> None:
        export(run, [name], out)

    def copy_once() -> None:
        subprocess.run(["cp", "-r", out, copy], check=True)

    sys.stdout.write("| format | MB | export MB/s | cp -r MB/s | export / cp -r |\n| --- |" + " ---: |" * 4 + "\n")
    for name in names:
        exports, copies = [], []
        for _ in range(ROUNDS):
            shutil.rmtree(out, ignore_errors=True)
            exports.append(seconds(partial(export_once, name)))
            shutil.rmtree(copy, ignore_errors=True)
            copies.append(seconds(copy_once))
        size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file()) / 1e6
        exported, copied = size / statistics.median(exports), size / statistics.median(copies)
        sys.stdout.write(f"| `{name}` | {size:,.0f} | {exported:,.0f} | {copied:,.0f} | {exported / copied:.2f} |\n")


def memory(folder: Path, sizes: list[int]) -> None:
    names = [option for name in EXPORTERS.shipped for option in ("--format", name)]
    sys.stdout.write("| rows | all formats at once, MB | --check, MB |\n| ---: | ---: | ---: |\n")
    for rows in sizes:
        run, out = folder / f"run-{rows}", folder / f"out-{rows}"
        write_run(run, rows, failed=0.0, pictures=64)
        command = [sys.executable, "-m", "datagen", "export"]
        peak, _ = peak_megabytes([*command, str(run), *names, "--out", str(out)])
        checking, _ = peak_megabytes([*command, "--check", str(out)])
        sys.stdout.write(f"| {rows:,} | {peak:,.0f} | {checking:,.0f} |\n")
        shutil.rmtree(run)
        shutil.rmtree(out)


def main() -> None:
    parser = argparse.ArgumentParser(description="Speed and memory of exports.")
    parser.add_argument("--rows", type=int, default=2_000)
    parser.add_argument("--formats", nargs="+", default=list(EXPORTERS.shipped))
    parser.add_argument("--memory", type=int, nargs="+")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.memory:
            memory(Path(folder), options.memory)
        else:
            speeds(Path(folder), options.rows, options.formats)


if __name__ == "__main__":
    main()
