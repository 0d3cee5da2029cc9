"""What server faults do to a run: each is made to happen, and what became of the rows is shown.

    python -m benchmarks.faults [--images 60]

`CASES` are the faults that single requests meet; tests/pipeline/test_faults.py proves the same outcomes. The others
are about whole servers: one that restarts, one of two that dies and comes back, all of them gone.
"""

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import orjson
from rich.console import Console
from rich.table import Table

from benchmarks.fake_server import Fault, logged_requests
from benchmarks.kills import Server, digest_of
from benchmarks.memory import write_pictures

CALLS_AN_IMAGE = 2
RECIPE = """
source: {path: none}
engines: {vlm: {model: fake-vlm, endpoints: [none], timeout: 2, patience: 6}}
stages: [{prompt: caption, engine: vlm}, {prompt: question_answer, engine: vlm}]
workers: 1
in_flight: 16
output: {part_rows: 16}
"""


class Case(NamedTuple):
    """A fault of single requests and what it does.

    Attributes:
        name: for the table.
        fault: what the server does.
        failure: the class of the rows that it makes fail; empty when it leaves no trace.
        tries: how often a request is made that meets it, in all.
    """

    name: str
    fault: Fault
    failure: str
    tries: int


CASES = (
    Case("429 with Retry-After: 1, once", Fault("status", 429, "1", share=0.3, times=1), "", 2),
    Case("500, twice", Fault("status", 500, share=0.3, times=2), "", 3),
    Case("502, once", Fault("status", 502, share=0.3, times=1), "", 2),
    Case("503, once", Fault("status", 503, share=0.3, times=1), "", 2),
    Case("connection reset, once", Fault("reset", share=0.3, times=1), "", 2),
    Case("no answer in time, once", Fault("hang", share=0.1, times=1), "", 2),
    Case("truncated JSON, once", Fault("truncated", share=0.3, times=1), "", 2),
    Case("JSON of another shape, once", Fault("wrong_shape", share=0.3, times=1), "", 2),
    Case("no choices, once", Fault("no_choices", share=0.3, times=1), "", 2),
    Case("400 for some rows, always", Fault("status", 400, share=0.1), "http_error", 1),
    Case("500 for some rows, always", Fault("status", 500, share=0.1), "http_error", 6),
    Case("no answer for some rows, always", Fault("hang", share=0.1), "timeout", 3),
    Case("no choices for some rows, always", Fault("no_choices", share=0.1), "bad_response", 2),
    Case("10 MB for some rows, always", Fault("long", share=0.1), "bad_response", 2),
    Case("answers off the schema, always", Fault("off_schema"), "unparsable_answer", 1),
)


