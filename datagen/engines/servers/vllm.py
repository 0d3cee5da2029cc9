"""A vLLM server on this machine, for as long as it is needed.

vLLM runs as a program of its own and is spoken to over HTTP; datagen imports nothing of it. The server dies with the
process that started it, also when that is killed.
"""

import ctypes
import hashlib
import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from datagen.errors import DatagenError

_STOP_SECONDS = 20
_MOST_LOG_READ = 1 << 20
_LONGEST_NAME = 200
# The proxy of the environment knows nothing of this machine's loopback.
_DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_PR_SET_PDEATHSIG = 1
# A prompt prefilled in pieces rewinds its seeded generator, which CPU generators cannot do: vLLM 0.32 dies of it.
_CPU_ARGS = ("--enforce-eager", "--gpu-memory-utilization", "0.3", "--no-enable-chunked-prefill")
_CPU_ENVIRONMENT = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_TARGET_DEVICE": "cpu"}


@dataclass(frozen=True)
class RunningServer:
    """A server that answers.

    Attributes:
        endpoint: the base URL, `http://127.0.0.1:port/v1`.
        model: the name that it serves the model by.
        seconds: from the start to the first answer.
        log: the file that takes what it prints.
        log_start: where in the log its own lines begin, in bytes; those of earlier servers stand before.
        process: the server's process, which leads a process group.
    """

    endpoint: str
    model: str
    seconds: float
    log: Path
    log_start: int
    process: "subprocess.Popen[bytes]"

    def check(self) -> None:
        """Make sure that the server has not ended.

        Raises:
            DatagenError: it has; the message ends with its last error.
        """
        if self.process.poll() is not None:
            raise DatagenError(
                f"The vLLM server ended in the middle of the work ({_last_error(self.log, self.log_start)}). Its log "
                f"is {self.log}. Run the same command to go on: what is done is kept."
            )


def log_name(engine: str) -> str:
    """Return the name of the log of an engine's server: one that a file may have, and another one for every engine.

    >>> log_name("vlm"), log_name("視覚/大")
    ('server-vlm.log', 'server-視覚%2F大.log')
    """
    name = re.sub(r"[^\w.-]", lambda found: f"%{ord(found[0]):02X}", engine)
    if len(name.encode()) > _LONGEST_NAME:
        name = hashlib.sha256(engine.encode()).hexdigest()[:16]
    return f"server-{name}.log"


def gpu_count(devices: Path = Path("/dev")) -> int:
    """Return how many NVIDIA GPUs of this machine may be used: its device files, as far as CUDA_VISIBLE_DEVICES goes.

    As CUDA reads that variable, what follows an entry that is no device is not seen.
    """
    here = len([path for path in devices.glob("nvidia[0-9]*") if path.name[6:].isdigit()])
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return here
    entries = [entry.strip() for entry in visible.split(",")]
    seen = list(takewhile(lambda entry: entry.startswith(("GPU-", "MIG-")) or _is_below(entry, here), entries))
    return min(len(set(seen)), here)


def serve_command(model: str, weights: str, port: int, args: Sequence[str] = ()) -> list[str]:
    """Return the command that serves a model: a replica a GPU, or eagerly on the CPU when there is none.

    Where `args` have replicas take several GPUs, there are as many as fit; where they say how many, so many.

    Raises:
        DatagenError: a replica needs more GPUs than there are.
    """
    gpus = gpu_count()
    device_args = _data_parallel(gpus, args) if gpus else _CPU_ARGS
    return [
        *(sys.executable, "-m", "vllm.entrypoints.openai.api_server"),
        *("--model", weights, "--served-model-name", model, "--host", "127.0.0.1", "--port", str(port)),
        *device_args,
        *args,
    ]


