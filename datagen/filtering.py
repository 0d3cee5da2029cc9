"""`datagen filter`: judge conversations that are there already, a run's or anyone's, and cut them by the verdicts.

No model is called. Conversations come as a run directory, as Parquet (`id` and `messages`, or `id`, `question` and
`answer`, other columns are kept), or as JSON lines of the same fields. Rows are judged on all CPUs and written in the
input's order; memory does not grow with their number. A row without a conversation ends as failed.
"""

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from datagen.cut import FOLDERS, claim_output, cut, install
from datagen.errors import AccountingError, DatagenError
from datagen.fleet import side_by_side
from datagen.index import Index
from datagen.judging import VERDICTS, judge_parts, judge_rows, policy_facts
from datagen.recipe import Output
from datagen.records import STATES, with_features
from datagen.run_directory import PROVENANCE, RunDirectory
from datagen.shards import RollingShards
from datagen.stored_conversations import conversation_files, fault_of, messages_of
from filters import Policy, load_policy

_JUDGED = ("findings", "state", "error")
_ERROR = pa.struct([("class", pa.string()), ("message", pa.string())])


def filter_rows(source: Path, policy: Policy, out: Path, output: Output) -> dict[str, Any]:
    """Judge `source` by a policy and write `verdicts.parquet`, the shards and the manifest into `out`.

    Returns:
        The manifest.

    Raises:
        DatagenError: the input cannot be read or has no conversations, or `out` cannot be written.
    """
    if not source.exists():
        raise DatagenError(f"There is no {source}; give a run's directory, Parquet, or JSON lines.")
    directory = RunDirectory(out.absolute())
    with directory.locked():
        claim_output(directory.path)
        if (source / "run.json").exists():
            return _filter_run(RunDirectory(source.absolute()), policy, directory.path, output)
        return _filter_table(source, policy, directory.path, output)


def _filter_run(run: RunDirectory, policy: Policy, out: Path, output: Output) -> dict[str, Any]:
    index = Index(run.index)
    if unsealed := run.unsealed(index):
        raise DatagenError(
            f"{len(unsealed)} parts of {run.path} are not complete; finish the run with datagen run first."
        )
    verdicts = out / "verdicts.parquet"
    judge_parts(run.parts, policy, verdicts)
    recipe = run.stored_identity()
    recipe["source"].pop("path", None)
    facts = {"task": recipe["task"], "recipe": recipe, "policy": policy_facts(policy)}
    return cut(run.parts, out, output, facts, index.count, verdicts)


def _filter_table(source: Path, policy: Policy, out: Path, output: Output) -> dict[str, Any]:
    scratch = out / ".cut"
    shutil.rmtree(scratch, ignore_errors=True)
    for folder in FOLDERS.values():
        (scratch / folder).mkdir(parents=True)
    files = conversation_files(source, scratch)
    units = [(path, group) for path in files for group in range(pq.read_metadata(path).num_row_groups)]
    schema = _judged_schema(files[0])
    counts: Counter[str] = Counter()
    failures: Counter[str] = Counter()
    shards = {state: RollingShards(scratch / folder, state, schema, output) for state, folder in FOLDERS.items()}
    with pq.ParquetWriter(scratch / "verdicts.parquet", _VERDICTS_WITH_ERROR, compression="zstd") as verdicts:
        judged = side_by_side(_judge_group, [(path, group, policy.to_dict()) for path, group in units], "judging")
        for (path, group), verdict in zip(units, judged, strict=True):
            verdicts.write_table(verdict)
            rows = pq.ParquetFile(path).read_row_group(group)
            table = pa.table(
                [*(rows.column(name) for name in schema.names if name not in _JUDGED), *map(verdict.column, _JUDGED)],
                schema=schema,
            )
            for state in STATES:
                chosen = table.filter(pc.equal(verdict.column("state"), pa.scalar(state)))
                counts[state] += chosen.num_rows
                shards[state].write(chosen)
            failures.update(error["class"] for error in verdict.column("error").to_pylist() if error)
    written = [entry for state in STATES for entry in shards[state].close()]
    inputs = sum(pq.read_metadata(path).num_rows for path in files)
    found = sum(entry["rows"] for entry in written)
    if not sum(counts.values()) == inputs == found:
        raise AccountingError(f"{inputs:,} rows went in, {sum(counts.values()):,} were judged and {found:,} written.")
    manifest = {
        **PROVENANCE,
        "task": source.stem,
        "policy": policy_facts(policy),
        "counts": {"inputs": inputs} | {str(state): counts[state] for state in STATES},
        "failures": dict(sorted(failures.items())),
        "shards": written,
    }
    (scratch / "verdicts.parquet").replace(out / "verdicts.parquet")
    install(scratch, out, manifest)
    return manifest


_VERDICTS_WITH_ERROR = VERDICTS.append(pa.field("error", _ERROR))


def _judged_schema(path: Path) -> pa.Schema:
    schema = pq.read_schema(path)
    fields = [field for field in schema if field.name not in _JUDGED]
    fields += [_VERDICTS_WITH_ERROR.field(name) for name in _JUDGED]
    pictures = [
        field.name for field in fields if pa.types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0
    ]
    return with_features(pa.schema(fields), pictures)


def _caption(row: dict[str, Any]) -> str:
    caption = row.get("caption")
    return caption if isinstance(caption, str) else ""


def _judge_group(path: Path, group: int, policy: dict[str, Any]) -> pa.Table:
    file = pq.ParquetFile(path)
    wanted = [name for name in ("id", "messages", "caption", "question", "answer") if name in file.schema_arrow.names]
    rows = file.read_row_group(group, columns=wanted).to_pylist()
    samples: list[dict[str, Any]] = []
    errors: list[dict[str, str] | None] = []
    for row in rows:
        messages = messages_of(row)
        fault = fault_of(row["id"], messages)
        errors.append({"class": "bad_row", "message": fault} if fault else None)
        samples.append({"id": row["id"], "messages": [] if fault else messages, "caption": _caption(row)})
    judged = judge_rows(samples, load_policy(policy))
    states = pa.array(
        ["failed" if error else state for error, state in zip(errors, judged["state"].to_pylist(), strict=True)]
    )
    findings = pa.array(
        [[] if error else found for error, found in zip(errors, judged["findings"].to_pylist(), strict=True)],
        VERDICTS.field("findings").type,
    )
    return pa.table([judged["id"], states, findings, pa.array(errors, _ERROR)], schema=_VERDICTS_WITH_ERROR)
