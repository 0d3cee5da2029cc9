"""Rows a second of `datagen run` and of datatrove's inference pipeline, side by side on one server.

    python -m benchmarks.against_datatrove [--images 6000] [--rounds 2] [--latency 0.1]

Both put one request about each picture to the same server, which answers after a fixed time, with as many in flight in
as many processes. datatrove reads a file, sends it and writes the answer; it does not look at the picture, judge the
answer or keep what is done when it is killed. datagen does all of that. The rate is counted from the first request to
the last, as the server saw them; the whole command is beside it. datatrove is installed into a scratch environment.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.fake_server import logged_requests
from benchmarks.throughput import RECIPE, wait_for, write_pictures

VERSION = "0.10.1"
IN_FLIGHT = 128
PROCESSES = 2
DATATROVE = """
import base64, sys
from datatrove.data import Document
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.inference.run_inference import InferenceConfig, InferenceRunner
from datatrove.pipeline.writers import JsonlWriter
from pathlib import Path

pictures, endpoint, out, in_flight, processes = sys.argv[1:]
paths = sorted(str(path) for path in Path(pictures).iterdir())

def documents(data, rank=0, world_size=1):
    for number, path in enumerate(paths[rank::world_size]):
        yield Document(text="何が写っていますか？", id=f"{rank}-{number}", metadata={"path": path})

async def ask(document, generate):
    encoded = base64.b64encode(Path(document.metadata["path"]).read_bytes()).decode()
    image = {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{encoded}"}}
    content = [image, {"type": "text", "text": document.text}]
    return await generate({"messages": [{"role": "user", "content": content}], "seed": hash(document.id) & 0x7FFFFFFF})

if __name__ == "__main__":
    config = InferenceConfig(
        server_type="endpoint", endpoint_url=endpoint.removesuffix("/v1"), model_name_or_path="fake-vlm", use_chat=True,
        max_concurrent_generations=int(in_flight), metric_interval=3600, default_generation_params={"max_tokens": 512},
    )
    runner = InferenceRunner(ask, config, JsonlWriter(out, output_filename="${rank}.jsonl", compression=None))
    LocalPipelineExecutor(
        pipeline=[documents, runner], tasks=int(processes), workers=int(processes), logging_dir=out + "-logs"
    ).run()
"""


def environment(folder: Path) -> Path:
    """Install datatrove into an environment, and return its Python."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    packages = [f"datatrove[io]=={VERSION}", "aiofiles", "aiosqlite", "httpx", "orjson"]
    subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    return python


def rate_of(log: Path, images: int) -> float:
    """Return the rows a second from the first request to the last; a row has one request."""
    times = sorted(seen for seen, _ in logged_requests(log))
    assert len(times) >= images, f"{len(times)} of {images} requests"
    return images / (times[-1] - times[0])


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description="datagen run and datatrove, side by side.")
    parser.add_argument("--images", type=int, default=6000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--latency", type=float, default=0.1)
    options = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        pictures = folder / "pictures"
        pictures.mkdir()
        write_pictures(pictures, options.images)
        python = environment(folder / "environment")
        (folder / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
        (folder / "with_datatrove.py").write_text(DATATROVE, encoding="utf-8")
        rates: dict[str, list[float]] = {"datagen": [], "datatrove": []}
        walls: dict[str, list[float]] = {"datagen": [], "datatrove": []}
        for number in range(options.rounds):
            for name in rates:
                log = folder / f"{name}-{number}.log"
                out = folder / f"out-{name}-{number}"
                port = 20000 + os.getpid() % 20000
                endpoint = f"http://127.0.0.1:{port}/v1"
                serve = [sys.executable, "-m", "benchmarks.fake_server", "--port", str(port), "--log", str(log)]
                server = subprocess.Popen([*serve, "--latency", str(options.latency)])
                commands = {
                    "datagen": [
                        *(sys.executable, "-m", "datagen", "run", str(folder / "recipe.yaml"), "--out", str(out)),
                        *("--images", str(pictures), "--endpoint", endpoint),
                        *("--set", f"workers={PROCESSES}", "--set", f"in_flight={IN_FLIGHT}"),
                    ],
                    "datatrove": [
                        *(str(python), str(folder / "with_datatrove.py"), str(pictures), endpoint, str(out)),
                        *(str(IN_FLIGHT), str(PROCESSES)),
                    ],
                }
                try:
                    wait_for(f"{endpoint}/models")
                    started = time.perf_counter()
                    subprocess.run(commands[name], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                    walls[name].append(time.perf_counter() - started)
                finally:
                    server.kill()
                    server.wait()
                rates[name].append(rate_of(log, options.images))
        table = Table("", "rows/s, first request to last", "the whole command, s")
        for name in rates:
            shown = f"datatrove {VERSION}" if name == "datatrove" else name
            table.add_row(shown, f"{statistics.median(rates[name]):,.0f}", f"{statistics.median(walls[name]):.1f}")
        console.print(
            f"{options.images:,} JPEGs of 240 kB, {options.latency * 1e3:.0f} ms an answer, {PROCESSES} processes with "
            f"{IN_FLIGHT} in flight each, {os.cpu_count()} cores shared with the server, medians of {options.rounds}"
        )
        console.print(table)
        ratio = statistics.median(rates["datagen"]) / statistics.median(rates["datatrove"])
        console.print(f"datagen ÷ datatrove: {ratio:.2f}")


if __name__ == "__main__":
    main()
