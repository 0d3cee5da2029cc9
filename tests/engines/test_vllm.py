"""The vLLM server that datagen starts: it answers, says why it could not start, and never outlives its starter."""

import io
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from rich.console import Console

from datagen.engines.servers import process as server_module
from datagen.engines.servers import serving as serving_module
from datagen.engines.servers.process import gpus_of_replica, local_server
from datagen.engines.servers.serving import served
from datagen.engines.servers.vllm import Model, log_name, serve_command, visible_gpus
from datagen.errors import DatagenError
from datagen.recipe import Recipe
from tests.conftest import ROOT, free_port
from tests.without_ray import without_ray

STARTER = """
import sys
from itertools import pairwise
from pathlib import Path
from datagen.engines.servers.process import local_server
with local_server("nothing", Path(sys.argv[1]), start_seconds=600):
    pass
"""


def processes_with(text: str) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if text.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


@pytest.fixture
def eight(tmp_path: Path) -> Path:
    """A folder with the device files of eight GPUs."""
    for name in (*(f"nvidia{number}" for number in range(8)), "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("visible", "count"),
    [
        (None, 8),
        ("2,3", 2),
        (" 2 , 3 ", 2),
        ("", 0),
        ("-1", 0),
        ("0,-1,1", 1),
        ("0,9,1", 1),
        ("GPU-3c,MIG-5d", 2),
        ("1,1", 1),
    ],
)
def test_only_gpus_that_may_be_seen_are_counted(
    eight: Path, monkeypatch: pytest.MonkeyPatch, visible: str | None, count: int
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert len(visible_gpus(eight)) == count


EIGHT = [str(number) for number in range(8)]


def options(command: list[str], name: str) -> list[str]:
    return [value for option, value in pairwise(command) if option == name]


@pytest.mark.parametrize(
    ("gpus", "args", "tensor", "data"),
    [
        (None, (), [], ["8"]),
        (4, (), ["4"], ["2"]),
        (8, (), ["8"], []),
        (None, ("--tensor-parallel-size", "4"), ["4"], ["2"]),
        (None, ("--tensor-parallel-size", "2", "--pipeline-parallel-size", "2"), ["2"], ["2"]),
        (None, ("--data-parallel-size", "3"), [], ["3"]),
        (3, (), ["3"], ["2"]),
        (0, (), [], []),
    ],
)
def test_a_server_of_this_machine_has_as_many_replicas_as_fit(
    gpus: int | None, args: tuple[str, ...], tensor: list[str], data: list[str]
) -> None:
    size = gpus_of_replica(gpus, args, len(EIGHT))
    command = serve_command(Model("m", "m", args, size), "127.0.0.1", 1, len(EIGHT) // size if size else 1)
    assert options(command, "--tensor-parallel-size") == tensor
    assert options(command, "--data-parallel-size") == data
    assert ("--enforce-eager" in command) == (not size)


def test_a_replica_that_needs_more_gpus_than_there_are_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(server_module, "visible_gpus", lambda: ["0", "1"])
    with (
        pytest.raises(DatagenError, match=r"A replica of m takes 4 GPUs, and there are 2 here"),
        local_server("m", tmp_path / "log", args=("--tensor-parallel-size", "4")),
    ):
        pass


def test_gpus_that_are_said_twice_and_differ_are_a_sentence() -> None:
    assert gpus_of_replica(4, ("-tp", "4"), 8) == 4
    with pytest.raises(DatagenError, match=r"gpus is 2, and server.args split a replica over 4"):
        gpus_of_replica(2, ("-tp", "4"), 8)


@pytest.mark.slow
def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "empty_model").mkdir()
    log = tmp_path / "server.log"
    with (
        pytest.raises(DatagenError, match=r"The vLLM server ended while starting .*Its log is"),
        local_server("nothing", log, str(tmp_path / "empty_model")),
    ):
        pass
    assert log.stat().st_size > 0
    assert not processes_with(str(tmp_path / "empty_model"))


def test_a_killed_starter_takes_its_server_along(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    starter = subprocess.Popen([sys.executable, "-c", STARTER, str(log)], cwd=ROOT)
    deadline = time.monotonic() + 60
    while not (servers := processes_with("--served-model-name\0nothing")) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert servers
    os.kill(starter.pid, signal.SIGKILL)
    starter.wait()
    deadline = time.monotonic() + 60
    while (alive := processes_with("--served-model-name\0nothing")) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not alive


Program = Callable[[Callable[[str, int], list[str]]], None]


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Program:
    """Have another program started in place of vLLM."""

    def start(command: Callable[[str, int], list[str]]) -> None:
        def serve_command(model: Model, host: str, port: int, replicas: int = 1) -> list[str]:
            return [sys.executable, *command(model.name, port)]

        monkeypatch.setattr(server_module, "serve_command", serve_command)
        monkeypatch.setenv("PYTHONPATH", str(ROOT))  # a server does not look where it is started

    return start


TELLS_GPUS = """
import os
from benchmarks.fake_server import main
print(os.environ["CUDA_VISIBLE_DEVICES"], flush=True)
main()
"""


def fake_server(model: str, port: int) -> list[str]:
    code = f"print('I serve {model}', flush=True); from benchmarks.fake_server import main; main()"
    return ["-c", code, "--port", str(port), "--served-model-name", model]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
def test_a_proxy_of_the_environment_does_not_hide_our_own_server(
    name: str, program: Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program(fake_server)
    monkeypatch.setattr(urllib.request, "_opener", None)  # it remembers the proxies of its first use
    monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    with local_server("m", tmp_path / "server.log", start_seconds=30) as server:
        assert server.process.poll() is None


@pytest.mark.slow
def test_every_engine_has_a_log_of_its_own(program: Program, tmp_path: Path) -> None:
    program(fake_server)
    engines = {"vlm": {"model": "one"}, "../text": {"model": "two"}, "テキスト": {"model": "three"}}
    stages = [{"prompt": "question_answer", "engine": "vlm"}]
    recipe = Recipe.model_validate({"source": {"path": "none"}, "engines": engines, "stages": stages})
    console = Console(file=io.StringIO())
    with without_ray(), served(recipe, tmp_path / "logs", console) as made:
        assert set(made.look(0)) == set(engines)
    logs = {path.name: path.read_text(encoding="utf-8").splitlines()[0] for path in tmp_path.rglob("*.log")}
    assert logs == {
        "server-vlm.log": "I serve one", "server-..%2Ftext.log": "I serve two", "server-テキスト.log": "I serve three",
    }  # fmt: skip
    assert all((tmp_path / "logs" / name).exists() for name in logs)


def test_names_of_engines_make_names_of_files_that_differ() -> None:
    names = [
        "a",
        "a/b",
        "a_b",
        "a%2Fb",
        "",
        ".",
        "..",
        "a b",
        "a\nb",
        "\0",
        "画像",
        "😀" * 50,
        "x" * 300,
        "x" * 301,
        "A.",
    ]
    logs = {log_name(name) for name in names}
    assert len(logs) == len(names)
    assert all(len(log.encode()) <= 255 and "/" not in log and log.isprintable() for log in logs)


@pytest.mark.slow
def test_two_engines_of_this_machine_share_its_gpus_and_are_told_so(
    program: Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program(lambda model, port: ["-c", TELLS_GPUS, "--port", str(port), "--served-model-name", model])
    monkeypatch.setattr(serving_module, "visible_gpus", lambda: EIGHT)
    engines = {"vlm": {"model": "one"}, "llm": {"model": "two", "gpus": 4}}
    stages = [{"prompt": "question_answer", "engine": "vlm"}]
    recipe = Recipe.model_validate({"source": {"path": "none"}, "engines": engines, "stages": stages})
    with without_ray(), served(recipe, tmp_path / "logs", Console(file=io.StringIO())):
        seen = {path.name: path.read_text(encoding="utf-8").splitlines()[0] for path in tmp_path.rglob("*.log")}
    assert seen == {"server-vlm.log": "0,1,2,3", "server-llm.log": "4,5,6,7"}


@pytest.mark.slow
def test_a_second_start_keeps_the_log_that_says_why_the_first_one_ended(program: Program, tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    program(lambda model, port: ["-c", "raise SystemExit('ValueError: no room on the first day')"])
    with pytest.raises(DatagenError, match="no room on the first day"), local_server("m", log):
        pass
    program(lambda model, port: ["-c", "raise SystemExit('killed on the second day')"])
    with pytest.raises(DatagenError, match="killed on the second day"), local_server("m", log):
        pass
    assert "first day" in log.read_text(encoding="utf-8")
