"""The cut: from the parts of a run to its shards, as the policy says.

The rows of all parts are sorted by state and id (DuckDB, spilling to disk), so that the shards depend neither on the
order in which the work was done nor on its interruptions. Ray tasks write the shards side by side into a scratch
folder; when all are there they replace the old ones, and the manifest appears last.
"""

import os
import secrets
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from datagen.errors import AccountingError, DatagenError
from datagen.executors import call, mapped
from datagen.files.plain_names import plain_names
from datagen.files.reading import open_parquet
from datagen.files.writing import writing
from datagen.recipe import Output
from datagen.records import STATES
from datagen.store.index import Index
from datagen.store.journal import GROUP_BYTES, part_path
from datagen.store.manifest import FOLDERS, install, manifest_of
from datagen.store.mending import mended
from datagen.store.parts import NUMBERED_SCHEMA, PartRows
from datagen.store.run_directory import RunDirectory
from datagen.store.shards import Shard, row_groups, shard_name, write_shard

_MEMORY = 1_000_000_000


def cut(
    parts: Path, out: Path, output: Output, facts: Mapping[str, Any], inputs: int, verdicts: Path | None = None
) -> dict[str, Any]:
    """Write the shards, the manifest and the data card, and return the manifest.

    Args:
        parts: the folder with the sealed parts.
        out: where `train/`, `dropped/`, `failed/` and `manifest.json` go.
        output: the size of shards and row groups.
        facts: recipe and policy, for the manifest.
        inputs: how many images the index has.
        verdicts: a Parquet file with the columns `VERDICTS` that replaces the verdicts in the parts.

    Raises:
        AccountingError: a row is missing, or there twice, or is not the one that the index beside the parts lists.
        DatagenError: a part is damaged.
    """
    shutil.rmtree(out / ".cut", ignore_errors=True)
    scratch = out / ".cut" / secrets.token_hex(4)  # no task of a cut that was killed writes in here
    scratch.mkdir(parents=True)
    table = scratch / "rows.parquet"
    shards, counts, failures = call(_plan, parts, table, output.shard_bytes, verdicts)
    if sum(counts.values()) != inputs:
        raise AccountingError(
            f"{inputs:,} images went in, but {sum(counts.values()):,} rows came out ({_shown(counts)}). "
            f"Rows were lost or added in {parts}; no shards were written."
        )
    for folder in FOLDERS.values():
        (scratch / folder).mkdir()
    calls = [(table, shard, parts, scratch / FOLDERS[shard.state], output.row_group_rows) for shard in shards]
    written = list(mapped(write_shard, calls, "writing shards"))
    _recount(scratch, shards, counts)
    manifest = manifest_of(facts, inputs, counts, failures, written)
    install(scratch, out, manifest)
    shutil.rmtree(out / ".cut", ignore_errors=True)
    return manifest


_SORTED_FIELD: "list[pa.Field[Any]]" = [pa.field("bytes", pa.int64())]
_SORTED_SCHEMA = pa.schema([*NUMBERED_SCHEMA, *_SORTED_FIELD])
_BATCH_ROWS = 2048
_JUDGED_ROWS = """
SELECT rows.* REPLACE (
    coalesce(v.state, rows.state) AS state, coalesce(v.findings, rows.findings) AS findings,
    coalesce(v.policy, rows.policy) AS policy, coalesce(v.repairs, rows.repairs) AS repairs,
    CASE WHEN v.id IS NULL THEN rows.error ELSE v.error END AS error
), rows.repairs AS before
FROM rows LEFT JOIN verdicts v ON rows.id = v.id AND (rows.state <> 'failed' OR rows.error['class'] = 'rule_error')
"""
_SIZED = """*, coalesce(list_sum([member.size for member in members]), 0)::BIGINT
    + coalesce(list_sum([strlen(message.content) FOR message IN messages]), 0)::BIGINT
    + strlen(CAST(calls AS VARCHAR)) AS bytes"""
_SHARDS = """
WITH placed AS (
    SELECT state, file_row_number AS number,
        (sum(bytes) OVER (PARTITION BY state ORDER BY file_row_number) - bytes) // ? AS shard FROM sorted
)
SELECT state, shard, min(number), count(*) FROM placed GROUP BY state, shard ORDER BY state, shard
"""
_REPEATED = "SELECT id, list(part ORDER BY part) FROM sorted GROUP BY id HAVING count(*) > 1 ORDER BY id"


