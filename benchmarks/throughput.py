"""Images a second: the client alone, and the whole of `datagen run`, against a server that answers after a fixed time.

    python -m benchmarks.throughput [--images 3000] [--latency 0.1] [--pictures reference]

Everything shares the machine's cores, the server too. The last table says where the time of one image goes, each step
alone on one core; a run overlaps them.
"""

import argparse
import asyncio
import io
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np
import orjson
from PIL import Image
from rich.console import Console
from rich.table import Table

from datagen.engines.openai import ChatClient
from datagen.pictures.picture import prepare
from datagen.recipe import Images
from datagen.records import Row
from datagen.store.journal import Journal
from filters import load_policy
from prompts import Sampling

RECIPE = """
source: {path: none}
engines: {vlm: {model: fake-vlm, endpoints: [none]}}
stages: [{prompt: question_answer, engine: vlm}]
policy: standard
"""
IN_FLIGHT = 256
ANSWER = "これは赤い屋根の建物の写真です。手前に木が三本立っていて、空は晴れています。"


def photograph(seed: int) -> bytes:
    """Return a JPEG of 1280×960 pixels and about 240 kB, another one for every seed."""
    draw = np.random.default_rng(seed)
    coarse = Image.fromarray(draw.integers(0, 255, (60, 80, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((1280, 960), Image.Resampling.BICUBIC)).astype(np.int16)
    grain = draw.normal(0, 14, (960, 1280, 1))
    encoded = io.BytesIO()
    Image.fromarray(np.clip(smooth + grain, 0, 255).astype(np.uint8)).save(encoded, "JPEG", quality=55)
    return encoded.getvalue()


def write_pictures(folder: Path, count: int) -> None:
    """Write `count` pictures; a comment at the end makes every file another one."""
    base = [photograph(seed) for seed in range(16)]
    for number in range(count):
        (folder / f"{number:06}.jpg").write_bytes(base[number % 16] + b"%08d" % number)


async def client_alone(endpoint: str, data: bytes, count: int) -> float:
    """Return images a second of the bare client with one turn each."""
    picture = prepare(data, Images())
    image = {"type": "image_url", "image_url": {"url": picture.data_url}}
    messages = [{"role": "user", "content": [image, {"type": "text", "text": "何が写っていますか？"}]}]
    slots = asyncio.Semaphore(IN_FLIGHT)
    async with ChatClient("fake-vlm", [endpoint]) as client:

        async def ask(seed: int) -> None:
            async with slots, client.lease() as place:
                await client.complete(place, messages, sampling=Sampling(), seed=seed)

        started = time.perf_counter()
        await asyncio.gather(*map(ask, range(count)))
        return count / (time.perf_counter() - started)


def whole_run(folder: Path, endpoint: str, out: Path, pictures: str) -> dict[str, float]:
    """Run the command line on the folder, and return the seconds of its phases and the bytes that it left."""
    recipe = out.parent / "recipe.yaml"
    recipe.write_text(RECIPE, encoding="utf-8")
    command = [sys.executable, "-m", "datagen", "run", str(recipe), "--images", str(folder), "--endpoint", endpoint]
    started = time.perf_counter()
    command += ["--out", str(out), "--set", f"output.pictures={pictures}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    whole = time.perf_counter() - started
    log = [orjson.loads(line) for line in (out / "run.log.jsonl").read_bytes().splitlines()]
    written = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    given = sum(path.stat().st_size for path in folder.iterdir())
    return {"whole": whole, "disk": written / given, **log[-1]}


def steps(data: bytes, folder: Path) -> dict[str, float]:
    """Return the milliseconds of each step for one image, alone on one core."""
    picture = prepare(data, Images())
    policy = load_policy("standard")
    messages = [{"role": "user", "content": "何が見えますか？"}, {"role": "assistant", "content": ANSWER}]
    row = Row(id="0" * 32, key="a.jpg", source="s", task="t", state="kept", pictures=[picture.record])
    path = folder / "one.jpg"
    path.write_bytes(data)
    body = {"messages": [{"content": [{"image_url": {"url": picture.data_url}}]}]}
    with Journal(folder, 0) as journal:
        return {
            "read the file": milliseconds(path.read_bytes),
            "look at header and structure": milliseconds(lambda: prepare(data, Images())),
            "  with a perceptual hash (images.phash)": milliseconds(lambda: prepare(data, Images(phash=True))),
            "SHA-256 and base64": milliseconds(lambda: _encoded(data)),
            "request body": milliseconds(lambda: orjson.dumps(body)),
            "judge by `standard`": milliseconds(lambda: policy.judge([{"messages": messages}])),
            "journal and tar": milliseconds(lambda: journal.append(row, 0, [picture])),
        }


def _encoded(data: bytes) -> None:
    fresh = prepare.__globals__["Picture"](data, ".jpg", "image/jpeg", 1, 1, "")
    _ = fresh.sha256, fresh.data_url


def milliseconds(step: Callable[[], object], repetitions: int = 100) -> float:
    """Return the mean time of a call."""
    step()
    started = time.perf_counter()
    for _ in range(repetitions):
        step()
    return (time.perf_counter() - started) / repetitions * 1e3


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description="Images a second of the client alone and of the whole run.")
    parser.add_argument("--images", type=int, default=3000)
    parser.add_argument("--latency", type=float, default=0.1)
    parser.add_argument("--pictures", choices=("embed", "reference"), default="embed")
    options = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "pictures"
        folder.mkdir()
        write_pictures(folder, options.images)
        data = (folder / "000000.jpg").read_bytes()
        port = 20000 + os.getpid() % 20000
        endpoint = f"http://127.0.0.1:{port}/v1"
        command = [sys.executable, "-m", "benchmarks.fake_server", "--port", str(port)]
        server = subprocess.Popen([*command, "--latency", str(options.latency)])
        try:
            wait_for(f"{endpoint}/models")
            alone = asyncio.run(client_alone(endpoint, data, options.images))
            run = whole_run(folder, endpoint, Path(scratch) / "out", options.pictures)
        finally:
            server.kill()
        console.print(
            f"{options.images:,} JPEGs of {len(data) / 1e3:.0f} kB, {options.latency * 1e3:.0f} ms an answer, "
            f"{os.cpu_count()} cores shared with the server"
        )
        console.print(f"{'client alone':34}{alone:6,.0f} images/s ({IN_FLIGHT} in flight)")
        making, cutting = run["making_seconds"], run["cutting_seconds"]
        for name, seconds in [
            ("making the rows, parts written", making),
            ("  and cutting the shards", making + cutting),
            ("the command from start to end", run["whole"]),
        ]:
            console.print(f"{name:34}{options.images / seconds:6,.0f} images/s ({seconds:.1f} s)")
        console.print(f"bytes on disk ÷ bytes of the pictures ({options.pictures}): {run['disk']:.3f}")
        table = Table("one image, alone on one core", "ms")
        for name, value in steps(data, Path(scratch)).items():
            table.add_row(name, f"{value:.2f}")
        console.print(table)


def wait_for(url: str) -> None:
    """Wait until a server answers."""
    for _ in range(100):
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit(f"{url} does not answer")


if __name__ == "__main__":
    main()
