"""One vLLM server, a process of this machine for as long as it is needed.

It dies with the process that started it, also when that is killed.
"""

import ctypes
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from datagen.engines.servers.vllm import Model, check_installed, environment, gpus_in, serve_command, visible_gpus
from datagen.errors import DatagenError

START_SECONDS = 900
LOOPBACK = "127.0.0.1"
_LOOK_SECONDS = 0.5
_STOP_SECONDS = 20
_MOST_LOG_READ = 1 << 20
# The proxy of the environment knows nothing of this machine's loopback, nor of a cluster's own network.
_DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_PR_SET_PDEATHSIG = 1


class ServerProcess:
    """A server that was started; `answers` says when it is ready.

    Args:
        model: what it serves.
        log: the file that takes what it prints, after what is in it: it may say why the last one ended.
        host: the address that it listens at.
        replicas: in this one server.
        changes: of its environment.
        start_seconds: how long it may take until it answers.

    Attributes:
        endpoint: the base URL, `http://host:port/v1`.
        model: the name by which it serves its model.
        log: the file.
        process: its process, which leads a process group.

    Raises:
        DatagenError: vLLM is not installed.
    """

    def __init__(
        self,
        model: Model,
        log: Path,
        *,
        host: str = LOOPBACK,
        replicas: int = 1,
        changes: dict[str, str] | None = None,
        start_seconds: int = START_SECONDS,
    ) -> None:
        check_installed()
        port = _free_port(host)
        address = f"[{host}]" if ":" in host else host
        self.model = model.name
        self.log = log
        self.endpoint = f"http://{address}:{port}/v1"
        self._health = f"http://{address}:{port}/health"
        self._start_seconds = start_seconds
        self._started = time.monotonic()
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self._log_start = output.tell()
            self.process = subprocess.Popen(
                serve_command(model, host, port, replicas),
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**environment(model), **(changes or {})},
                start_new_session=True,  # a Ctrl-C reaches datagen alone, which then ends the server
                preexec_fn=_die_with_parent,
            )

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self._started

    def answers(self) -> bool:
        """Whether it answers by now.

        Raises:
            DatagenError: it has ended, or has had all the time that it may take.
        """
        if self.process.poll() is not None:
            raise DatagenError(f"The vLLM server ended while starting ({self.last_error()}). Its log is {self.log}.")
        try:
            with _DIRECTLY.open(self._health, timeout=2) as response:
                if response.status == 200:
                    return True
        except (urllib.error.URLError, OSError):
            pass
        if self.seconds > self._start_seconds:
            raise DatagenError(
                f"The vLLM server did not answer within {self._start_seconds} s; raise server.start_seconds, or read "
                f"its log {self.log}."
            )
        return False

    def wait(self, waiting: Callable[[str], None] | None = None) -> None:
        """Wait until it answers.

        Args:
            waiting: called about twice a second with a line for the user.

        Raises:
            DatagenError: see `answers`.
        """
        while not self.answers():
            if waiting is not None:
                waiting(f"waiting for the server, {self.seconds:.0f} s")
            time.sleep(_LOOK_SECONDS)

    def check(self) -> None:
        """Make sure that the server has not ended.

        Raises:
            DatagenError: it has; the message ends with its last error.
        """
        if self.process.poll() is not None:
            raise DatagenError(
                f"The vLLM server ended in the middle of the work ({self.last_error()}). Its log is {self.log}. Run "
                "the same command to go on: what is done is kept."
            )

    def last_error(self) -> str:
        """Return why it ended: the last line of its own that speaks of an error, a signal, or the last line of all."""
        with self.log.open("rb") as file:
            file.seek(max(self._log_start, self.log.stat().st_size - _MOST_LOG_READ))
            lines = file.read(_MOST_LOG_READ).decode("utf-8", "replace").splitlines()
        code = self.process.poll()
        killed = [f"killed by {signal.Signals(-code).name}"] if code is not None and code < 0 else []
        errors = [line.strip() for line in lines if "Error" in line or "error:" in line]
        return (errors or killed or lines or ["it printed nothing"])[-1][-300:]

    def stop(self) -> None:
        """End the server's whole process group, kindly first."""
        for kind in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, kind)
            except ProcessLookupError:
                break
            try:
                self.process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                continue
            break
        self.process.wait()


@contextmanager
def local_server(
    model: str,
    log: Path,
    weights: str | None = None,
    args: Sequence[str] = (),
    start_seconds: int = START_SECONDS,
    waiting: Callable[[str], None] | None = None,
    gpus: Sequence[str] | None = None,
    each: int | None = None,
) -> Iterator[ServerProcess]:
    """Start a vLLM server on this machine, wait until it answers, and end it afterwards, also when interrupted.

    It has as many replicas as its GPUs have room for.

    Args:
        model: the name to serve it by.
        log: the file that takes what the server prints.
        weights: what vLLM is to load, a folder or a hub name; `model` when none is given.
        args: further arguments of the server.
        start_seconds: how long it may take until it answers.
        waiting: called about twice a second with a line for the user.
        gpus: those that it may use, as CUDA_VISIBLE_DEVICES names them; all that may be seen when none are given.
        each: GPUs of one replica; as `args` say, or 1, when none is given.

    Raises:
        DatagenError: vLLM is not installed, a replica needs more GPUs than there are, or the server does not come up;
            the message ends with its last error.
    """
    devices = visible_gpus() if gpus is None else list(gpus)
    size = gpus_of_replica(each, args, len(devices))
    if size > len(devices):
        raise DatagenError(
            f"A replica of {model} takes {size} GPUs, and there are {len(devices)} here; lower gpus or the arguments "
            "in server.args, or let more be seen (CUDA_VISIBLE_DEVICES)."
        )
    server = ServerProcess(
        Model(model, weights or model, tuple(args), size),
        log,
        replicas=len(devices) // size if size else 1,
        changes=None if gpus is None else {"CUDA_VISIBLE_DEVICES": ",".join(devices)},
        start_seconds=start_seconds,
    )
    try:
        server.wait(waiting)
        yield server
    finally:
        server.stop()


def gpus_of_replica(wanted: int | None, args: Sequence[str], there: int) -> int:
    """Return the GPUs of one replica: as the recipe says, as the server's arguments say, or one if there is any.

    Raises:
        DatagenError: the recipe and the arguments say otherwise.
    """
    said = gpus_in(args)
    if wanted is not None and said is not None and wanted != said:
        raise DatagenError(
            f"gpus is {wanted}, and server.args split a replica over {said} (tensor × pipeline × data parallel); leave "
            "one of the two out."
        )
    if wanted is not None:
        return wanted
    return said or 1 if there else 0


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _free_port(host: str) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