def _plan(
    parts: Path, table: Path, shard_bytes: int, verdicts: Path | None
) -> tuple[list[Shard], Counter[str], Counter[str]]:
    """Sort the rows into `table`, and return the shards of about `shard_bytes`, the states and the failures."""
    run = RunDirectory(parts.parent)
    index = Index(run.index) if run.index.exists() else None
    rows = PartRows(parts, index, run.needed(index) if index else range(0))
    try:
        planned, repeated, failures = _sorted_within(_MEMORY, rows, table, shard_bytes, verdicts)
    except duckdb.Error as error:
        raise rows.fault or DatagenError(
            f"The rows of {parts} cannot be sorted ({str(error).splitlines()[0]}). If the disk or the memory is full, "
            "make room; then run the same command: no model is called for what is done."
        ) from error
    if repeated:
        raise AccountingError(_repetition(parts, repeated))
    totals = Counter(state for state, *_ in planned)
    numbers: Counter[str] = Counter()
    shards: list[Shard] = []
    counts: Counter[str] = Counter()
    for state, _, first, count in planned:
        shards.append(Shard(state, shard_name(FOLDERS[state], numbers[state], totals[state]), first, count))
        numbers[state] += 1
        counts[state] += count
    return shards, counts, Counter(dict(failures))


def _sorted_within(
    memory: int, rows: PartRows, table: Path, shard_bytes: int, verdicts: Path | None
) -> tuple[list[tuple[str, int, int, int]], list[tuple[str, list[int]]], list[tuple[str, int]]]:
    """Sort with so many bytes of memory, and with more where rows are very long: DuckDB holds 2,048 of them at once."""
    try:
        return _sorted(memory, rows, table, shard_bytes, verdicts)
    except duckdb.OutOfMemoryException:
        if 4 * memory > os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"):
            raise
    return _sorted_within(2 * memory, rows, table, shard_bytes, verdicts)


def _sorted(
    memory: int, rows: PartRows, table: Path, shard_bytes: int, verdicts: Path | None
) -> tuple[list[tuple[str, int, int, int]], list[tuple[str, list[int]]], list[tuple[str, int]]]:
    spill, files = table.with_name("spill"), [table] if verdicts is None else [table, verdicts]
    with plain_names(spill, *files) as (folder, name, *others), _connected(memory, folder) as connection:
        connection.from_arrow(rows.reader()).create_view("rows")
        if verdicts is not None:
            connection.read_parquet(others, hive_partitioning=False).create_view("verdicts")
        judged = connection.sql("FROM rows" if verdicts is None else _JUDGED_ROWS)
        _write(judged.project(_SIZED).order("state, id"), table)
        connection.read_parquet([name], file_row_number=True, hive_partitioning=False).create_view("sorted")
        planned = connection.execute(_SHARDS, [shard_bytes]).fetchall()
        repeated = connection.sql(_REPEATED).fetchall()
        failures = connection.sql(
            "SELECT error['class'], count(*) FROM sorted WHERE state = 'failed' GROUP BY 1"
        ).fetchall()
    return planned, repeated, failures


def _connected(memory: int, spill: str) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"memory_limit": f"{memory}B", "temp_directory": spill})
    # The rows come with no number that DuckDB knows, so that it would rather hold them in memory than the verdicts.
    connection.execute("SET disabled_optimizers = 'join_order,build_side_probe_side'")
    connection.execute("SET arrow_large_buffer_size = true")
    return connection


def _write(rows: duckdb.DuckDBPyRelation, table: Path) -> None:
    """Write sorted rows; no row group has more text than readers open."""
    with writing(table), table.open("wb") as file, pq.ParquetWriter(file, _SORTED_SCHEMA, compression="zstd") as writer:
        for batch in rows.to_arrow_reader(_BATCH_ROWS):
            piece = pa.Table.from_batches([batch])
            if "before" in piece.column_names:
                piece = mended(piece, piece.column("before"), piece.column("repairs")).drop_columns("before")
            for group in row_groups(piece, _BATCH_ROWS, GROUP_BYTES):
                writer.write_table(group.cast(_SORTED_SCHEMA))


def _repetition(parts: Path, repeated: list[tuple[str, list[int]]]) -> str:
    row_id, numbers = repeated[0]
    names = " and ".join(part_path(parts, number).name for number in numbers)
    return (
        f"{len(repeated):,} ids stand in the parts twice; {row_id} in {names} of {parts}. No shards were written. If a "
        "part was copied there by mistake, move it out of the folder (do not delete it), and run the same command."
    )


def _recount(scratch: Path, shards: list[Shard], counts: Counter[str]) -> None:
    """Count the rows in the files that were written."""
    found: Counter[str] = Counter()
    for shard in shards:
        path = scratch / FOLDERS[shard.state] / shard.name
        with open_parquet(path, "Run the same command again.") as file:
            found[shard.state] += file.metadata.num_rows
    if found != counts:
        raise AccountingError(f"The shards hold {_shown(found)} rows, but {_shown(counts)} were planned.")


def _shown(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{counts.get(state, 0):,} {state}" for state in STATES)
