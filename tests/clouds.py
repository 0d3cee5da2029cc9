"""Clouds on this machine: fsspec's file system in memory, and an S3 server."""

import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import fsspec
import pytest

from tests.conftest import ROOT, free_port
from tests.trainers.loaders import INSTALLED


@contextmanager
def memory_folder(name: str) -> Iterator[str]:
    """Yield the URL of a folder that this process has in memory."""
    yield f"memory://{name}"
    with suppress(FileNotFoundError):
        fsspec.filesystem("memory").rm(f"/{name}", recursive=True)


@contextmanager
def s3_bucket() -> Iterator[str]:
    """Yield the URL of a bucket on an S3 server, which the environment names while the context lasts."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    environment = {**os.environ, "PYTHONPATH": str(INSTALLED / "moto")}
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with (
        subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL) as server,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in (
            ("AWS_ACCESS_KEY_ID", "key"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_ENDPOINT_URL", address),
        ):
            patch.setenv(name, value)
        while True:
            with suppress(OSError), urllib.request.urlopen(address):
                break
        type(fsspec.filesystem("s3")).clear_instance_cache()  # it remembers the server of another test
        fsspec.filesystem("s3").mkdir("bucket")
        yield "s3://bucket"
        server.kill()
