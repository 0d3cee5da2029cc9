"""Two machines, a replica of the tiny model on each: what is lost is made again, and the bytes are of a quiet run.

    python -m benchmarks.cluster [--images 150]

The machines are two Ray nodes on this one, each with a vLLM server of its own on the CPU. In the middle of a run one of
these is killed: a server, a whole node, the driver. Printed are the calls, those that were made twice (by their seeds),
how long the run took, and whether its shards are the bytes of the run that nothing befell.
"""

import argparse
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pyarrow.parquet as pq
from ray.cluster_utils import Cluster
from rich.console import Console
from rich.table import Table

from benchmarks.serving import ROOT, write_pictures

WORKERS, IN_FLIGHT = 2, 16
RECIPE = """
task: cluster
source: {{path: none}}
engines: {{vlm: {{model: tiny-vlm, weights: {model}, patience: 30}}}}
stages:
  - {{prompt: caption, engine: vlm, sampling: {{temperature: 0}}}}
  - {{prompt: question_answer, engine: vlm, repeat: 2, sampling: {{temperature: 0}}}}
output: {{part_rows: 16}}
"""


class Machines(NamedTuple):
    """The cluster."""

    cluster: Cluster
    address: str


@contextmanager
def machines() -> Iterator[Machines]:
    """Start two machines with a CPU each."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    try:
        yield Machines(cluster, cluster.address)
    finally:
        cluster.shutdown()  # type: ignore[no-untyped-call]  # Ray leaves it untyped


class Run(NamedTuple):
    """A run of the command and where it writes."""

    process: "subprocess.Popen[str]"
    out: Path

    @property
    def done(self) -> int:
        """Rows that are finished."""
        return sum(path.read_bytes().count(b"\n") for path in self.out.glob("parts/part-*.jsonl")) + sum(
            pq.ParquetFile(path).metadata.num_rows for path in self.out.glob("parts/part-*.parquet")
        )


def start(recipe: Path, pictures: Path, out: Path, address: str) -> Run:
    """Start a run on the cluster."""
    command = [sys.executable, "-m", "datagen", "run", str(recipe), "--images", str(pictures), "--out", str(out)]
    command += ["--set", f"workers={WORKERS}", "--set", f"in_flight={IN_FLIGHT}"]
    environment = {**os.environ, "RAY_ADDRESS": address}
    return Run(subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, text=True), out)


def kill_a_server(_: Run, __: Machines) -> None:
    """Kill the vLLM server of one replica."""
    commands = Path("/proc").glob("[0-9]*/cmdline")
    servers = [int(path.parent.name) for path in commands if b"--served-model-name" in path.read_bytes()]
    os.kill(min(servers), signal.SIGKILL)


def kill_a_machine(_: Run, there: Machines) -> None:
    """Kill the second node with all that runs on it."""
    (other,) = there.cluster.worker_nodes
    there.cluster.remove_node(other, allow_graceful=False)


def kill_the_driver(run: Run, _: Machines) -> None:
    """Kill the command itself."""
    run.process.kill()


def digest(out: Path) -> str:
    """Return one digest of all shards."""
    found = hashlib.sha256()
    for state in ("train", "dropped", "failed"):
        for path in sorted((out / state).glob("*")):
            found.update(path.read_bytes())
    return found.hexdigest()[:12]


def figures(out: Path) -> dict[str, Any]:
    """Return the counts of a finished run and the calls that its servers answered."""
    manifest: dict[str, Any] = orjson.loads((out / "manifest.json").read_bytes())
    log = b"".join(path.read_bytes() for path in out.glob("server-*.log"))
    return {"counts": manifest["counts"], "answered": log.count(b'"POST /v1/chat/completions HTTP/1.1" 200')}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Lost servers, machines and drivers with the tiny model.")
    parser.add_argument("--images", type=int, default=150)
    options = parser.parse_args()
    console = Console(width=140)
    table = Table(
        "killed in mid-run", "inputs = kept + dropped + failed", "calls answered", "more than needed", "s", "shards"
    )
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        pictures = folder / "pictures"
        pictures.mkdir()
        write_pictures(pictures, options.images)
        recipe = folder / "recipe.yaml"
        recipe.write_text(RECIPE.format(model=ROOT / "examples/tiny_vlm/model"), encoding="utf-8")
        quiet = ""
        needed = 0
        kills: dict[str, Callable[[Run, Machines], None] | None] = {
            "nothing": None, "a server": kill_a_server, "a machine": kill_a_machine, "the driver": kill_the_driver,
        }  # fmt: skip
        for name, kill in kills.items():
            out = folder / name.replace(" ", "-")
            with machines() as there:
                began = time.monotonic()
                run = start(recipe, pictures, out, there.address)
                if kill is not None:
                    while run.process.poll() is None and run.done < options.images // 3:
                        time.sleep(0.2)
                    kill(run, there)
                if run.process.wait() != 0:
                    run = start(recipe, pictures, out, there.address)
                    assert run.process.wait() == 0, name
                seconds = time.monotonic() - began
            found = figures(out)
            made = _calls(out)
            quiet, needed = quiet or digest(out), needed or made
            counts = found["counts"]
            table.add_row(
                name, f"{counts['inputs']} = {counts['kept']} + {counts['dropped']} + {counts['failed']}",
                str(found["answered"]), str(found["answered"] - needed), f"{seconds:.0f}",
                "the same bytes" if digest(out) == quiet else "OTHER BYTES",
            )  # fmt: skip
    console.print(
        f"{options.images} pictures, {WORKERS} workers with {IN_FLIGHT} in flight, two machines with a replica each"
    )
    console.print(table)


def _calls(out: Path) -> int:
    """Return how many calls the rows have."""
    shards = [path for state in ("train", "dropped", "failed") for path in (out / state).glob("*.parquet")]
    return sum(len(row["calls"]) for path in shards for row in pq.read_table(path, columns=["calls"]).to_pylist())


if __name__ == "__main__":
    main()
