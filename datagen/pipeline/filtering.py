"""`datagen filter`: judge conversations that are there already, a run's or anyone's, and cut them by the verdicts.

No model is called. Conversations come as a run directory, as Parquet (`id` and `messages`, or `id`, `question` and
`answer`, other columns are kept), or as JSON of the same fields. Ids that are whole numbers become text. Rows are
judged on all CPUs and written in the input's order; memory does not grow with their number. A row without a
conversation ends as failed.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from datagen.errors import DatagenError, InterruptedRunError
from datagen.executors import FEW_ROWS, mapped, suited
from datagen.recipe import Output
from datagen.records import REPAIRS, SCHEMA_VERSION
from datagen.sources.reading.conversation_files import (
    as_parquet,
    find_conversations,
    needs_no_conversion,
    refuse_overlap,
)
from datagen.sources.reading.merged_schema import as_merged, merged_schema
from datagen.sources.reading.stored_conversations import FAULT
from datagen.store.cut import cut
from datagen.store.identity import published
from datagen.store.index import Index
from datagen.store.judged_shards import JudgedShards
from datagen.store.judging import VERDICTS, judge_conversations, judge_parts
from datagen.store.manifest import claim_output
from datagen.store.mending import mended
from datagen.store.policies import CarriedPolicy, policy_facts
from datagen.store.quotas import apply_quotas, mix_of
from datagen.store.run_directory import RunDirectory
from filters import Policy

_JUDGED = ("findings", "repairs", "state", "error", "policy")
_OF_SCHEMA_1 = ("findings", "state", "error")
_READ = ("id", "messages", "caption", "original", "scores", "repairs", "question", "answer", FAULT)
_READ_BYTES = 1 << 28
_FEW_BYTES = 1 << 24
"""Of input that is judged before Ray has started."""


def filter_rows(source: Path, policy: Policy, out: Path, output: Output) -> dict[str, Any]:
    """Judge `source` by a policy and write `verdicts.parquet`, the shards and the manifest into `out`.

    Returns:
        The manifest.

    Raises:
        DatagenError: the input cannot be read or has no conversations, or `out` cannot be written or overlaps it.
        InterruptedRunError: Ctrl-C; the message says what is in `out`.
    """
    refuse_overlap(out, source)
    directory = RunDirectory(out.absolute())
    try:
        if (source / "run.json").exists() and RunDirectory(source.absolute()).stored_identity()[
            "schema"
        ] == SCHEMA_VERSION:
            with directory.locked():
                claim_output(directory.path)
                return _filter_run(RunDirectory(source.absolute()), policy, directory.path, output)
        files = find_conversations(source)
        refuse_overlap(out, *files)
        schema = _output_schema(files) if needs_no_conversion(files) else None  # refused before anything is written
        few = sum(path.stat().st_size for path in files) <= _FEW_BYTES
        with directory.locked(), suited(few=few):
            claim_output(directory.path)
            try:
                return _filter_table(files, schema, source.stem, policy, directory.path, output)
            except DatagenError:
                shutil.rmtree(directory.path / ".cut", ignore_errors=True)
                raise
    except KeyboardInterrupt:
        left = "keeps the shards that its manifest.json lists" if directory.manifest.exists() else "has no whole shards"
        raise InterruptedRunError(f"Stopped; {out} {left}. The same command starts from the beginning.") from None


def _filter_run(run: RunDirectory, policy: Policy, out: Path, output: Output) -> dict[str, Any]:
    index = Index(run.index)
    if unsealed := run.unsealed(index):
        raise DatagenError(
            f"{len(unsealed)} parts of {run.path} are not complete; finish the run with datagen run first."
        )
    verdicts = out / "verdicts.parquet"
    recipe = published(run.stored_identity())
    facts = {"task": recipe["task"], "recipe": recipe, "policy": policy_facts(policy)}
    with suited(few=index.count <= FEW_ROWS):
        mix = mix_of(recipe)
        judged = verdicts if mix is None else out / ".cut" / "judged.parquet"  # the cut clears that folder
        judged.parent.mkdir(exist_ok=True)
        judge_parts(run.parts, policy, judged)
        if mix is not None:
            facts["mix"] = apply_quotas(run.parts, judged, mix, recipe["seed"], verdicts)
        return cut(run.parts, out, output, facts, index.images(run.needed(index)), verdicts)


def _filter_table(
    sources: list[Path], schema: pa.Schema | None, task: str, policy: Policy, out: Path, output: Output
) -> dict[str, Any]:
    shards = JudgedShards(out)
    files = as_parquet(sources, shards.scratch)
    schema = schema or _output_schema(files)
    shards.open(schema, output)
    units = [(path, group) for path in files for group in range(pq.read_metadata(path).num_row_groups)]
    carried = CarriedPolicy.of(policy)
    judged = mapped(_judge_group, [(path, group, carried) for path, group in units], "judging")
    told = shards.scratch / "verdicts.parquet"
    with pq.ParquetWriter(told, VERDICTS, compression="zstd") as verdicts:
        for (file, group), verdict in zip(units, judged, strict=True):
            verdicts.write_table(verdict)
            for table in _judged_rows(file, group, verdict, schema):
                shards.write(table)
    inputs = sum(pq.read_metadata(path).num_rows for path in files)
    return shards.finish(inputs, {"task": task, "policy": policy_facts(policy)}, beside=[told])


def _output_schema(files: list[Path]) -> pa.Schema:
    """Return the schema of the shards: the columns of all files, and those of the verdict at the end.

    Raises:
        DatagenError: the columns cannot be brought together, or there are no rows.
    """
    if not any(pq.read_metadata(path).num_rows for path in files):
        raise DatagenError(f"{files[0]} has no rows{', and the other files have none' if len(files) > 1 else ''}.")
    for path in files:
        _check_verdict(path)
    return merged_schema(files, pa.schema([VERDICTS.field(name) for name in _JUDGED]))


def _check_verdict(path: Path) -> None:
    """Make sure that the columns that a verdict replaces hold one of datagen, and nothing of the user's."""
    schema = pq.read_schema(path)
    found = [name for name in _JUDGED if name in schema.names]
    kind = schema.field("findings").type if set(_OF_SCHEMA_1) <= set(found) else None
    of_datagen = isinstance(kind, pa.ListType) and pa.types.is_struct(kind.value_type)
    if found and not of_datagen:
        raise DatagenError(
            f"{path} has a column '{found[0]}' of its own, in whose place the verdict would come; rename it."
        )


