"""`datagen recut`: another policy on a finished run, and new shards from it, with no model call."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from datagen.errors import DatagenError
from datagen.executors import FEW_ROWS, suited
from datagen.files.reading import open_parquet
from datagen.inspection.difference import Difference, compare
from datagen.inspection.stored_rows import CUT_AGAIN, StoredRows
from datagen.inspection.verdicts import Side, judged_side, named_side, run_side
from datagen.recipe import Output
from datagen.records import REPAIRS, SCHEMA_VERSION
from datagen.sources.reading.conversation_files import refuse_overlap
from datagen.store.cut import cut
from datagen.store.judged_shards import JudgedShards
from datagen.store.judging import was_judged
from datagen.store.manifest import claim_output, read_manifest
from datagen.store.mending import mended
from datagen.store.policies import policy_facts
from datagen.store.quotas import apply_quotas, mix_of
from datagen.store.run_directory import RunDirectory
from datagen.store.schema_1 import is_schema_1, table_as_now
from filters import Policy

_VERDICT = ("state", "findings", "repairs", "error", "policy")
_FACTS = ("task", "recipe", "output")


def recut(run: Path, policy: Policy, out: Path | None) -> tuple[Difference, dict[str, Any] | None]:
    """Decide the rows of a finished run by another policy.

    Args:
        run: a run, or what `datagen filter` wrote.
        policy: the other policy.
        out: where shards, verdicts and the difference go; without it only the difference is returned.

    Returns:
        The difference to the run's own policy, and the manifest of the new shards if there are any.

    Raises:
        DatagenError: there is no finished run, or `out` cannot be written.
    """
    if out is not None:
        refuse_overlap(out, run)
    few = read_manifest(run)["counts"]["inputs"] <= FEW_ROWS
    beside = out.parent if out and out.parent.exists() else None
    with tempfile.TemporaryDirectory(prefix="datagen-", dir=beside) as folder, suited(few=few):
        with StoredRows(run) as stored:
            if not stored.judged:
                raise DatagenError(
                    f"{run} has no row that a policy could judge: all {stored.counts['inputs']:,} failed."
                )
            own = run_side(stored, Path(folder) / "own.parquet")
        side = judged_side(run, policy, Path(folder) / "verdicts.parquet")
        if out is None:
            return compare(own, side), None
        directory = RunDirectory(out.absolute())
        with directory.locked():
            claim_output(directory.path)
            manifest = _cut(run, policy, side, directory.path)
            return compare(own, side, directory.path), manifest


def what_if(source: Path, before: Policy, after: Policy, out: Path) -> Difference:
    """Compare two policies on the same conversations, and write the difference into `out`; no shards are cut.

    Raises:
        DatagenError: the input cannot be read.
    """
    refuse_overlap(out, source)
    with tempfile.TemporaryDirectory(prefix="datagen-") as folder:
        one = judged_side(source, before, Path(folder) / "before.parquet")
        other = judged_side(source, after, Path(folder) / "after.parquet")
        return compare(one, other, out)


def compare_runs(before: Path, after: Path, out: Path | None) -> Difference:
    """Compare the verdicts of two runs; rows are matched by id, which depends on the name of the picture alone.

    Raises:
        DatagenError: one is no finished run.
    """
    if out is not None:
        refuse_overlap(out, before, after)
    with (
        tempfile.TemporaryDirectory(prefix="datagen-") as folder,
        StoredRows(before) as one,
        StoredRows(after) as other,
    ):
        return compare(named_side(one, Path(folder) / "1.parquet"), named_side(other, Path(folder) / "2.parquet"), out)


def _cut(run: Path, policy: Policy, side: Side, out: Path) -> dict[str, Any]:
    """Cut new shards: from the parts where the run has them, which gives the very shards of a run by that policy."""
    manifest = read_manifest(run)
    facts = {key: manifest[key] for key in _FACTS if key in manifest}
    facts["policy"] = policy_facts(policy)
    output = Output.model_validate(manifest.get("output", {}))
    (verdicts,) = side.files
    parts = run / "parts"
    inputs = manifest["counts"]["inputs"]
    if any(parts.glob("part-*.parquet")) and manifest["schema"] == SCHEMA_VERSION:
        if (mix := mix_of(manifest.get("recipe", {}))) is not None:
            judged, verdicts = verdicts, verdicts.with_name("quotas.parquet")
            facts["mix"] = apply_quotas(parts, judged, mix, manifest["recipe"]["seed"], verdicts)
        made = cut(parts.absolute(), out, output, facts, inputs, verdicts)
    else:
        made = _rewrite(run, manifest, verdicts, out, output, facts)
    shutil.copy(verdicts, out / "verdicts.parquet")
    return made


def _rewrite(
    run: Path, manifest: dict[str, Any], verdicts: Path, out: Path, output: Output, facts: dict[str, Any]
) -> dict[str, Any]:
    """Copy the rows of shards into new ones by their new states, a row group at a time, in the order of the shards."""
    with open_parquet(run / manifest["shards"][0]["path"], CUT_AGAIN) as file:
        schema = _as_now(file.schema_arrow.empty_table()).schema
    shards = JudgedShards(out)
    shards.open(schema, output)
    for table in _restated(run, manifest, verdicts):
        shards.write(table)
    return shards.finish(manifest["counts"]["inputs"], facts)


def _restated(run: Path, manifest: dict[str, Any], verdicts: Path) -> Iterator[pa.Table]:
    """Yield the rows of the shards with their new states and findings; verdicts are in the order of the shards."""
    ahead = _Ahead(verdicts)
    for entry in manifest["shards"]:
        with open_parquet(run / entry["path"], CUT_AGAIN) as file:
            for group in range(file.num_row_groups):
                table = _as_now(file.read_row_group(group))
                known = [name for name in ("state", "error") if name in table.schema.names]
                judged = [was_judged(row) for row in table.select(known).to_pylist()]
                if not all(judged):
                    yield table.filter(pa.array([not each for each in judged]))
                    table = table.filter(pa.array(judged))
                if table.num_rows:
                    yield _with_verdicts(table, ahead.take(table.num_rows))


def _as_now(table: pa.Table) -> pa.Table:
    """Return rows of any version as they are today, with a column for repairs."""
    table = table_as_now(table) if is_schema_1(table.schema) else table
    if "repairs" in table.column_names:
        return table
    index = table.schema.get_field_index("findings") + 1
    return table.add_column(index, pa.field("repairs", REPAIRS), pa.array([None] * table.num_rows, REPAIRS))


def _with_verdicts(table: pa.Table, judged: pa.Table) -> pa.Table:
    table = mended(table, table.column("repairs"), judged.column("repairs"))
    for name in _VERDICT:
        if name in table.schema.names:
            field = table.schema.field(name)
            column = judged.column(name).cast(field.type)
            table = table.set_column(table.schema.get_field_index(name), field, column)
    return table


class _Ahead:
    """Verdicts, taken from a file a few at a time."""

    def __init__(self, path: Path) -> None:
        self._batches = pq.ParquetFile(path).iter_batches(columns=list(_VERDICT))
        self._held: pa.Table | None = None

    def take(self, rows: int) -> pa.Table:
        """Return the next rows."""
        while self._held is None or self._held.num_rows < rows:
            batch = pa.Table.from_batches([next(self._batches)])
            self._held = batch if self._held is None else pa.concat_tables([self._held, batch])
        taken, self._held = self._held.slice(0, rows), self._held.slice(rows)
        return taken
