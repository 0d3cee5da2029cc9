"""What vLLM is told: its command, its environment, and the GPUs that it may use.

vLLM runs as a program of its own and is spoken to over HTTP; datagen imports nothing of it.
"""

import hashlib
import importlib.util
import os
import re
import sys
from collections.abc import Iterator, Sequence
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from datagen.errors import DatagenError

_LONGEST_NAME = 200
# A prompt prefilled in pieces rewinds its seeded generator, which CPU generators cannot do: vLLM 0.32 dies of it.
_CPU_ARGS = ("--enforce-eager", "--gpu-memory-utilization", "0.3", "--no-enable-chunked-prefill")
_CPU_ENVIRONMENT = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_TARGET_DEVICE": "cpu"}
_TENSOR = "--tensor-parallel-size", "-tp"
_PIPELINE = "--pipeline-parallel-size", "-pp"
_DATA = "--data-parallel-size", "-dp"


class Model(NamedTuple):
    """What one server serves.

    Attributes:
        name: by which requests name it.
        weights: what vLLM loads, a folder or a hub name.
        args: further arguments of the server.
        gpus: of one replica, which its tensors are split over; 0 is the CPU.
    """

    name: str
    weights: str
    args: tuple[str, ...] = ()
    gpus: int = 0


def check_installed() -> None:
    """Make sure that there is a vLLM.

    Raises:
        DatagenError: there is none.
    """
    if importlib.util.find_spec("vllm") is None:
        raise DatagenError(
            "There is no endpoint and vLLM is not installed. Install it with pip install 'datagen[gpu]' or "
            "'datagen[cpu]', or name a running server with --endpoint http://host:port/v1."
        )


def serve_command(model: Model, host: str, port: int, replicas: int = 1) -> list[str]:
    """Return the command that serves a model.

    Args:
        model: what is served.
        host: the address to listen at.
        port: likewise.
        replicas: in this one server, each with `model.gpus`.
    """
    device_args: tuple[str, ...] = _CPU_ARGS
    if model.gpus:
        device_args = ()
        if model.gpus > 1 and gpus_in(model.args) is None:
            device_args += (_TENSOR[0], str(model.gpus))
        if replicas > 1 and not list(_numbers_of(model.args, _DATA)):
            device_args += (_DATA[0], str(replicas))
    return [
        *(sys.executable, "-m", "vllm.entrypoints.openai.api_server"),
        *("--model", model.weights, "--served-model-name", model.name, "--host", host, "--port", str(port)),
        *device_args,
        *model.args,
    ]


def environment(model: Model) -> dict[str, str]:
    """Return the environment of a server."""
    # Without it `python -m`, here and in vLLM's own processes, imports a `datasets.py` from where datagen was started.
    made = {**os.environ, "PYTHONSAFEPATH": "1"}
    if Path(model.weights).is_dir():
        made["HF_HUB_OFFLINE"] = "1"
    if not model.gpus:
        made |= {key: value for key, value in _CPU_ENVIRONMENT.items() if key not in made}
    return made


def gpus_in(args: Sequence[str]) -> int | None:
    """Return how many GPUs the arguments of a server split one replica over; None where they say nothing of it.

    >>> gpus_in(["--tensor-parallel-size", "2", "-pp=2"]), gpus_in(["--max-model-len", "4096"])
    (4, None)
    """
    numbers = [number for names in (_TENSOR, _PIPELINE, _DATA) for number in _numbers_of(args, names)]
    product = 1
    for number in numbers:
        product *= number
    return product if numbers else None


def visible_gpus(devices: Path = Path("/dev")) -> list[str]:
    """Return the NVIDIA GPUs of this machine that may be used, as CUDA_VISIBLE_DEVICES names them.

    As CUDA reads that variable, what follows an entry that is no device is not seen.
    """
    here = len([path for path in devices.glob("nvidia[0-9]*") if path.name[6:].isdigit()])
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return [str(number) for number in range(here)]
    entries = [entry.strip() for entry in visible.split(",")]
    seen = takewhile(lambda entry: entry.startswith(("GPU-", "MIG-")) or _is_below(entry, here), entries)
    return list(dict.fromkeys(seen))[:here]


def log_name(engine: str, replica: int | None = None) -> str:
    """Return the name of the log of a server: one that a file may have, and another one for every engine and replica.

    >>> log_name("vlm"), log_name("視覚/大", 2)
    ('server-vlm.log', 'server-視覚%2F大-2.log')
    """
    name = re.sub(r"[^\w.]", lambda found: f"%{ord(found[0]):02X}", engine)
    if len(name.encode()) > _LONGEST_NAME:
        name = hashlib.sha256(engine.encode()).hexdigest()[:16]
    return f"server-{name}.log" if replica is None else f"server-{name}-{replica}.log"


def _numbers_of(args: Sequence[str], names: Sequence[str]) -> Iterator[int]:
    """Yield the number that an argument has, written `--name 2` or `--name=2`, if it is given."""
    for place, arg in enumerate(args):
        name, _, value = arg.partition("=")
        if name in names:
            value = value or (args[place + 1] if place + 1 < len(args) else "")
            if value.isascii() and value.isdigit() and int(value):  # vLLM itself says what is wrong with others
                yield int(value)


def _is_below(entry: str, most: int) -> bool:
    return entry.isascii() and entry.isdigit() and int(entry) < most
