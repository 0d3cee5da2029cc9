"""Kill drivers, Ray workers and servers at random moments, go on, and count what was lost and what was paid twice.

    python -m benchmarks.kills [--workers 150] [--servers 30] [--drivers 20] [--seed 0] [--minutes 60]

Runs of the same recipe are killed until all kills are spent. SIGKILL hits a Ray worker or the server in mid-run, or the
driver at any moment from its start to its end; then the same command is started at once. After each run: is every
input in the shards once, are the shards those of a run that nobody disturbed, byte for byte, and was each request that
came twice at the server under way at a kill between the two? The server is the fake one, whose answers depend on the
request's seed alone, and whose log outlives it.
"""

import argparse
import hashlib
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import orjson
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from benchmarks.fake_server import Fault, logged_requests
from benchmarks.memory import write_pictures
from benchmarks.throughput import wait_for

WORKERS = 2
IN_FLIGHT = 8
CALLS_AN_IMAGE = 3
RECIPE = f"""
source: {{path: none}}
engines: {{vlm: {{model: fake-vlm, endpoints: [none]}}}}
stages:
  - {{prompt: caption, engine: vlm}}
  - {{prompt: question_answer, engine: vlm, repeat: {CALLS_AN_IMAGE - 1}}}
workers: {WORKERS}
in_flight: {IN_FLIGHT}
output: {{part_rows: 32, shard_bytes: 100000}}
"""
MOST_REPEATED = WORKERS * IN_FLIGHT * CALLS_AN_IMAGE
"""All calls of the conversations that can be under way at a kill."""
VICTIMS = ("worker", "server", "driver")
_LATENCY = 0.1
_DOOMED = 0.7  # the share of drivers that are killed
_ORPHAN_SECONDS = 5.0
_LOGGED_LATE = 0.05  # a request is on its way for a moment: sent before a kill, logged after it
_APART = 0.5  # longer than a conversation, so that each repeated call has one kill to blame


class Kill(NamedTuple):
    """A kill: when, and what was hit."""

    moment: float
    victim: str


@dataclass
class Server:
    """The fake server, which can be killed and started again on its port."""

    port: int
    log: Path
    latency: float
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def endpoint(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self.port}/v1"

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [sys.executable, "-m", "benchmarks.fake_server", "--port", str(self.port), "--log", str(self.log)]
        self.process = subprocess.Popen([*command, "--latency", str(self.latency)])
        wait_for(f"{self.endpoint}/models")

    def fail(self, *faults: Fault) -> None:
        """Set its faults from now on."""
        body = orjson.dumps(list(faults))
        urllib.request.urlopen(f"http://127.0.0.1:{self.port}/faults", body, timeout=5).close()

    def kill(self) -> None:
        """Kill it."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()


@dataclass
class Killer:
    """Kills until its victims are spent.

    Attributes:
        left: how many kills of each kind are left.
        until: no more kills after this time.
        draw: decides whom, and when.
        kills: what was killed.
        orphans: for each killed driver, when it was, and those of its Ray workers that were not gone yet.
        longest: the seconds that such a process lived on at most.
    """

    left: Counter[str]
    until: float
    draw: random.Random
    kills: list[Kill] = field(default_factory=list)
    orphans: list[tuple[float, list[int]]] = field(default_factory=list)
    longest: float = 0.0

    def choose(self, *among: str) -> str | None:
        """Return the next victim among some kinds, if any is left."""
        kinds = [kind for kind in self.left.elements() if kind in among] if time.time() < self.until else []
        return self.draw.choice(kinds) if kinds else None

    def note(self, victim: str) -> None:
        """Record a kill."""
        self.left[victim] -= 1
        self.kills.append(Kill(time.time(), victim))

    def look_for_orphans(self) -> None:
        """See which of the killed drivers' Ray workers are gone."""
        for killed, pids in self.orphans:
            pids[:] = [pid for pid in pids if is_alive(pid)]
            if pids:
                self.longest = max(self.longest, time.time() - killed)


def run_killed(command: list[str], server: Server, killer: Killer, seconds: float) -> None:
    """Run a command to its end, through kills and new starts; `seconds` is what it takes undisturbed."""
    driver, moment = _started(command, killer, seconds)
    while driver.poll() is None:
        killer.look_for_orphans()
        if time.time() >= moment:
            kill_driver(driver, killer)
            driver, moment = _started(command, killer, seconds)  # at once: its workers still live
        elif workers := ray_workers(driver.pid):
            time.sleep(killer.draw.uniform(_APART, 1.5))
            victim = killer.choose("worker", "server")
            if victim == "server":
                server.kill()
                killer.note("server")
                time.sleep(killer.draw.uniform(0, 1))
                server.start()
            elif victim == "worker" and kill_process(killer.draw.choice(workers)):
                killer.note("worker")
        time.sleep(0.05)
    if driver.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {driver.returncode}")


def _started(command: list[str], killer: Killer, seconds: float) -> "tuple[subprocess.Popen[bytes], float]":
    """Start a driver; return it with the time at which it is to be killed, often never."""
    driver = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    doomed = killer.choose("driver") and killer.draw.random() < _DOOMED
    return driver, time.time() + killer.draw.uniform(0, seconds) if doomed else math.inf


def kill_driver(driver: "subprocess.Popen[bytes]", killer: Killer) -> None:
    """Kill a driver alone, and remember its Ray workers."""
    orphans = ray_workers(driver.pid)
    driver.kill()
    driver.wait()
    killer.note("driver")
    killer.orphans.append((time.time(), orphans))


