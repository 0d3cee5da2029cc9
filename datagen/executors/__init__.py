"""Where work is done: in Ray's worker processes, here and on other machines, or in this process.

The driver chooses once, with `using`; everything that has work to do calls `call` and `mapped`, and does not ask.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal

from datagen.progress import tracked

Executor = Literal["ray", "local"]
FEW_ROWS = 10_000
"""Stored rows up to which judging and cutting take less time than the start of Ray."""
_CHOSEN: ContextVar[Executor | None] = ContextVar("executor", default=None)


def executor() -> Executor:
    """Return what was chosen for the work at hand, and Ray where nothing was."""
    return _CHOSEN.get() or "ray"


def is_chosen() -> bool:
    """Whether an executor was chosen."""
    return _CHOSEN.get() is not None


@contextmanager
def using(chosen: Executor) -> Iterator[None]:
    """Let everything that is called in this context work there."""
    token = _CHOSEN.set(chosen)
    try:
        yield
    finally:
        _CHOSEN.reset(token)


@contextmanager
def suited(*, few: bool) -> Iterator[None]:
    """Let little work be done in this process, unless somebody has chosen, or a cluster is named by `RAY_ADDRESS`."""
    if not few or is_chosen() or os.environ.get("RAY_ADDRESS"):
        yield
    else:
        with using("local"):
            yield


def call(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function where work is done, and return its result.

    Raises:
        DatagenError: the function raised it, or Ray has lost the process.
    """
    if executor() == "local":
        return function(*args)
    from datagen.executors.ray_tasks import call_remotely

    return call_remotely(function, *args)


def mapped(function: Callable[..., Any], calls: Sequence[tuple[Any, ...]], label: str) -> Iterator[Any]:
    """Call a function for every tuple of arguments, show the progress, and yield the results in order.

    With Ray all its CPUs are used; in this process one call is made after the other.

    Raises:
        DatagenError: the function raised it, or Ray has lost a process.
    """
    if executor() == "local":
        return tracked((function(*args) for args in calls), len(calls), label)
    from datagen.executors.ray_tasks import map_remotely

    return map_remotely(function, calls, label)
