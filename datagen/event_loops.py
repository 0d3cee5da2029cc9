"""Coroutines called from ordinary code, also where an event loop runs already, as in every Jupyter notebook."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, TypeVar

Result = TypeVar("Result")


def run_to_end(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine to its end and return its result.

    Where a loop runs in this thread, the coroutine gets a loop and a thread of its own. Ctrl-C cancels it either way.

    >>> async def one() -> int:
    ...     return 1
    >>> async def inside() -> int:
    ...     return run_to_end(one())
    >>> run_to_end(one()), run_to_end(inside())
    (1, 1)
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    begun: Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any] | None]] = Future()

    async def begin() -> Result:
        begun.set_result((asyncio.get_running_loop(), asyncio.current_task()))
        return await coroutine

    with ThreadPoolExecutor(1) as thread:
        ended = thread.submit(copy_context().run, asyncio.run, begin())
        try:
            return ended.result()
        except KeyboardInterrupt:
            loop, task = begun.result()
            if task is not None:
                loop.call_soon_threadsafe(task.cancel)
            raise