def _data_parallel(gpus: int, args: Sequence[str]) -> tuple[str, ...]:
    """Return the argument that has one server use all GPUs; none where there is one replica, or `args` have it."""
    if any(arg.split("=")[0] in ("--data-parallel-size", "-dp") for arg in args):
        return ()
    each = _number_of(args, "--tensor-parallel-size", "-tp") * _number_of(args, "--pipeline-parallel-size", "-pp")
    if each > gpus:
        raise DatagenError(
            f"server.args: a replica takes {each} GPUs (tensor × pipeline parallel), and there are {gpus} here; lower "
            "--tensor-parallel-size, or let more be seen (CUDA_VISIBLE_DEVICES)."
        )
    return ("--data-parallel-size", str(gpus // each)) if gpus // each > 1 else ()


def _number_of(args: Sequence[str], *names: str) -> int:
    """Return the number that an argument has, written `--name 2` or `--name=2`; 1 where it is not given."""
    for place, arg in enumerate(args):
        name, _, value = arg.partition("=")
        if name in names:
            value = value or (args[place + 1] if place + 1 < len(args) else "")
            if value.isascii() and value.isdigit() and int(value):
                return int(value)
    return 1  # vLLM itself says what is wrong with a value that is no number


def _is_below(entry: str, most: int) -> bool:
    return entry.isascii() and entry.isdigit() and int(entry) < most


@contextmanager
def local_server(
    model: str,
    log: Path,
    weights: str | None = None,
    args: Sequence[str] = (),
    start_seconds: int = 900,
    waiting: Callable[[str], None] | None = None,
) -> Iterator[RunningServer]:
    """Start a vLLM server, wait until it answers, and end it afterwards, also when interrupted.

    Args:
        model: the name to serve it by.
        log: the file that takes what the server prints, after what is in it: it may say why the last one ended.
        weights: what vLLM is to load, a folder or a hub name; `model` when none is given.
        args: further arguments of the server.
        start_seconds: how long it may take until it answers.
        waiting: called about twice a second with a line for the user.

    Raises:
        DatagenError: vLLM is not installed, or the server does not come up; the message ends with its last error.
    """
    if importlib.util.find_spec("vllm") is None:
        raise DatagenError(
            "There is no endpoint and vLLM is not installed. Install it with pip install 'datagen[gpu]' or "
            "'datagen[cpu]', or name a running server with --endpoint http://host:port/v1."
        )
    port = _free_port()
    # Without it `python -m`, here and in vLLM's own processes, imports a `datasets.py` from where datagen was started.
    environment = {**os.environ, "PYTHONSAFEPATH": "1"}
    if Path(weights or model).is_dir():
        environment["HF_HUB_OFFLINE"] = "1"
    if not gpu_count():
        environment |= {key: value for key, value in _CPU_ENVIRONMENT.items() if key not in environment}
    log.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with log.open("ab") as output:
        log_start = output.tell()
        process = subprocess.Popen(
            serve_command(model, weights or model, port, args),
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,  # a Ctrl-C reaches datagen alone, which then ends the server
            preexec_fn=_die_with_parent,
        )
    try:
        _wait(process, f"http://127.0.0.1:{port}/health", log, log_start, start_seconds, waiting)
        seconds = time.monotonic() - started
        yield RunningServer(f"http://127.0.0.1:{port}/v1", model, seconds, log, log_start, process)
    finally:
        _stop(process)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(
    process: "subprocess.Popen[bytes]",
    url: str,
    log: Path,
    log_start: int,
    start_seconds: int,
    waiting: Callable[[str], None] | None,
) -> None:
    started = time.monotonic()
    while (elapsed := time.monotonic() - started) < start_seconds:
        if process.poll() is not None:
            raise DatagenError(
                f"The vLLM server ended while starting ({_last_error(log, log_start)}). Its log is {log}."
            )
        try:
            with _DIRECTLY.open(url, timeout=2) as response:
                if response.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            pass
        if waiting is not None:
            waiting(f"waiting for the server, {elapsed:.0f} s")
        time.sleep(0.5)
    raise DatagenError(
        f"The vLLM server did not answer within {start_seconds} s; raise server.start_seconds, or read its log {log}."
    )


def _last_error(log: Path, start: int) -> str:
    """Return the last line that speaks of an error, or the last of all, of what was printed since `start`."""
    with log.open("rb") as file:
        file.seek(max(start, log.stat().st_size - _MOST_LOG_READ))
        lines = file.read(_MOST_LOG_READ).decode("utf-8", "replace").splitlines()
    errors = [line.strip() for line in lines if "Error" in line or "error:" in line]
    return (errors or lines or ["it printed nothing"])[-1][-300:]


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """End the server's whole process group, kindly first."""
    for kind in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, kind)
        except ProcessLookupError:
            break
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            continue
        break
    process.wait()
