"""Pipeline efficiency: how much of the time that a perfect client would take `datagen run` takes, on servers like GPUs.

    python -m benchmarks.gpu_like [--images 20000] [--endpoints 1 8]

Each endpoint behaves like a vLLM server on a GPU and burns no CPU by waiting: a fixed number of requests is answered at
once, each after the prefill of its picture and as many tokens as its seed says, at a fixed rate; the others wait in its
queue. A perfect client has every request at a server the moment that it can be made, and does nothing else; its time is
simulated request by request with the same answers, its own ramp and tail included. The efficiency is that time divided
by the time from the first request to the last answer. Listing, start and the cut of the shards are beside it.
"""

import argparse
import asyncio
import hashlib
import heapq
import os
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import orjson
import pyarrow.parquet as pq
from aiohttp import web
from rich.console import Console
from rich.table import Table

from benchmarks.fake_server import SEED, FakeServer, last
from benchmarks.throughput import wait_for, write_pictures

SLOTS = 256
"""Of all endpoints together, so that one and eight do the same work."""
TOKENS_A_SECOND = 60.0
PREFILL_SECONDS = 0.15
CALLS = 2
WORKERS, IN_FLIGHT = 2, 192
RECIPE = """
source: {path: none}
engines: {vlm: {model: fake-vlm, endpoints: [none]}}
stages: [{prompt: caption, engine: vlm}, {prompt: question_answer, engine: vlm}]
"""


def seconds_of(seed: int) -> float:
    """Return how long a request of this seed holds a slot: the prefill, and 20 to 120 tokens."""
    draw = int(hashlib.sha256(str(seed).encode()).hexdigest()[:8], 16)
    return PREFILL_SECONDS + (20 + draw % 101) / TOKENS_A_SECOND


class GpuLike(FakeServer):
    """A server with slots."""

    def __init__(self, slots: int, log: Path) -> None:
        super().__init__(0.0, 0.0)
        self._slots = asyncio.Semaphore(slots)
        self._times = log.open("ab", buffering=0)

    async def chat(self, request: web.Request) -> web.StreamResponse:
        """Answer when a slot is free, and as late as a GPU would."""
        seed = last(SEED, await request.read())
        if not seed:  # the check before the start
            return await super().chat(request)
        self._times.write(f"{time.time():.3f} arrived\n".encode())
        async with self._slots:
            await asyncio.sleep(seconds_of(int(seed)))
        answer = await super().chat(request)
        self._times.write(f"{time.time():.3f} answered\n".encode())
        return answer


def perfect_seconds(conversations: Sequence[Sequence[int]], slots: int) -> float:
    """Return the time in which a client without any delay gets all answers.

    Args:
        conversations: the seeds of the requests of each, in order; a request follows the answer before it.
        slots: of all servers.
    """
    waiting = deque((seeds, 0) for seeds in conversations)
    busy: list[tuple[float, int, Sequence[int], int]] = []
    now, number = 0.0, 0
    while waiting or busy:
        while waiting and len(busy) < slots:
            seeds, turn = waiting.popleft()
            number += 1
            heapq.heappush(busy, (now + seconds_of(seeds[turn]), number, seeds, turn))
        now, _, seeds, turn = heapq.heappop(busy)
        if turn + 1 < len(seeds):
            waiting.appendleft((seeds, turn + 1))
    return now


class Figures(NamedTuple):
    """What one run took, in seconds."""

    perfect: float
    wall: float
    before: float
    shards: float
    whole: float


def measured(folder: Path, pictures: Path, endpoints: int) -> Figures:
    """Run the command against so many endpoints."""
    port = 20000 + os.getpid() % 20000 + 100 * endpoints
    ports = [port + number for number in range(endpoints)]
    log, out = folder / f"requests-{endpoints}.log", folder / f"out-{endpoints}"
    serve = [sys.executable, "-m", "benchmarks.gpu_like", "--serve", *map(str, ports), "--log", str(log)]
    server = subprocess.Popen(serve)
    try:
        command = [sys.executable, "-m", "datagen", "run", str(folder / "recipe.yaml"), "--images", str(pictures)]
        for each in ports:
            wait_for(f"http://127.0.0.1:{each}/v1/models")
            command += ["--endpoint", f"http://127.0.0.1:{each}/v1"]
        command += ["--set", f"workers={WORKERS}", "--set", f"in_flight={IN_FLIGHT}", "--out", str(out)]
        began = time.time()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        ended = time.time()
    finally:
        server.kill()
        server.wait()
    times = [float(line.split()[0]) for line in log.read_text(encoding="ascii").splitlines()]
    first, last_answer = min(times), max(times)
    shards = [path for state in ("train", "dropped", "failed") for path in sorted((out / state).glob("*.parquet"))]
    rows = [row for path in shards for row in pq.read_table(path, columns=["calls"]).to_pylist()]
    seeds = [[call["seed"] for call in row["calls"]] for row in rows]
    session = orjson.loads((out / "run.log.jsonl").read_bytes().splitlines()[-1])
    perfect = perfect_seconds(seeds, SLOTS // endpoints * endpoints)
    return Figures(perfect, last_answer - first, first - began, session["cutting_seconds"], ended - began)


def serve(ports: Sequence[int], log: Path) -> None:
    """Serve at the ports until ended."""

    async def run() -> None:
        for port in ports:
            runner = web.AppRunner(GpuLike(SLOTS // len(ports), log).application(), access_log=None)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", port).start()
        await asyncio.Event().wait()

    asyncio.run(run())


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description="Pipeline efficiency on servers like GPUs.")
    parser.add_argument("--images", type=int, default=20000)
    parser.add_argument("--endpoints", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--serve", type=int, nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--log", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.log)
    console = Console(width=140)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
        pictures = folder / "pictures"
        pictures.mkdir()
        write_pictures(pictures, options.images)
        table = Table("endpoints", "perfect client, s", "first request to last answer, s", "efficiency", "before, s",
                      "shards, s", "whole command, s")  # fmt: skip
        for endpoints in options.endpoints:
            found = measured(folder, pictures, endpoints)
            table.add_row(
                str(endpoints), f"{found.perfect:.1f}", f"{found.wall:.1f}", f"{found.perfect / found.wall:.3f}",
                f"{found.before:.1f}", f"{found.shards:.1f}", f"{found.whole:.1f}",
            )  # fmt: skip
        console.print(
            f"{options.images:,} pictures of 240 kB, {CALLS} calls each, {SLOTS} slots in all, {TOKENS_A_SECOND:g} "
            f"tokens/s a slot, {WORKERS} workers with {IN_FLIGHT} in flight, {os.cpu_count()} cores for all"
        )
        console.print(table)


if __name__ == "__main__":
    main()
