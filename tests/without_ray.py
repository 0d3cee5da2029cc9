"""`datagen run` in this process: the same steps on the same files, one after the other, without starting Ray."""

import hashlib
import io
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from rich.console import Console

from datagen.executors import using
from datagen.pipeline.run import run
from datagen.recipe import Recipe


def run_here(
    recipe: Recipe,
    out: Path,
    *,
    fresh: bool = False,
    retry_failed: bool = False,
    relist: bool = False,
    said: io.StringIO | None = None,
) -> dict[str, Any]:
    """Run a recipe and return the manifest; what is printed goes to `said`."""
    console = Console(file=said or io.StringIO(), width=200)
    return run(recipe, out, console, fresh=fresh, retry_failed=retry_failed, relist=relist, where="local").manifest


def without_ray() -> AbstractContextManager[None]:
    """Let every command do its work in this process."""
    return using("local")


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
