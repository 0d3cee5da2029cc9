"""The vLLM server that datagen starts: it answers, says why it could not start, and never outlives its starter."""

import io
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from rich.console import Console

from datagen.engines.servers import vllm as server_module
from datagen.engines.servers.serving import served
from datagen.engines.servers.vllm import local_server, log_name
from datagen.errors import DatagenError
from datagen.recipe import Recipe
from tests.conftest import ROOT, free_port

STARTER = """
import sys
from pathlib import Path
from datagen.engines.servers.vllm import local_server
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
    assert server_module.gpu_count(eight) == count


@pytest.mark.parametrize(
    ("args", "replicas"),
    [
        ((), "8"),
        (("--tensor-parallel-size", "4"), "2"),
        (("--tensor-parallel-size=2",), "4"),
        (("-tp", "8"), None),
        (("--tensor-parallel-size", "2", "--pipeline-parallel-size", "2"), "2"),
        (("--data-parallel-size", "3"), None),
        (("-dp=3",), None),
        (("--tensor-parallel-size", "3"), "2"),
    ],
)
def test_replicas_are_as_many_as_fit(
    monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...], replicas: str | None
) -> None:
    monkeypatch.setattr(server_module, "gpu_count", lambda: 8)
    command = server_module.serve_command("m", "m", 1, args)
    ours = command[: len(command) - len(args)]
    assert (ours[ours.index("--data-parallel-size") + 1] if "--data-parallel-size" in ours else None) == replicas
    assert tuple(command[len(ours) :]) == args


def test_a_replica_that_needs_more_gpus_than_there_are_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "gpu_count", lambda: 2)
    with pytest.raises(DatagenError, match=r"a replica takes 4 GPUs .* and there are 2 here"):
        server_module.serve_command("m", "m", 1, ("--tensor-parallel-size", "4"))


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
        def serve_command(model: str, weights: str, port: int, args: Sequence[str] = ()) -> list[str]:
            return [sys.executable, *command(model, port)]

        monkeypatch.setattr(server_module, "serve_command", serve_command)
        monkeypatch.setenv("PYTHONPATH", str(ROOT))  # a server does not look where it is started

    return start


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
    with served(recipe, tmp_path / "logs", console) as made:
        made.check()
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
def test_a_second_start_keeps_the_log_that_says_why_the_first_one_ended(program: Program, tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    program(lambda model, port: ["-c", "raise SystemExit('ValueError: no room on the first day')"])
    with pytest.raises(DatagenError, match="no room on the first day"), local_server("m", log):
        pass
    program(lambda model, port: ["-c", "raise SystemExit('killed on the second day')"])
    with pytest.raises(DatagenError, match="killed on the second day"), local_server("m", log):
        pass
    assert "first day" in log.read_text(encoding="utf-8")
