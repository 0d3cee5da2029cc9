"""Speed of light: output tokens a second of `datagen run`, as a share of a bare client with the same requests.

    python -m benchmarks.serving [--images 1200] [--rounds 2]

Both sides talk to the same real vLLM server with the tiny model, started anew for each side so that neither finds the
other's prefixes in its cache. The bare client replays the conversations of the run, message for message and seed for
seed, with as many in flight, and does nothing else: no decoding, no judging, no files.
"""

import argparse
import asyncio
import base64
import io
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pyarrow.parquet as pq
from PIL import Image
from rich.console import Console

from datagen.engines.servers.process import ServerProcess, local_server
from prompts import load_prompt

ROOT = Path(__file__).parent.parent
WORKERS = 1
IN_FLIGHT = 64


@contextmanager
def tiny_server(folder: Path) -> Iterator[ServerProcess]:
    """Yield a new server with the tiny model."""
    with local_server("tiny-vlm", folder / "server.log", str(ROOT / "examples/tiny_vlm/model")) as server:
        yield server


def write_pictures(folder: Path, count: int) -> None:
    """Write `count` pictures, each another one: those of examples/ in all sizes around theirs."""
    originals = sorted((ROOT / "examples/pictures").rglob("*.png"))
    for number in range(count):
        with Image.open(originals[number % len(originals)]) as image:
            side = 96 + number // len(originals) % 64
            encoded = io.BytesIO()
            image.convert("RGB").resize((side, side)).save(encoded, "PNG")
            (folder / f"{number:05}.png").write_bytes(encoded.getvalue())


def datagen_rate(pictures: Path, out: Path, server: ServerProcess) -> float:
    """Return output tokens a second of `datagen run`, from the first worker's start to the last part."""
    command = [sys.executable, "-m", "datagen", "run", str(ROOT / "examples/quickstart.yaml"), "--out", str(out)]
    command += ["--images", str(pictures), "--endpoint", server.endpoint]
    command += ["--set", f"workers={WORKERS}", "--set", f"in_flight={IN_FLIGHT}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    session = orjson.loads((out / "run.log.jsonl").read_bytes().splitlines()[-1])
    return float(session["completion_tokens"] / session["making_seconds"])


def conversations(out: Path) -> list[list[bytes]]:
    """Return, for each picture of a run, the bodies of its requests in order."""
    bodies: list[list[bytes]] = []
    for path in sorted(out.glob("train/*.parquet")) + sorted(out.glob("dropped/*.parquet")):
        rows = pq.read_table(path, columns=["images", "pictures", "calls"]).to_pylist()
        bodies += [list(_requests(row)) for row in rows]
    return bodies


def _requests(row: dict[str, Any]) -> Iterator[bytes]:
    url = f"data:image/png;base64,{base64.b64encode(row['images'][0]['bytes']).decode()}"
    image = {"type": "image_url", "image_url": {"url": url}, "uuid": row["pictures"][0]["sha256"]}
    prompts = {name: load_prompt(name) for name in {call["prompt"] for call in row["calls"]}}
    messages: list[dict[str, Any]] = [{"role": "system", "content": prompts[row["calls"][0]["prompt"]].system}]
    for number, call in enumerate(row["calls"]):
        text = {"type": "text", "text": call["request"]}
        content: Any = [image, text] if not number else call["request"]
        if call["attempt"] == 1:
            messages.append({"role": "user", "content": content})
        schema = {"name": "answer", "schema": prompts[call["prompt"]].answer.json_schema, "strict": True}
        response_format = {"type": "json_schema", "json_schema": schema}
        body = {"model": call["model"], "messages": messages, "seed": call["seed"], "response_format": response_format}
        yield orjson.dumps(body | orjson.loads(call["sampling"]))
        following = row["calls"][number + 1 : number + 2]
        image["image_url"] = None  # the server has it
        if not following or following[0]["attempt"] == 1:
            messages.append({"role": "assistant", "content": call["answer"]})


async def bare_rate(bodies: list[list[bytes]], endpoint: str) -> float:
    """Return output tokens a second of a client that does nothing but send."""
    slots = asyncio.Semaphore(WORKERS * IN_FLIGHT)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def hold(requests: list[bytes]) -> int:
            tokens = 0
            async with slots:
                for body in requests:
                    headers = {"Content-Type": "application/json"}
                    async with session.post(f"{endpoint}/chat/completions", data=body, headers=headers) as response:
                        tokens += orjson.loads(await response.read())["usage"]["completion_tokens"]
            return tokens

        started = time.perf_counter()
        tokens = sum(await asyncio.gather(*map(hold, bodies)))
        return tokens / (time.perf_counter() - started)


def main() -> None:
    """Print the rates of each round and the median ratio."""
    parser = argparse.ArgumentParser(description="Output tokens a second of datagen run against a bare client.")
    parser.add_argument("--images", type=int, default=1200)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    console = Console()
    ratios = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "pictures").mkdir()
        write_pictures(folder / "pictures", options.images)
        for number in range(options.rounds):
            out = folder / f"out-{number}"
            with tiny_server(folder) as server:
                ours = datagen_rate(folder / "pictures", out, server)
            with tiny_server(folder) as server:
                bare = asyncio.run(bare_rate(conversations(out), server.endpoint))
            ratios.append(ours / bare)
            console.print(
                f"round {number + 1}: datagen {ours:,.0f} tokens/s, bare client {bare:,.0f}, ratio {ours / bare:.2f}"
            )
    ratio = statistics.median(ratios)
    console.print(f"{options.images} images, 4 calls each, {WORKERS * IN_FLIGHT} in flight: median ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
