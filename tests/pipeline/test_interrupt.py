"""Ctrl-C, twice, a second run, and a server that ends: a sentence each, nothing left running, and the run goes on.

The vLLM server that datagen starts here is the fake one under vLLM's module name.
"""

import io
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from rich.console import Console

from benchmarks.fake_server import logged_requests
from benchmarks.kills import descendants, is_alive
from datagen.errors import DatagenError
from datagen.store.journal import Journal
from datagen.store.run_directory import RunDirectory
from tests.conftest import ROOT, FakeServer, picture, started_fake_server

pytestmark = pytest.mark.ray

IMAGES = 24
RECIPE = """
source: {path: pictures}
engines: {vlm: {model: fake-vlm}}
stages: [{prompt: caption, engine: vlm}, {prompt: question_answer, engine: vlm}]
workers: 1
in_flight: 4
output: {part_rows: 4}
"""
SERVER = """
import sys
from pathlib import Path
from benchmarks.fake_server import main
sys.argv += ["--latency", "0.3", "--log", str(Path(__file__).parents[3] / "requests.log")]
main()
"""


class Command:
    """`datagen run` as a terminal starts it: it and all that it starts are one process group."""

    def __init__(self, folder: Path, *options: str, name: str = "out") -> None:
        self.folder = folder
        self.out = folder / name
        command = [sys.executable, "-m", "datagen", "run", str(folder / "recipe.yaml"), "--out", str(self.out)]
        self.process = subprocess.Popen(
            [*command, "--images", str(folder / "pictures"), *options],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.started: dict[int, str] = {}

    def press_ctrl_c(self, kind: signal.Signals = signal.SIGINT) -> None:
        """Do what the terminal does, and schedulers likewise: the signal goes to the whole group."""
        self.started |= dict(descendants(self.process.pid))
        os.killpg(self.process.pid, kind)

    def wait_for_requests(self, count: int, log: Path) -> None:
        deadline = time.monotonic() + 120
        while len(logged_requests(log)) < count and time.monotonic() < deadline:
            assert self.process.poll() is None, self.process.communicate()[1]
            time.sleep(0.05)

    def end(self) -> str:
        """Wait for the end, and return what was said on standard error."""
        _, errors = self.process.communicate(timeout=120)
        assert "Traceback" not in errors
        return errors

    def left_running(self) -> list[str]:
        """Return what it started and what does not end within a while."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            alive = [title for pid, title in self.started.items() if is_alive(pid)]
            if not alive:
                return []
            time.sleep(0.1)
        return alive


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a recipe, pictures, and a vLLM whose server is the fake one."""
    (tmp_path / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    (tmp_path / "pictures").mkdir()
    for number in range(IMAGES):
        (tmp_path / "pictures" / f"{number:02}.jpg").write_bytes(picture(number))
    package = tmp_path / "vllm" / "entrypoints" / "openai"
    package.mkdir(parents=True)
    for level in (package, package.parent, package.parent.parent):
        (level / "__init__.py").touch()
    (package / "api_server.py").write_text(SERVER, encoding="utf-8")
    return tmp_path


@pytest.fixture
def slow_server(tmp_path: Path) -> Iterator[FakeServer]:
    with started_fake_server(latency=0.3) as server:
        yield server


def assert_goes_on(folder: Path, server: FakeServer, log: Path) -> None:
    """Run again, against a server that is quick, and check that what was done is not paid for again."""
    before = [seed for _, seed in logged_requests(log)]
    again = Command(folder, "--endpoint", server.endpoint)
    errors = again.end()
    assert again.process.returncode == 0, errors
    assert orjson.loads((again.out / "manifest.json").read_bytes())["counts"]["inputs"] == IMAGES
    after = server.statistics()["by_seed"]
    assert len(set(before) | set(after)) == 2 * IMAGES
    assert len(set(before) & set(after)) <= 4 * 2  # the conversations that were under way


@pytest.mark.parametrize(("kind", "where"), [("SIGINT", ()), ("SIGTERM", ()), ("SIGUSR1", ("--local",))])
def test_a_signal_keeps_what_is_done_ends_the_server_and_says_how_to_go_on(
    kind: str, where: tuple[str, ...], folder: Path, fake_server: FakeServer
) -> None:
    command = Command(folder, *where)
    command.wait_for_requests(30, folder / "requests.log")
    command.press_ctrl_c(signal.Signals[kind])
    errors = command.end()
    assert command.process.returncode == 128 + signal.Signals[kind]
    assert errors.strip().splitlines()[-1].startswith("datagen: Stopped. What is done is kept in")
    assert "the same command goes on" in errors
    assert any("vllm.entrypoints" in title for title in command.started.values())
    assert not command.left_running()
    assert_goes_on(folder, fake_server, folder / "requests.log")


def test_a_second_ctrl_c_leaves_at_once_and_loses_nothing(folder: Path, fake_server: FakeServer) -> None:
    command = Command(folder)
    command.wait_for_requests(30, folder / "requests.log")
    command.press_ctrl_c()
    time.sleep(0.1)
    command.press_ctrl_c()
    command.end()
    assert command.process.returncode == 130
    assert not command.left_running()
    assert_goes_on(folder, fake_server, folder / "requests.log")


def test_a_server_that_ends_in_mid_run_is_noticed_and_named(folder: Path, fake_server: FakeServer) -> None:
    command = Command(folder, "--local")
    command.wait_for_requests(30, folder / "requests.log")
    command.started = dict(descendants(command.process.pid))
    (server,) = [pid for pid, title in command.started.items() if "vllm.entrypoints" in title]
    os.kill(server, signal.SIGKILL)
    errors = command.end()
    assert command.process.returncode == 2
    assert "The vLLM server ended in the middle of the work" in errors
    assert "server-vlm.log" in errors
    assert not command.left_running()
    assert_goes_on(folder, fake_server, folder / "requests.log")


def test_a_second_run_on_the_directory_is_refused(folder: Path, slow_server: FakeServer) -> None:
    first = Command(folder, "--endpoint", slow_server.endpoint)
    while slow_server.statistics()["requests"] < 10:
        time.sleep(0.05)
    second = Command(folder, "--endpoint", slow_server.endpoint)
    errors = second.end()
    assert second.process.returncode == 2
    assert "Another datagen run is at work in" in errors
    errors = first.end()
    assert first.process.returncode == 0, errors
    assert set(slow_server.statistics()["by_seed"].values()) == {1}


def test_a_run_that_follows_a_killed_driver_at_once_waits_for_its_workers(
    folder: Path, slow_server: FakeServer
) -> None:
    first = Command(folder, "--endpoint", slow_server.endpoint)
    while slow_server.statistics()["requests"] < 20:
        time.sleep(0.05)
    tree = descendants(first.process.pid)
    first.started = {pid: title for pid, title in tree if title.startswith("ray::Worker")}
    assert first.started
    first.process.kill()
    second = Command(folder, "--endpoint", slow_server.endpoint)
    first.process.wait()  # its pipes stay open for as long as the slowest of Ray's own agents
    errors = second.end()
    assert second.process.returncode == 0, errors
    assert not first.left_running()
    counts = slow_server.statistics()["by_seed"]
    assert len(counts) == 2 * IMAGES
    assert sum(count > 1 for count in counts.values()) <= 4 * 2


def test_a_part_that_stays_in_use_is_named(folder: Path) -> None:
    console = Console(file=io.StringIO())
    (folder / "out" / "parts").mkdir(parents=True)
    directory = RunDirectory(folder / "out")
    directory.wait_for_workers(console)
    with (
        Journal(directory.parts, 0),
        pytest.raises(DatagenError, match=r"part-000000\.jsonl is in use by another process, though no run holds"),
    ):
        directory.wait_for_workers(console, seconds=0.3)
    directory.wait_for_workers(console)


def test_an_api_key_is_written_nowhere(folder: Path, fake_server: FakeServer) -> None:
    key = "key-5d41402abc4b2a76b9719d911017c592"
    recipe = (folder / "recipe.yaml").read_text(encoding="utf-8")
    (folder / "recipe.yaml").write_text(
        recipe.replace("model: fake-vlm", "model: fake-vlm, api_key_env: OUR_KEY"), encoding="utf-8"
    )
    fake_server.fail({"kind": "status", "status": 400, "share": 0.3}, {"kind": "wrong_shape", "share": 0.3})
    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp") as ray_folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OUR_KEY", key)
        patch.setenv("RAY_TMPDIR", ray_folder)
        command = Command(folder, "--endpoint", fake_server.endpoint)
        output, errors = command.process.communicate(timeout=120)
        assert command.process.returncode == 0, errors
        searched = [path for root in (command.out, Path(ray_folder)) for path in root.rglob("*") if path.is_file()]
        assert any("worker" in path.name for path in searched)
        assert key not in output + errors
        assert not [path for path in searched if key.encode() in path.read_bytes()]
