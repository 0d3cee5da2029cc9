"""Ray: starting it or joining a cluster, and calling functions in its worker processes."""

import logging
import os
import secrets
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
from rich.console import Console

from datagen.errors import DatagenError
from datagen.executors.drivers_path import DriversPath
from datagen.executors.software import check_software, software
from datagen.progress import tracked
from datagen.signals import kept

_SETTINGS = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "1",
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",  # an error is one line, and is raised where it is waited for
}
_SHORT_FOLDER = "/tmp/ray"  # noqa: S108 (Ray's own default)
_CONNECT_SECONDS = 5.0
_JOIN_SECONDS = 2.0
# The client's preface and an empty SETTINGS frame; a server answers with a frame of that type (RFC 9113, 3.4).
_HTTP2_OPENING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_HTTP2_SETTINGS = b"\x04"
_SILENT_SECONDS = 30.0
_START_ERRORS = (OSError, RuntimeError, ValueError, RayError)


def start_ray() -> None:
    """Join the Ray cluster that RAY_ADDRESS names, or start Ray on this machine, quietly.

    Raises:
        DatagenError: nothing answers at the address, the cluster asks for a token, or Ray cannot start.
    """
    if ray.is_initialized():
        return
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    address = os.environ.get("RAY_ADDRESS", "").strip()
    if address in ("", "local"):
        _start_here()
    else:
        _join(address)


def wait_for_machines(count: int, console: Console, seconds: float = 900.0) -> None:
    """Join the Ray cluster that RAY_ADDRESS names as soon as it is there, and wait until it has so many machines.

    Raises:
        DatagenError: no cluster is named, or it has fewer after so many seconds.
    """
    if os.environ.get("RAY_ADDRESS", "").strip() in ("", "local"):
        raise DatagenError("--machines waits for a cluster, and RAY_ADDRESS names none; set it to host:port or auto.")
    deadline = time.monotonic() + seconds
    with console.status(f"waiting for {count} machines") as status:
        while True:
            try:
                start_ray()
            except DatagenError:
                if time.monotonic() > deadline:
                    raise
            there = len(machines()) if ray.is_initialized() else 0
            if there >= count:
                return
            if time.monotonic() > deadline:
                raise DatagenError(
                    f"The Ray cluster of RAY_ADDRESS={os.environ['RAY_ADDRESS']} has {there} of {count} machines after "
                    f"{seconds:.0f} s. See why the others have not joined (ray status), or ask for fewer (--machines)."
                )
            status.update(f"waiting for machines: {there} of {count}")
            time.sleep(_JOIN_SECONDS)


