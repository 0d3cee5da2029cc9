"""Memory of the driver: the peak resident size of the `datagen run` process at two numbers of images.

    python -m benchmarks.memory [--images 10000 100000]

The pictures are small and the server answers at once, so that the number of images is what differs.
"""

import argparse
import io
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console

from benchmarks.throughput import RECIPE, wait_for


def write_pictures(folder: Path, count: int) -> None:
    """Write `count` names of 64 small JPEGs, a thousand a folder."""
    draw = np.random.default_rng(0)
    originals = []
    for number in range(64):
        encoded = io.BytesIO()
        Image.fromarray(draw.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(encoded, "JPEG")
        originals.append(folder / f"original-{number}")
        originals[-1].write_bytes(encoded.getvalue())
    for number in range(count):
        target = folder / "pictures" / f"{number // 1000:04}" / f"{number:08}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(originals[number % 64], target)


def peak_megabytes(command: list[str]) -> tuple[float, float]:
    """Run a command; return its own peak resident size in MB (not that of its children), and the seconds it took."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
        except OSError:
            break
        peak = max([peak, *(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))])
        time.sleep(0.2)
    if process.wait():
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return peak / 1e3, time.perf_counter() - started


def main() -> None:
    """Print the peaks."""
    parser = argparse.ArgumentParser(description="Peak memory of the driver at two numbers of images.")
    parser.add_argument("--images", type=int, nargs="+", default=[10_000, 100_000])
    options = parser.parse_args()
    console = Console(soft_wrap=True)
    port = 20000 + os.getpid() % 20000
    endpoint = f"http://127.0.0.1:{port}/v1"
    server = subprocess.Popen([sys.executable, "-m", "benchmarks.fake_server", "--port", str(port), "--latency", "0"])
    try:
        wait_for(f"{endpoint}/models")
        for count in options.images:
            with tempfile.TemporaryDirectory() as scratch:
                folder = Path(scratch)
                write_pictures(folder, count)
                (folder / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
                command = [
                    sys.executable,
                    "-m",
                    "datagen",
                    "run",
                    str(folder / "recipe.yaml"),
                    "--out",
                    f"{folder}/out",
                ]
                command += ["--images", f"{folder}/pictures", "--endpoint", endpoint]
                peak, seconds = peak_megabytes(command)
                again, seconds_again = peak_megabytes(command)
                console.print(
                    f"{count:,} images: driver's peak {peak:.0f} MB ({seconds:.0f} s); "
                    f"on the finished directory {again:.0f} MB ({seconds_again:.1f} s)"
                )
    finally:
        server.kill()


if __name__ == "__main__":
    main()
