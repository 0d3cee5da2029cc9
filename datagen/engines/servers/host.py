"""What runs on the machine where Ray has placed a replica: it holds the GPUs, and a vLLM server that uses them."""

import asyncio
import socket
from pathlib import Path

import ray

from datagen.engines.servers.process import ServerProcess
from datagen.engines.servers.vllm import Model
from datagen.errors import DatagenError

_API_KEY = "VLLM_API_KEY"


class ReplicaHost:
    """An asynchronous Ray actor with one server; CUDA_VISIBLE_DEVICES is what Ray has given it."""

    def __init__(self) -> None:
        # Nothing here can fail: Ray tells what a constructor raises as the death of its process.
        self._server: ServerProcess | None = None

    async def start(self, model: Model, log: Path, host: str | None, key: str, start_seconds: int) -> str:
        """Start the server, wait until it answers, and return its base URL.

        Args:
            model: what it serves.
            log: the file that takes what it prints.
            host: the address to listen at; None is this machine's own in the cluster.
            key: that requests have to carry.
            start_seconds: how long it may take.

        Raises:
            DatagenError: it does not come up, or this machine does not see the folder of the log.
        """
        _check_machine(model, log)
        self._server = ServerProcess(
            model,
            log,
            host=host or _address(),
            changes={_API_KEY: key},
            start_seconds=start_seconds,
        )
        await asyncio.to_thread(self._server.wait)
        return self._server.endpoint

    async def watch(self) -> str:
        """Return, when the server has ended, what it said last."""
        assert self._server is not None
        await asyncio.to_thread(self._server.process.wait)
        return self._server.last_error()

    async def stop(self) -> None:
        """End the server."""
        if self._server is not None:
            await asyncio.to_thread(self._server.stop)


def _check_machine(model: Model, log: Path) -> None:
    machine = socket.gethostname()
    if not log.parent.is_dir():
        raise DatagenError(
            f"{log.parent} is not there on {machine}, where Ray has placed a replica. Put --out on a file system that "
            "all machines see, at the same path."
        )
    if Path(model.weights).is_absolute() and not Path(model.weights).exists():
        raise DatagenError(
            f"The weights {model.weights} are not there on {machine}, where Ray has placed a replica. Put them on a "
            "file system that all machines see, or name a model of the hub."
        )


def _address() -> str:
    """Return this machine's address in the cluster."""
    address: str = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]  # Ray leaves it untyped
    return address
