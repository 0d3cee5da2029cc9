"""The vLLM server that datagen starts: it answers, says why it could not start, and never outlives its starter."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from datagen.engine.server import local_server
from datagen.errors import DatagenError
from tests.conftest import ROOT

STARTER = """
import sys
from pathlib import Path
from datagen.engine.server import local_server
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
