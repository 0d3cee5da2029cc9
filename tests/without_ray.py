"""`datagen run` in this process: the same steps on the same files, one after the other, without starting Ray."""

import asyncio
import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pyarrow.parquet as pq
from rich.console import Console

from datagen.inspection import recutting  # noqa: F401
from datagen.pipeline import filtering  # noqa: F401 (to be patched)
from datagen.pipeline import run as pipeline
from datagen.pipeline.worker import Job, Worker
from datagen.progress import Progress, ProgressLine
from datagen.recipe import Recipe


def run_here(
    recipe: Recipe, out: Path, *, fresh: bool = False, retry_failed: bool = False, said: io.StringIO | None = None
) -> dict[str, Any]:
    """Run a recipe and return the manifest; what is printed goes to `said`."""
    with without_ray():
        console = Console(file=said or io.StringIO(), width=200)
        return pipeline.run(recipe, out, console, fresh=fresh, retry_failed=retry_failed).manifest


@contextmanager
def without_ray() -> Iterator[None]:
    """Let every command do its work in this process."""
    with ExitStack() as patches:
        for module in ("pipeline.run", "store.cut"):
            patches.enter_context(patch(f"datagen.{module}.run_remotely", _call))
        for module in ("store.cut", "store.judging", "pipeline.filtering", "inspection.verdicts"):
            patches.enter_context(patch(f"datagen.{module}.side_by_side", _calls_here))
        for module in ("inspection.verdicts", "inspection.recutting"):
            patches.enter_context(patch(f"datagen.{module}.start_ray", lambda: None))
        patches.enter_context(patch("datagen.pipeline.run.make_parts", _make_parts))
        yield


def _call(function: Callable[..., Any], *args: Any) -> Any:
    return function(*args)


def _calls_here(function: Callable[..., Any], calls: Sequence[tuple[Any, ...]], label: str) -> Iterator[Any]:
    """Stand in for `datagen.executors.ray_tasks.side_by_side`."""
    assert label
    return (function(*args) for args in calls)


def _make_parts(
    job: Job, numbers: Sequence[int], workers: int | None, line: ProgressLine, check: Callable[[], None]
) -> list[Progress]:
    async def make() -> list[Progress]:
        worker = Worker(job)
        try:
            for number in numbers:
                await worker.make_part(number)
                check()
        finally:
            await worker.close()
        return [await worker.progress()]

    assert workers
    assert line
    return asyncio.run(make())


def shard_digests(out: Path) -> dict[str, str]:
    """Return the SHA-256 of every shard by its path in `out`."""
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in ("train", "dropped", "failed")
        for path in sorted((out / folder).glob("*"))
    }


def states(out: Path) -> dict[str, str]:
    """Return the state of every row of the shards by its key, each of which is there once."""
    rows = [
        row for path in shard_digests(out) for row in pq.read_table(out / path, columns=["key", "state"]).to_pylist()
    ]
    assert len({row["key"] for row in rows}) == len(rows)
    return {row["key"]: row["state"] for row in rows}
