"""Addresses of Ray clusters that are dead, or something else, are one sentence within seconds."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

from datagen.errors import DatagenError
from datagen.executors import ray_tasks


@pytest.fixture(autouse=True)
def _no_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray_tasks, "_CONNECT_SECONDS", 0.3)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.setattr("ray._private.services.find_gcs_addresses", frozenset)


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def port_of(server: socket.socket) -> int:
    return int(server.getsockname()[1])


def refused(monkeypatch: pytest.MonkeyPatch, address: str) -> str:
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(DatagenError) as refusal:
        ray_tasks.start_ray()
    said = str(refusal.value)
    assert "\n" not in said
    assert "unset it to work on this machine alone" in said
    return said


def test_nothing_that_listens(monkeypatch: pytest.MonkeyPatch, listening: socket.socket) -> None:
    port = port_of(listening)
    listening.close()
    assert "Connection refused" in refused(monkeypatch, f"127.0.0.1:{port}")


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_something_that_listens_and_says_nothing(
    monkeypatch: pytest.MonkeyPatch, listening: socket.socket, scheme: str
) -> None:
    assert "timed out" in refused(monkeypatch, f"{scheme}127.0.0.1:{port_of(listening)}")


def test_a_server_of_something_else(monkeypatch: pytest.MonkeyPatch, listening: socket.socket) -> None:
    def answer() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(100)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    thread = threading.Thread(target=answer)
    thread.start()
    assert "what listens there is no Ray" in refused(monkeypatch, f"127.0.0.1:{port_of(listening)}")
    thread.join()


def test_auto_where_no_cluster_was_started(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "none was started here" in refused(monkeypatch, "auto")


def test_auto_where_the_cluster_is_dead(
    monkeypatch: pytest.MonkeyPatch, listening: socket.socket, tmp_path: Path
) -> None:
    port = port_of(listening)
    listening.close()
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "ray_current_cluster").write_text(f"127.0.0.1:{port}", encoding="utf-8")
    assert f"No Ray cluster answers at RAY_ADDRESS=127.0.0.1:{port}" in refused(monkeypatch, "auto")