def _judged_rows(path: Path, group: int, verdict: pa.Table, schema: pa.Schema) -> Iterator[pa.Table]:
    """Yield the rows of a row group with their verdicts, as many at a time as have about `_READ_BYTES`."""
    with pq.ParquetFile(path) as file:
        facts = file.metadata.row_group(group)
        at_once = max(1, facts.num_rows * _READ_BYTES // max(facts.total_byte_size, _READ_BYTES))
        first = 0
        for batch in file.iter_batches(at_once, row_groups=[group]):
            judged = verdict.slice(first, batch.num_rows)
            first += batch.num_rows
            rows = pa.Table.from_batches([batch])
            nothing = pa.chunked_array([pa.array([None] * rows.num_rows, REPAIRS)])
            before = rows.column("repairs") if "repairs" in rows.column_names else nothing
            rows = mended(rows, before, judged.column("repairs"))
            yield pa.table(as_merged(rows, schema, path, judged.select(list(_JUDGED))), schema=schema)


def _judge_group(path: Path, group: int, policy: CarriedPolicy) -> pa.Table:
    file = pq.ParquetFile(path)
    wanted = [name for name in _READ if name in file.schema_arrow.names]
    return judge_conversations(file.read_row_group(group, columns=wanted).to_pylist(), policy.load())
