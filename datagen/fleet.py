"""The Ray workers of a run: every part that is not sealed goes to one of them.

Ray Core and not Ray Data: the unit of work is a part with a journal of its own, which a restarted worker continues;
Ray Data would run a block of rows again from its beginning, and pay for its answers twice. When a worker dies, Ray
starts it again and repeats its calls (`max_restarts`, `max_task_retries`).
"""

import logging
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from datagen.errors import DatagenError
from datagen.progress import ProgressLine, tracked
from datagen.worker import PARTS_AT_ONCE, Job, Progress, Worker
from datagen.worker_path import DriversPath

MOST_WORKERS = 4
"""Unless the recipe says otherwise: more would only queue at the server, up to its time limit."""
_LOOK_SECONDS = 0.5
_GOODBYE_SECONDS = 10.0


def start_ray() -> None:
    """Join the Ray cluster of the environment (RAY_ADDRESS), or start Ray on this machine, quietly."""
    if ray.is_initialized():
        return
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_DEDUP_LOGS", "1")
    ray.init(logging_level=logging.ERROR, log_to_driver=False, include_dashboard=False, job_config=DriversPath())


def cpus() -> int:
    """Return the CPUs of the cluster."""
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]  # Ray leaves it untyped
    return max(1, int(resources.get("CPU", 1)))


def make_parts(
    job: Job, numbers: Sequence[int], workers: int | None, line: ProgressLine, check: Callable[[], None]
) -> list[Progress]:
    """Make parts with a fleet of workers until all are sealed, and return what each worker did.

    Args:
        job: what the workers have to know.
        numbers: of the parts.
        workers: how many; none means one a CPU, at most `MOST_WORKERS`.
        line: where progress is shown.
        check: called every now and then; raises when the work cannot go on.

    Raises:
        DatagenError: the run cannot go on; what is done is in the parts' journals.
    """
    start_ray()
    size = min(workers or min(cpus(), MOST_WORKERS), len(numbers))
    actor = ray.remote(Worker).options(
        num_cpus=0.5, max_restarts=-1, max_task_retries=-1, max_concurrency=PARTS_AT_ONCE + 2
    )
    fleet: list[Any] = [actor.remote(job) for _ in range(size)]
    waiting = iter(numbers)
    under_way: dict[Any, Any] = {}
    try:
        for worker in fleet:
            under_way |= {worker.make_part.remote(number): worker for number in islice(waiting, PARTS_AT_ONCE)}
        while under_way:
            done, _ = ray.wait(list(under_way), timeout=_LOOK_SECONDS)
            check()
            line.show(_progress(fleet))
            for reference in done:
                worker = under_way.pop(reference)
                _get(reference)
                under_way |= {worker.make_part.remote(number): worker for number in islice(waiting, 1)}
        return _progress(fleet)
    finally:
        # Cancelled calls close their journals and are not tried again; what a kill cut off would be.
        for reference in under_way:
            ray.cancel(reference)
        if under_way:
            ray.wait(list(under_way), num_returns=len(under_way), timeout=_GOODBYE_SECONDS)
        for worker in fleet:
            ray.kill(worker)


def _progress(fleet: list[Any]) -> list[Progress]:
    progress: list[Progress] = _get([worker.progress.remote() for worker in fleet])
    return progress


def _get(references: Any) -> Any:
    """Return results; an error for the user comes out as it was raised in the worker."""
    try:
        return ray.get(references)
    except RayTaskError as error:
        if isinstance(error.cause, DatagenError | OSError):
            raise error.cause from None
        raise
    except RayError as error:
        raise DatagenError(f"Ray lost its workers ({type(error).__name__}); run the same command to go on.") from error


def run_remotely(function: Any, *args: Any) -> Any:
    """Run a function in a Ray worker process and return its result, so that the driver's memory stays small."""
    start_ray()
    return _get(ray.remote(num_cpus=0)(function).remote(*args))


def side_by_side(function: Any, calls: Sequence[tuple[Any, ...]], label: str) -> Iterator[Any]:
    """Run a function for every tuple of arguments on all CPUs, show the progress, and yield the results in order."""
    start_ray()
    remote = ray.remote(num_cpus=1)(function)
    waiting = iter(calls)
    queue = deque(remote.remote(*args) for args in islice(waiting, 2 * cpus()))

    def results() -> Iterator[Any]:
        while queue:
            yield _get(queue.popleft())
            queue.extend(remote.remote(*args) for args in islice(waiting, 1))

    yield from tracked(results(), len(calls), label)
