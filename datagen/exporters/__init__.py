"""Exporters: a run in the form that a trainer reads. Each is a module with a function `write`.

A new format is one new file here, or a function anywhere that is named as `package.module:write`, or an entry point of
the group `datagen.exporters`. What comes in is checked to be what comes out, and the folder appears by rename.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow.parquet as pq

from datagen.errors import AccountingError, DatagenError
from datagen.files.plain_names import plain_names
from datagen.files.writing import appearing_folder
from datagen.progress import tracked
from datagen.records import State
from datagen.sources.reading.conversation_files import refuse_overlap
from datagen.store.manifest import read_manifest
from datagen.store.schema_1 import is_schema_1, row_as_now
from filters.registry import Registry, RegistryError

Rows: TypeAlias = Iterator[dict[str, Any]]
"""Rows as in docs/data.md, with `images` as a list of `{bytes, path}`."""
Exporter: TypeAlias = Callable[[Rows, Path], int]
"""Writes rows into an empty folder, a few in memory at a time, and returns how many it wrote."""

EXPORTERS: Registry[Exporter] = Registry(
    "datagen.exporters",
    kind="format",
    group="datagen.exporters",
    asked="a function that takes rows and a folder and returns how many rows it wrote",
    fits=callable,
    attribute="write",
)
_ROWS_AT_ONCE = 64


def export(run: Path, name: str, out: Path, state: State = "kept") -> int:
    """Write the rows of a state in a format, and return how many there are.

    Args:
        run: a finished run, or what `datagen filter` wrote.
        name: of the format.
        out: the folder; it must not be there, or be empty.
        state: of the rows.

    Raises:
        DatagenError: there is no such format or run, or `out` holds files or cannot be written.
        AccountingError: not as many rows came out as went in.
    """
    try:
        write = EXPORTERS.find(name, "--format")
    except RegistryError as error:
        raise DatagenError(str(error)) from error
    manifest = read_manifest(run)
    refuse_overlap(out, run)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DatagenError(f"--out {out} is there already; choose an empty or new folder.")
    count: int = manifest["counts"][state]
    shards = [run / shard["path"] for shard in manifest["shards"] if shard["state"] == state]
    with appearing_folder(out) as unfinished:
        written = write(tracked(_rows(shards), count, f"exporting {name}"), unfinished)
        if written != count:
            raise AccountingError(
                f"{run} has {count:,} {state} rows, but {written:,} were written; {out} was not made."
            )
    return count


def _rows(shards: list[Path]) -> Rows:
    for path in shards:
        with plain_names(path) as (name,), pq.ParquetFile(name) as file:
            older = is_schema_1(file.schema_arrow)
            for batch in file.iter_batches(_ROWS_AT_ONCE):
                for row in batch.to_pylist():
                    yield row_as_now(row) if older else row
