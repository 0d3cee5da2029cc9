"""What the tests share: pictures, a fake server for load and faults, and the tiny model on a real vLLM server."""

import io
import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import ray
from hypothesis import settings
from PIL import Image
from rich.console import Console

from datagen.cli import main
from datagen.engines.servers.process import local_server
from datagen.recipe import Recipe
from datagen.recipe_file import load_recipe

ROOT = Path(__file__).parent.parent
_NEEDS = {"tiny_server": "vllm", "quickstart": "vllm", "browser": "browser"}
"""The fixtures by which a test is known to need more than this process; what starts Ray carries its mark itself."""
TINY_MODEL = ROOT / "examples" / "tiny_vlm" / "model"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the tests the marks of the fixtures that they use, and say which stay together when they run side by side.

    Those that start Ray share one, those of the tiny model share its server, and the others what their file has made.
    """
    for item in items:
        for fixture in getattr(item, "fixturenames", ()):
            if mark := _NEEDS.get(fixture):
                item.add_marker(mark)
        shared = [mark for mark in ("ray", "vllm") if item.get_closest_marker(mark)]
        item.add_marker(pytest.mark.xdist_group(shared[0] if shared else str(item.path)))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let a test start Ray only where its marks say so: `make test-fast` leaves such tests out."""
    marked = any(item.get_closest_marker(mark) for mark in ("ray", "vllm"))
    ray.init = _INIT if marked else _refuse_ray


_INIT = ray.init


def _refuse_ray(*_: object, **__: object) -> None:
    raise AssertionError("this test starts Ray; mark it with @pytest.mark.ray, or let it work in this process")


settings.register_profile("datagen", deadline=None)  # machines are noisy, and a first example loads what it needs
settings.load_profile("datagen")


class FakeServer:
    """The server of benchmarks/fake_server.py in a process of its own; with a log, counts outlive a restart."""

    def __init__(self, latency: float = 0.0, port: int = 0, log: Path | None = None) -> None:
        self.port = port or free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}/v1"
        command = [sys.executable, "-m", "benchmarks.fake_server", "--port", str(self.port), "--latency", str(latency)]
        command += ["--log", str(log)] if log else []
        self._process = subprocess.Popen(command, cwd=ROOT)
        for _ in range(200):
            try:
                self.statistics()
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise RuntimeError("the fake server does not answer")

    def statistics(self) -> dict[str, Any]:
        """Return the number of requests, in all and by seed."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/statistics", timeout=5) as response:
            statistics: dict[str, Any] = json.load(response)
            return statistics

    def fail(self, *faults: dict[str, Any]) -> None:
        """Set the faults from now on, fields of `benchmarks.fake_server.Fault`."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/faults", json.dumps(faults).encode())
        urllib.request.urlopen(request, timeout=5).close()

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def started_fake_server(latency: float = 0.0) -> Iterator[FakeServer]:
    server = FakeServer(latency)
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def fake_server() -> Iterator[FakeServer]:
    """A fake server that answers at once, with counters of its own for each test."""
    with started_fake_server() as server:
        yield server


class TinyServer(NamedTuple):
    """The tiny model on a real vLLM server."""

    url: str
    model: str


@pytest.fixture(scope="session")
def tiny_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TinyServer]:
    """One real vLLM server with the tiny model for all tests."""
    log = tmp_path_factory.mktemp("tiny_server") / "server.log"
    with local_server("tiny-vlm", log, str(TINY_MODEL)) as server:
        yield TinyServer(server.endpoint, server.model)


@pytest.fixture(scope="session", autouse=True)
def _end_ray() -> Iterator[None]:
    yield
    ray.shutdown()


def picture(seed: int, size: tuple[int, int] = (96, 64), image_format: str = "JPEG") -> bytes:
    """Return an encoded picture that is another one for every seed."""
    draw = np.random.default_rng(seed)
    coarse = Image.fromarray(draw.integers(0, 255, (6, 8, 3), dtype=np.uint8))
    encoded = io.BytesIO()
    coarse.resize(size, Image.Resampling.BICUBIC).save(encoded, image_format)
    return encoded.getvalue()


def write_pictures(folder: Path, count: int) -> Path:
    """Make a folder with so many good pictures."""
    folder.mkdir()
    for number in range(count):
        (folder / f"{number:02}.jpg").write_bytes(picture(number))
    return folder


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder with 40 good pictures, some below it, and three broken files."""
    folder = tmp_path / "pictures"
    (folder / "もっと").mkdir(parents=True)
    for number in range(40):
        (folder / ("もっと" if number % 3 else "") / f"{number:02}.jpg").write_bytes(picture(number))
    (folder / "cut_short.jpg").write_bytes(picture(99, (640, 480))[:2000])
    (folder / "empty.png").write_bytes(b"")
    (folder / "page.jpg").write_bytes(b"<!DOCTYPE html><html><body>404</body></html>")
    return folder


def called(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: object
) -> tuple[object, str]:
    """Call `datagen …` in this process, and return its exit code and what it said on standard error."""
    monkeypatch.setattr(sys, "argv", ["datagen", *map(str, arguments)])
    monkeypatch.setattr(sys, "path", list(sys.path))
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        main()
    return end.value.code, capsys.readouterr().err


@pytest.fixture
def quiet() -> Console:
    """A console that shows nothing."""
    return Console(file=io.StringIO())


MakeRecipe = Callable[..., Recipe]


@pytest.fixture
def make_recipe(tmp_path: Path) -> MakeRecipe:
    """Return a maker of recipes: a folder of pictures, endpoints, and dotted changes."""

    def make(images: Path, *endpoints: str, **changes: Any) -> Recipe:
        path = tmp_path / "recipe.yaml"
        path.write_text(
            """
            task: test
            source: {path: none}
            engines: {vlm: {model: fake-vlm}}
            stages:
              - {prompt: caption, engine: vlm}
              - {prompt: question_answer, engine: vlm, repeat: 2}
            workers: 2
            output: {part_rows: 8}
            """,
            encoding="utf-8",
        )
        dotted = {key.replace("__", "."): value for key, value in changes.items()}
        options = {"source.path": str(images), "engines.vlm.endpoints": list(endpoints), **dotted}
        return load_recipe(path, (), options)

    return make
