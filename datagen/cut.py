"""The cut: from the parts of a run to its shards, as the policy says.

The rows of all parts are sorted by state and id (DuckDB, spilling to disk), so that the shards depend neither on the
order in which the work was done nor on its interruptions. Ray tasks write the shards side by side into a scratch
folder; when all are there they take the place of the old ones, and the manifest appears last.
"""

import secrets
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from datagen.errors import AccountingError, DatagenError
from datagen.ray_tasks import run_remotely, side_by_side
from datagen.recipe import Output
from datagen.records import PART_SCHEMA, STATES
from datagen.run_directory import PROVENANCE, write_json, write_text
from datagen.shards import Shard, shard_name, write_shard

FOLDERS = {"kept": "train", "dropped": "dropped", "failed": "failed"}
_MEMORY = "1GB"


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
        verdicts: a Parquet file with `id`, `state`, `findings`, `error` that replaces the verdicts in the parts.

    Raises:
        AccountingError: a row is missing, or there twice.
        DatagenError: a part is damaged.
    """
    shutil.rmtree(out / ".cut", ignore_errors=True)
    scratch = out / ".cut" / secrets.token_hex(4)  # no task of a cut that was killed writes in here
    scratch.mkdir(parents=True)
    table = scratch / "rows.parquet"
    shards, counts, failures = run_remotely(_plan, parts, table, output.shard_bytes, verdicts)
    if sum(counts.values()) != inputs:
        raise AccountingError(
            f"{inputs:,} images went in, but {sum(counts.values()):,} rows came out ({_shown(counts)}). "
            f"Rows were lost or added in {parts}; no shards were written."
        )
    for folder in FOLDERS.values():
        (scratch / folder).mkdir()
    calls = [(table, shard, parts, scratch / FOLDERS[shard.state], output.row_group_rows) for shard in shards]
    written = list(side_by_side(write_shard, calls, "writing shards"))
    _recount(scratch, shards, counts)
    manifest = {
        **PROVENANCE,
        **facts,
        "counts": {"inputs": inputs, **{state: counts[state] for state in STATES}},
        "failures": dict(sorted(failures.items())),
        "shards": written,
    }
    install(scratch, out, manifest)
    shutil.rmtree(out / ".cut", ignore_errors=True)
    return manifest


_ROWS = """
SELECT * EXCLUDE (filename), CAST(regexp_extract(filename, 'part-(\\d+).parquet$', 1) AS INTEGER) AS part FROM parts
"""
_JUDGED_ROWS = """
SELECT rows.* REPLACE (
    coalesce(v.state, rows.state) AS state, coalesce(v.findings, rows.findings) AS findings,
    CASE WHEN v.id IS NULL THEN rows.error ELSE v.error END AS error
)
FROM rows LEFT JOIN verdicts v ON rows.id = v.id AND (rows.state <> 'failed' OR rows.error['class'] = 'rule_error')
"""
_SHARDS = """
WITH sized AS (
    SELECT state, file_row_number AS number,
        size + strlen(CAST(messages AS VARCHAR)) + strlen(CAST(calls AS VARCHAR)) AS bytes
    FROM sorted
), placed AS (
    SELECT state, number, (sum(bytes) OVER (PARTITION BY state ORDER BY number) - bytes) // ? AS shard FROM sized
)
SELECT state, shard, min(number), count(*) FROM placed GROUP BY state, shard ORDER BY state, shard
"""


def read_manifest(out: Path) -> dict[str, Any]:
    """Return the manifest of a finished run or filtering.

    Raises:
        DatagenError: there is none.
    """
    try:
        manifest: dict[str, Any] = orjson.loads((out / "manifest.json").read_bytes())
    except OSError as error:
        raise DatagenError(
            f"{out} holds no finished run (it has no manifest.json); give the --out of a datagen run that has ended."
        ) from error
    except orjson.JSONDecodeError as error:
        raise DatagenError(
            f"{out}/manifest.json is damaged; delete it and run the same datagen run again, which calls no model."
        ) from error
    return manifest


def shards_are_there(out: Path, manifest: Mapping[str, Any]) -> bool:
    """Whether every shard of a manifest is there in its full size."""
    paths = {out / shard["path"]: shard["bytes"] for shard in manifest["shards"]}
    return all(path.is_file() and path.stat().st_size == size for path, size in paths.items())


def check_parts(paths: Iterable[Path]) -> None:
    """Read sealed parts with their checksums.

    Raises:
        DatagenError: one is damaged; the message names it.
    """
    for path in paths:
        try:
            with pq.ParquetFile(path, page_checksum_verification=True) as file:
                if not file.schema_arrow.equals(PART_SCHEMA):  # no checksum covers it
                    raise pa.ArrowInvalid("the schema is another one")
                for group in range(file.num_row_groups):
                    file.read_row_group(group)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise DatagenError(
                f"{path} is damaged. Delete {path.name} and {path.stem}.tar and run again: the images of that part "
                "alone are done anew."
            ) from error


def _plan(
    parts: Path, table: Path, shard_bytes: int, verdicts: Path | None
) -> tuple[list[Shard], Counter[str], Counter[str]]:
    """Sort the rows into `table`, and return the shards of about `shard_bytes`, the states and the failures."""
    check_parts(sorted(parts.glob("part-*.parquet")))
    try:
        planned, repeated, failures = _sorted(parts, table, shard_bytes, verdicts)
    except duckdb.Error as error:
        raise DatagenError(
            f"The rows of {parts} cannot be sorted ({str(error).splitlines()[0]}). If the disk is full, make room; "
            "then run the same command: no model is called for what is done."
        ) from error
    if repeated:
        raise AccountingError(f"{repeated} ids stand in the parts twice; no shards were written.")
    totals = Counter(state for state, *_ in planned)
    numbers: Counter[str] = Counter()
    shards: list[Shard] = []
    counts: Counter[str] = Counter()
    for state, _, first, count in planned:
        shards.append(Shard(state, shard_name(FOLDERS[state], numbers[state], totals[state]), first, count))
        numbers[state] += 1
        counts[state] += count
    return shards, counts, Counter(dict(failures))


def _sorted(
    parts: Path, table: Path, shard_bytes: int, verdicts: Path | None
) -> tuple[list[tuple[str, int, int, int]], int, list[tuple[str, int]]]:
    with duckdb.connect(config={"memory_limit": _MEMORY, "temp_directory": str(table.parent / "spill")}) as connection:
        connection.read_parquet(f"{parts}/part-*.parquet", filename=True).create_view("parts")
        connection.sql(_ROWS).create_view("rows")
        if verdicts is not None:
            connection.read_parquet(str(verdicts)).create_view("verdicts")
        rows = connection.sql("FROM rows" if verdicts is None else _JUDGED_ROWS)
        rows.order("state, id").write_parquet(str(table), compression="zstd", row_group_size=2048)
        connection.read_parquet(str(table), file_row_number=True).create_view("sorted")
        planned = connection.execute(_SHARDS, [shard_bytes]).fetchall()
        (repeated,) = connection.sql("SELECT count(*) - count(DISTINCT id) FROM sorted").fetchall()[0]
        failures = connection.sql(
            "SELECT error['class'], count(*) FROM sorted WHERE state = 'failed' GROUP BY 1"
        ).fetchall()
    return planned, repeated, failures


def _recount(scratch: Path, shards: list[Shard], counts: Counter[str]) -> None:
    """Count the rows in the files that were written."""
    found: Counter[str] = Counter()
    for shard in shards:
        found[shard.state] += pq.read_metadata(scratch / FOLDERS[shard.state] / shard.name).num_rows
    if found != counts:
        raise AccountingError(f"The shards hold {_shown(found)} rows, but {_shown(counts)} were planned.")


def claim_output(out: Path) -> None:
    """Make sure that a cut may take the place of what is in `out`.

    Raises:
        DatagenError: it holds files that no cut has written.
    """
    ours = (out / "manifest.json").exists() or (out / ".cut").exists()
    before_the_cut = {"run.lock", "verdicts.parquet", "verdicts.unfinished"}
    if not ours and any(entry.name not in before_the_cut for entry in out.iterdir()):
        raise DatagenError(f"{out} holds files that datagen did not write; choose an empty or new --out.")


def install(scratch: Path, out: Path, manifest: dict[str, Any]) -> None:
    """Put the new shards in the place of the old ones; the manifest goes first and comes back last."""
    (out / "manifest.json").unlink(missing_ok=True)
    for folder in FOLDERS.values():
        shutil.rmtree(out / folder, ignore_errors=True)
        if any((scratch / folder).iterdir()):
            (scratch / folder).rename(out / folder)
    write_text(out / "README.md", _card(manifest))
    write_json(out / "manifest.json", manifest)
    shutil.rmtree(scratch)


def _card(manifest: Mapping[str, Any]) -> str:
    """Return a data card whose head makes `load_dataset(out)` find the splits."""
    counts = manifest["counts"]
    folders = [folder for state, folder in FOLDERS.items() if counts[state]]
    files = "\n".join(f"  - split: {folder}\n    path: {folder}/*.parquet" for folder in folders)
    return (
        f"---\nlanguage: ja\nconfigs:\n- config_name: default\n  data_files:\n{files}\n---\n\n# {manifest['task']}\n\n"
        f"Made by datagen {manifest['datagen']} from {counts['inputs']:,} images: {counts['kept']:,} kept, "
        f"{counts['dropped']:,} dropped by the policy {manifest['policy']['name']}, {counts['failed']:,} failed. "
        "Recipe, policy, digests and the SHA-256 of every shard are in manifest.json; the source and the licence of "
        "every picture stand in its row.\n"
    )


def _shown(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{counts.get(state, 0):,} {state}" for state in STATES)