class Bench:
    """A folder of pictures, two fake servers, and what an undisturbed run makes of them."""

    def __init__(self, folder: Path, images: int) -> None:
        self.folder = folder
        self.images = images
        write_pictures(folder, images)
        (folder / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
        self.servers = [Server(21000 + number, folder / f"requests-{number}.log", 0.3) for number in range(2)]
        for server in self.servers:
            server.start()
        self.runs = 0
        self.run(1)
        self.expected = digest_of(self.out)

    @property
    def out(self) -> Path:
        """The directory of the last run."""
        return self.folder / f"out-{self.runs}"

    def run(self, servers: int, *options: str, again: bool = False, meanwhile: Callable[[], None] | None = None) -> str:
        """Run with the first servers, in a new directory or on in the last one; return what it said in the end."""
        self.runs += not again
        if not again:
            for server in self.servers:
                server.log.write_bytes(b"")
        command = [sys.executable, "-m", "datagen", "run", str(self.folder / "recipe.yaml"), "--out", str(self.out)]
        command += ["--images", str(self.folder / "pictures"), *options]
        for server in self.servers[:servers]:
            command += ["--endpoint", server.endpoint]
        thread = threading.Thread(target=meanwhile) if meanwhile else None
        if thread:
            thread.start()
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if thread:
            thread.join()
        return result.stderr.strip() if result.returncode else ""

    def requests(self) -> list[Counter[str]]:
        """Return how often each seed came to each server in the last run."""
        return [Counter(seed for _, seed in logged_requests(server.log)) for server in self.servers]

    def wait_for_requests(self, count: int) -> None:
        """Wait until the first server has been asked so often."""
        while len(logged_requests(self.servers[0].log)) < count:
            time.sleep(0.05)

    def outcome(self) -> str:
        """Say what the last run made."""
        if digest_of(self.out) == self.expected:
            return "shards as without the fault"
        manifest = orjson.loads((self.out / "manifest.json").read_bytes())
        counts, failures = manifest["counts"], manifest["failures"]
        failed = ", ".join(f"{count} {name}" for name, count in failures.items())
        return f"{counts['inputs']} inputs = {counts['kept']} kept + {counts['dropped']} dropped + {failed}"


def restart(bench: Bench) -> str:
    """The server is killed in mid-run and comes back after two seconds."""

    def meanwhile() -> None:
        bench.wait_for_requests(bench.images // 2)
        bench.servers[0].kill()
        time.sleep(2)
        bench.servers[0].start()

    bench.run(1, meanwhile=meanwhile)
    return f"{bench.outcome()}; {_repeated(bench)} calls repeated"


def one_of_two(bench: Bench) -> str:
    """One of two servers dies in mid-run and stays away."""

    def meanwhile() -> None:
        bench.wait_for_requests(bench.images // 4)
        bench.servers[0].kill()

    bench.run(2, meanwhile=meanwhile)
    bench.servers[0].start()
    first, second = bench.requests()
    return f"{bench.outcome()}; {first.total()} calls here, {second.total()} there, {_repeated(bench)} repeated"


def one_comes_back(bench: Bench) -> str:
    """One of two servers dies in mid-run and comes back."""
    calls_before = 0

    def meanwhile() -> None:
        nonlocal calls_before
        bench.wait_for_requests(bench.images // 4)
        bench.servers[0].kill()
        bench.servers[0].start()
        calls_before = len(logged_requests(bench.servers[0].log))

    bench.run(2, "--set", "in_flight=2", meanwhile=meanwhile)  # so slow that it outlasts the server's absence
    return f"{bench.outcome()}; {bench.requests()[0].total() - calls_before} calls after it came back"


def all_gone(bench: Bench) -> str:
    """The only server goes; the run is started again when it is back."""
    gone = 0.0

    def meanwhile() -> None:
        nonlocal gone
        bench.wait_for_requests(bench.images // 2)
        bench.servers[0].kill()
        gone = time.time()

    sentence = bench.run(1, meanwhile=meanwhile)
    seconds = time.time() - gone
    bench.servers[0].start()
    bench.run(1, again=True)
    shown = sentence.replace(str(bench.folder), "…")
    return f"after {seconds:.0f} s: “{shown}”; started again: {bench.outcome()}; {_repeated(bench)} calls repeated"


def refused(bench: Bench) -> str:
    """The only server takes the key no more (401); the run is started again when it does."""

    def meanwhile() -> None:
        bench.wait_for_requests(bench.images // 2)
        bench.servers[0].fail(Fault("closed", 401))

    sentence = bench.run(1, meanwhile=meanwhile)
    bench.servers[0].fail()
    bench.run(1, again=True)
    shown = sentence.replace(str(bench.folder), "…")
    return f"“{shown}”; started again: {bench.outcome()}"


def busy(bench: Bench) -> str:
    """The only server puts every request off for 4 s (429) in mid-run."""

    def meanwhile() -> None:
        bench.wait_for_requests(bench.images // 2)
        bench.servers[0].fail(Fault("status", 429))
        time.sleep(4)
        bench.servers[0].fail()

    bench.run(1, meanwhile=meanwhile)
    return bench.outcome()


def _repeated(bench: Bench) -> int:
    together = sum(bench.requests(), Counter[str]())
    return sum(count - 1 for count in together.values())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="What server faults do to a run.")
    parser.add_argument("--images", type=int, default=60)
    options = parser.parse_args()
    console = Console(width=200)
    table = Table("fault", "befell", "tries", "what happened")
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(Path(scratch), options.images)
        try:
            for case in CASES:
                bench.servers[0].fail(case.fault)
                bench.run(1)
                bench.servers[0].fail()
                (requests, _) = bench.requests()
                met = [count for seed, count in requests.items() if case.fault.befalls(seed, 1)]
                table.add_row(case.name, f"{len(met)} of {len(requests)}", str(max(met, default=0)), bench.outcome())
            table.add_section()
            for drama in (restart, one_of_two, one_comes_back, busy, all_gone, refused):
                table.add_row((drama.__doc__ or "").rstrip("."), "", "", drama(bench))
        finally:
            for server in bench.servers:
                server.kill()
    console.print(table)


if __name__ == "__main__":
    main()