def _start_here() -> None:
    if not {"RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & os.environ.keys():
        # Else Ray leaves its token in the home folder, and every cluster that is started later asks for it.
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    try:
        try:
            _init("local")
        except OSError as error:
            if "AF_UNIX" not in str(error):  # below a long TMPDIR the names of Ray's sockets are too long
                raise
            ray.shutdown()
            _init("local", _temp_dir=_SHORT_FOLDER)
    except _START_ERRORS as error:
        raise DatagenError(
            f"Ray cannot start on this machine: {last_line(error)}. It needs a folder for temporary files that can be "
            "written (TMPDIR) and free memory; see to that and run the same command again."
        ) from error


def _join(address: str) -> None:
    _check_listening(_of_this_machine() if address == "auto" else address)
    try:
        with _silent_standard_error():
            _init(address)
    except _START_ERRORS as error:
        told = f"{error} {error.__cause__}"
        remedy = (
            "It asks for a token: set RAY_AUTH_MODE=token, with RAY_AUTH_TOKEN or ~/.ray/auth_token as on its head"
            if "token" in told or "Unauthenticated" in told
            else "Start it with ray start, or unset RAY_ADDRESS to work on this machine alone"
        )
        raise DatagenError(
            f"The Ray cluster of RAY_ADDRESS={address} cannot be joined ({last_line(error)}). {remedy}."
        ) from error


def _init(address: str, **options: Any) -> None:
    if not address.startswith("ray://"):  # a client's workers get no folder of the driver's
        options["job_config"] = DriversPath()
    with kept():
        ray.init(address, logging_level=logging.ERROR, log_to_driver=False, include_dashboard=False, **options)


@contextmanager
def _silent_standard_error() -> Iterator[None]:
    """Hide what Ray's own libraries write to the descriptor, a line a second while they try to connect."""
    sys.stderr.flush()
    kept = os.dup(2)
    nothing = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


def _check_listening(address: str) -> None:
    """Make sure that a server of gRPC listens at an address; Ray itself would try for minutes, silently."""
    try:
        parts = urlsplit(address if "://" in address else f"ray://{address}")
        with socket.create_connection((parts.hostname or "", parts.port or 0), _CONNECT_SECONDS) as connection:
            connection.settimeout(_CONNECT_SECONDS)
            connection.sendall(_HTTP2_OPENING)
            if os.environ.get("RAY_USE_TLS") != "1" and connection.recv(4)[3:] != _HTTP2_SETTINGS:
                raise ValueError("what listens there is no Ray")
    except (OSError, ValueError) as error:
        raise DatagenError(
            f"No Ray cluster answers at RAY_ADDRESS={address} ({last_line(error)}). Start one with ray start, write "
            "RAY_ADDRESS as host:port, or unset it to work on this machine alone."
        ) from error


def _of_this_machine() -> str:
    """Return the address of the cluster that was started on this machine, as Ray finds it; it may be dead."""
    from ray._private.services import get_ray_address_from_environment

    try:
        address: str = get_ray_address_from_environment("auto", None)
    except ConnectionError as error:
        raise DatagenError(
            "RAY_ADDRESS=auto names the cluster of this machine, and none was started here. Start one with ray start, "
            "write RAY_ADDRESS as host:port, or unset it to work on this machine alone."
        ) from error
    return address


def last_line(error: BaseException) -> str:
    """Return the line of an error's text that says what happened; Ray puts tracebacks before it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[-1].rstrip(".")[:300]


def cpus() -> float:
    """Return the CPUs of the cluster."""
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]  # Ray leaves it untyped
    return max(1.0, resources.get("CPU", 1.0))


class ClusterMachine(NamedTuple):
    """A machine of the cluster: Ray's id of it, its address in the cluster, and what it has, also what is used."""

    id: str
    address: str
    cpus: float
    gpus: int


def machines() -> list[ClusterMachine]:
    """Return the machines of the cluster that are there."""
    return [
        ClusterMachine(
            node["NodeID"],
            node["NodeManagerAddress"],
            node["Resources"].get("CPU", 0.0),
            int(node["Resources"].get("GPU", 0)),
        )
        for node in ray.nodes()  # type: ignore[no-untyped-call]  # Ray leaves it untyped
        if node["Alive"]
    ]


def free_cpus() -> float:
    """Return the CPUs of the cluster that nothing uses."""
    resources: dict[str, float] = ray.available_resources()  # type: ignore[no-untyped-call]  # as above
    return resources.get("CPU", 0.0)


def result_of(reference: Any) -> Any:
    """Return the result of a call that has ended; an error for the user comes out as it was raised in the worker."""
    try:
        return ray.get(reference)
    except RayTaskError as error:
        if isinstance(error.cause, DatagenError | OSError):
            raise error.cause from None
        raise


def call_remotely(function: Any, *args: Any) -> Any:
    """Run a function in a Ray worker process and return its result, so that the driver's memory stays small.

    Raises:
        DatagenError: the function raised it, or Ray has lost the process.
    """
    start_ray()
    return _awaited(ray.remote(num_cpus=0)(_call).remote(software(), function, args))


def call_on_every_machine(function: Callable[..., None], *args: Any) -> None:
    """Run a function on every machine of the cluster that has a CPU for workers, if there are several.

    A machine that is lost meanwhile is passed over.

    Raises:
        DatagenError: the function raised it on a machine.
    """
    there = [machine for machine in machines() if machine.cpus > 0]
    if len(there) < 2:
        return
    remote = ray.remote(num_cpus=0, max_retries=0)(function)
    calls = [
        remote.options(scheduling_strategy=NodeAffinitySchedulingStrategy(machine.id, soft=False)).remote(*args)
        for machine in there
    ]
    for call in calls:
        try:
            result_of(call)
        except RayTaskError:
            raise
        except RayError:
            continue


def map_remotely(function: Any, calls: Sequence[tuple[Any, ...]], label: str) -> Iterator[Any]:
    """Run a function for every tuple of arguments on all CPUs, show the progress, and yield the results in order.

    Raises:
        DatagenError: the function raised it, or Ray has lost the process.
    """
    start_ray()
    taken = free_cpus() < 1  # by others: nothing of these calls is under way yet
    remote = ray.remote(num_cpus=1)(_call)
    waiting = (remote.remote(software(), function, args) for args in calls)
    queue = deque(islice(waiting, 2 * int(cpus())))

    def results() -> Iterator[Any]:
        while queue:
            yield _awaited(queue.popleft())
            queue.extend(islice(waiting, 1))

    if taken and queue and not ray.wait([queue[0]], timeout=_SILENT_SECONDS)[0]:
        print(f"Waiting for one of Ray's {cpus():g} CPUs; others are using them all.", file=sys.stderr)
    yield from tracked(results(), len(calls), label)


def _call(expected: dict[str, str], function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    check_software(expected)
    return function(*args)


def _awaited(reference: Any) -> Any:
    try:
        return result_of(reference)
    except RayTaskError:
        raise
    except RayError as error:
        raise DatagenError(
            f"Ray lost a worker process and gave it up ({last_line(error)}). Run the same command to go on."
        ) from error