def kill_process(pid: int) -> bool:
    """Kill a process, unless it is gone."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def ray_workers(driver: int) -> list[int]:
    """Return the Ray workers of a driver that are at the parts."""
    return [pid for pid, title in descendants(driver) if title.startswith("ray::Worker")]


def descendants(pid: int) -> Iterator[tuple[int, str]]:
    """Yield the processes below a process, each with its title."""
    children = defaultdict[int, list[int]](list)
    titles: dict[int, str] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            titles[int(folder.name)] = (folder / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        children[parent].append(int(folder.name))
    waiting = children[pid]
    while waiting:
        child = waiting.pop()
        waiting += children[child]
        yield child, titles[child]


def is_alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def digest_of(out: Path) -> str:
    """Return a digest of all shards with their names."""
    digest = hashlib.sha256()
    for path in sorted(out.glob("*/*-of-*.parquet")):
        digest.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def inputs_in_one_state(out: Path, inputs: int) -> bool:
    """Whether the shards hold every input once."""
    ids = Counter[str | None]()
    for path in out.glob("*/*-of-*.parquet"):
        ids.update(pq.read_table(path, columns=["id"]).column("id").to_pylist())
    return len(ids) == inputs and set(ids.values()) == {1}


def repeated_by_kill(log: list[tuple[float, str]], kills: list[Kill]) -> tuple[Counter[int], int]:
    """Return how many calls each kill had paid twice, by its place in `kills`, and how many calls no kill explains.

    A call that came twice was lost by the first kill after it came, or, when there is none before it came again, by
    that of a driver not long before it: its workers live on for a moment, and make calls.
    """
    moments = [kill.moment for kill in kills]
    came: dict[str, float] = {}
    repeated: Counter[int] = Counter()
    unexplained = 0
    for moment, seed in log:
        if seed in came:
            kill = bisect_left(moments, came[seed] - _LOGGED_LATE)
            if kill < len(moments) and moments[kill] <= moment:
                repeated[kill] += 1
            elif kill and kills[kill - 1].victim == "driver" and came[seed] < moments[kill - 1] + _ORPHAN_SECONDS:
                repeated[kill - 1] += 1
            else:
                unexplained += 1
        came[seed] = moment
    return repeated, unexplained


def kill_many(
    left: Counter[str], images: int, folder: Path, console: Console, seed: int = 0, minutes: float = 60.0
) -> bool:
    """Kill until all kills are spent, print the table, and return whether all promises were kept."""
    write_pictures(folder, images)
    (folder / "pictures" / "broken.jpg").write_bytes(b"no picture")
    (folder / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    server = Server(20000 + os.getpid() % 20000, folder / "requests.log", _LATENCY)
    server.start()
    command = [sys.executable, "-m", "datagen", "run", str(folder / "recipe.yaml")]
    command += ["--images", str(folder / "pictures"), "--endpoint", server.endpoint, "--out"]
    killer = Killer(left, time.time() + 60 * minutes, random.Random(seed))
    wanted = left.total()
    same = whole = runs = unexplained = 0
    repeated: Counter[int] = Counter()
    try:
        started = time.time()
        subprocess.run([*command, str(folder / "expected")], check=True, stdout=subprocess.DEVNULL)
        seconds = time.time() - started
        expected = digest_of(folder / "expected")
        while killer.choose(*VICTIMS):
            server.log.write_bytes(b"")
            runs += 1
            out = folder / f"out-{runs}"
            first = len(killer.kills)
            run_killed([*command, str(out)], server, killer, seconds)
            same += digest_of(out) == expected
            whole += inputs_in_one_state(out, images + 1)
            found, strange = repeated_by_kill(logged_requests(server.log), killer.kills[first:])
            repeated.update({first + kill: count for kill, count in found.items()})
            unexplained += strange
            console.print(
                f"run {runs}: {len(killer.kills)} of {wanted} kills, {found.total()} calls repeated, {strange} of them "
                f"without a kill; {same} of {runs} runs with the expected bytes",
                soft_wrap=True,
            )
    finally:
        server.kill()
    console.print(_table(killer, repeated))
    alive = sum(len(pids) for _, pids in killer.orphans)
    console.print(
        f"{len(killer.kills)} kills in {runs} runs of {images + 1:,} inputs ({seconds:.0f} s undisturbed). "
        f"{whole} runs had every input in one state, {same} the bytes of the undisturbed run. "
        f"{unexplained} calls came twice without a kill. "
        f"Killed drivers left Ray workers for {killer.longest:.1f} s at most, {alive} are left.",
        soft_wrap=True,
    )
    within = max(repeated.values(), default=0) <= MOST_REPEATED
    return same == whole == runs and not unexplained and within


def _table(killer: Killer, repeated: Counter[int]) -> Table:
    table = Table("killed", "times", "calls paid twice, a kill: mean", "most", "could be")
    for victim in VICTIMS:
        counts = [repeated[place] for place, kill in enumerate(killer.kills) if kill.victim == victim]
        if counts:
            mean = sum(counts) / len(counts)
            table.add_row(victim, str(len(counts)), f"{mean:.1f}", str(max(counts)), str(MOST_REPEATED))
    return table


def main() -> None:
    """Print the table; end with 1 when a promise was broken."""
    parser = argparse.ArgumentParser(description="What random kills lose, and what is paid twice.")
    parser.add_argument("--workers", type=int, default=150)
    parser.add_argument("--servers", type=int, default=30)
    parser.add_argument("--drivers", type=int, default=20)
    parser.add_argument("--images", type=int, default=800)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=60.0, help="No more kills after so long.")
    options = parser.parse_args()
    left = Counter(worker=options.workers, server=options.servers, driver=options.drivers)
    with tempfile.TemporaryDirectory() as scratch:
        kept = kill_many(left, options.images, Path(scratch), Console(), options.seed, options.minutes)
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()
