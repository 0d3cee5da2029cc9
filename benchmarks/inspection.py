"""How long the inspection of a run takes, and how much memory: the report, its page, a sheet, and other policies.

    python -m benchmarks.inspection --rows 100000 --pictures 40
    python -m benchmarks.inspection --rows 1000000

A finished run is written first (`benchmarks.stored_runs`: four model calls a row, all rules of `strict`); then each
command runs in a process of its own. Printed are its time, the CPU time, and its greatest memory.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import yaml

from benchmarks.stored_runs import write_run
from filters import load_policy


def measure(name: str, *arguments: str) -> None:
    """Run a datagen command and print what it took."""
    started = time.monotonic()
    child = os.spawnv(os.P_NOWAIT, sys.executable, [sys.executable, "-m", "datagen", *arguments])
    _, status, usage = os.wait4(child, 0)
    seconds = time.monotonic() - started
    if status:
        raise SystemExit(f"datagen {' '.join(arguments)} failed")
    cpu = usage.ru_utime + usage.ru_stime
    print(f"{name:36} {seconds:7.1f} s  {cpu:7.1f} s CPU  {usage.ru_maxrss / 1024:7,.0f} MiB", file=sys.stderr)


def subset(path: Path) -> Path:
    """Write `strict` without one rule and with another one that only flags."""
    document = load_policy("strict").to_dict()
    rules = [rule for rule in document["rules"] if rule["rule"] != "too_short"]
    actions = [{**rule, "action": "flag"} if rule["rule"] == "markup_residue" else rule for rule in rules]
    path.write_text(yaml.safe_dump({"name": "subset", "rules": actions}), encoding="utf-8")
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description="Time and memory of the inspection of a run.")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--pictures", type=int, default=0, help="Different pictures; 0 for a run without any.")
    parser.add_argument("--folder", type=Path, help="Where the run is kept; one that is there is used again.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        run = (options.folder or Path(scratch)) / f"run-{options.rows}"
        if not run.exists():
            started = time.monotonic()
            write_run(run, options.rows, pictures=options.pictures)
            print(f"wrote {options.rows:,} rows in {time.monotonic() - started:.0f} s", file=sys.stderr)
        page = Path(scratch) / "report.html"
        policy = str(subset(Path(scratch) / "subset.yaml"))
        measure("report", "report", str(run), "--json")
        measure("report --html", "report", str(run), "--html", str(page))
        print(f"{'':36} {page.stat().st_size / 1e6:7.2f} MB of HTML", file=sys.stderr)
        measure("review", "review", str(run), "--rule", "too_long", "--out", str(Path(scratch) / "sheets"))
        measure("recut, from stored findings", "recut", str(run), "--policy", policy)
        measure(
            "filter --what-if, two such policies",
            *("filter", str(run), "--what-if", "strict", policy, "--out", scratch),
        )
        measure("explain", "explain", str(run), "000000042.png")


if __name__ == "__main__":
    main()
