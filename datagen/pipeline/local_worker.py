"""The worker of a run in this process, for small work: six images do not wait for Ray."""

import asyncio
from collections.abc import Callable, Sequence

from datagen.engines.servers.serving import Endpoints
from datagen.event_loops import run_to_end
from datagen.pipeline.worker import PARTS_AT_ONCE, Job, Worker
from datagen.progress import Progress, ProgressLine

_LOOK_SECONDS = 0.5
Check = Callable[[Sequence[Progress]], Endpoints]


def make_parts_here(job: Job, numbers: Sequence[int], line: ProgressLine, check: Check) -> list[Progress]:
    """Make parts until all are sealed, and return what was done; the same worker does it that Ray has many of.

    Args:
        job: what the worker has to know.
        numbers: of the parts.
        line: where progress is shown.
        check: called every now and then with what was done; raises when the work cannot go on. Servers that are
            started here do not move, and what it returns is left alone.

    Raises:
        DatagenError: the run cannot go on; what is done is in the parts' journals.
    """
    return [run_to_end(_make(Worker(job), numbers, line, check))]


async def _make(worker: Worker, numbers: Sequence[int], line: ProgressLine, check: Check) -> Progress:
    slots = asyncio.Semaphore(PARTS_AT_ONCE)

    async def make(number: int) -> None:
        async with slots:
            await worker.make_part(number)

    async def watch() -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            check([await worker.progress()])
            line.show([await worker.progress()])

    try:
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(watch())
            try:
                async with asyncio.TaskGroup() as making:
                    for number in numbers:
                        making.create_task(make(number))
            finally:
                watching.cancel()
    except* Exception as errors:
        raise _first(errors) from None
    finally:
        await worker.close()
    progress = await worker.progress()
    check([progress])
    return progress


def _first(errors: BaseExceptionGroup[Exception]) -> Exception:
    error = errors.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
