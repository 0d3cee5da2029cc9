import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, free_port


class LocalHub:
    """The hub of `server.py`, and programs that take it for huggingface.co."""

    def __init__(self, port: int, home: Path) -> None:
        self.endpoint = f"http://127.0.0.1:{port}"
        self._environment = {
            **os.environ,
            "HF_ENDPOINT": self.endpoint,
            "HF_HOME": str(home),
            "HF_TOKEN": "hf_test",
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }

    def run(self, *command: object, code: int = 0) -> str:
        """Run a Python program, and return what it printed."""
        done = subprocess.run(
            [sys.executable, *map(str, command)], cwd=ROOT, env=self._environment, capture_output=True, text=True
        )
        assert done.returncode == code, done.stdout + done.stderr[-3000:]
        return done.stdout + done.stderr

    def control(self, **changes: Any) -> Any:
        """Change how it behaves, and return what it has seen."""
        data = json.dumps(changes).encode() if changes else None
        with urllib.request.urlopen(f"{self.endpoint}/control", data) as response:
            return json.load(response)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[LocalHub]:
    port = free_port()
    command = [sys.executable, "-m", "tests.publishing.hub.server", str(port)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        yield LocalHub(port, tmp_path / "hf")
        server.kill()
