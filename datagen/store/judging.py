"""Judging stored answers by a policy, with no model call: the text columns alone are read, on all CPUs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from datagen.executors import mapped
from datagen.failures import Failure
from datagen.files.writing import appearing
from datagen.records import ERROR, FINDINGS, REPAIRS
from datagen.sources.reading.stored_conversations import fault_of, repairs_of, sample_of
from datagen.store.parts import read_part, sealed_parts
from datagen.store.policies import CarriedPolicy, mark_of
from filters import Finding, Policy, Verdict
from filters.mending import restored

_VERDICT_FIELDS: "list[pa.Field[Any]]" = [
    pa.field("id", pa.string()),
    pa.field("state", pa.string()),
    pa.field("findings", FINDINGS),
    pa.field("repairs", REPAIRS),
    pa.field("error", ERROR),
    pa.field("policy", pa.string()),
]
_READ = ("id", "caption", "messages", "original", "scores", "repairs")
VERDICTS = pa.schema(_VERDICT_FIELDS)
"""The columns of `verdicts.parquet`."""
NOT_MADE = "not_made"
"""Names the finding on a row that a check dropped before any call, where the policy would now let it pass."""
_NOT_MADE = Finding(
    NOT_MADE, None, 0, 0, "", "a check dropped it before any call; datagen run with this policy makes it"
)


def judge_parts(parts: Path, policy: Policy, verdicts: Path, *, others_only: bool = False) -> None:
    """Judge the rows of all sealed parts that have answers, and write `verdicts.parquet`.

    Args:
        parts: the folder of the parts.
        policy: that judges.
        verdicts: the file.
        others_only: leave out the rows that this very policy, with these rules, has judged already.
    """
    paths = sealed_parts(parts)
    carried = CarriedPolicy.of(policy)
    _write(verdicts, mapped(_judge_part, [(path, carried, others_only) for path in paths], "judging"))


def judged_by_others(parts: Path, policy: Policy) -> bool:
    """Whether a row of the sealed parts was judged by another policy, or by other rules, or a rule failed on it.

    Raises:
        DatagenError: a part is damaged.
    """
    mark = mark_of(policy)
    for path in sealed_parts(parts):
        rows = read_part(path, ["policy", "state", "error"]).to_pylist()
        if any(was_judged(row) and _by_another(row, mark) for row in rows):
            return True
    return False


def judge_rows(rows: list[dict[str, Any]], policy: Policy) -> pa.Table:
    """Return the verdicts (`VERDICTS`) of rows with `id`, `messages`, and perhaps `caption`, `scores` and `repairs`.

    They are judged as they were before the repairs that they have.
    """
    rows = [restored(row, found) if (found := repairs_of(row)) else row for row in rows]
    verdicts = [_of_row(row, verdict) for row, verdict in zip(rows, policy.judge(rows), strict=True)]
    return pa.table(
        [
            pa.array([row["id"] for row in rows], pa.string()),
            pa.array([_state(verdict) for verdict in verdicts], pa.string()),
            pa.array([[finding._asdict() for finding in verdict.findings] for verdict in verdicts], FINDINGS),
            pa.array([[repair._asdict() for repair in verdict.repairs] for verdict in verdicts], REPAIRS),
            pa.array([_error(verdict) for verdict in verdicts], ERROR),
            pa.repeat(pa.scalar(mark_of(policy)), len(rows)),
        ],
        schema=VERDICTS,
    )


def judge_conversations(rows: Sequence[Mapping[str, Any]], policy: Policy) -> pa.Table:
    """Return the verdicts (`VERDICTS`) of rows of anyone's, each failed as `bad_row` where it has no conversation."""
    faults = [fault_of(row) for row in rows]
    samples = [
        {"id": None, "messages": []} if fault else sample_of(row) for row, fault in zip(rows, faults, strict=True)
    ]
    verdicts = judge_rows(samples, policy).to_pylist()
    for row, fault, verdict in zip(rows, faults, verdicts, strict=True):
        verdict["id"] = None if row["id"] is None else str(row["id"])
        if fault:
            error = {"class": "bad_row", "message": fault}
            verdict |= {"state": "failed", "findings": [], "repairs": [], "error": error, "policy": ""}
    return pa.Table.from_pylist(verdicts, schema=VERDICTS)


def was_judged(row: dict[str, Any]) -> bool:
    """Whether a stored row has answers: it did not fail, or only a rule failed on it."""
    return row.get("state") != "failed" or (row.get("error") or {}).get("class") == "rule_error"


def _of_row(row: dict[str, Any], verdict: Verdict) -> Verdict:
    """Return the verdict of a row; one for which no call was made stays dropped whatever the policy lets pass."""
    if row["messages"] or not verdict.kept:
        return verdict
    return replace(verdict, kept=False, findings=(*verdict.findings, _NOT_MADE))


def _by_another(row: dict[str, Any], mark: str) -> bool:
    return bool(row["policy"] != mark or row["state"] == "failed")


def _state(verdict: Verdict) -> str:
    return "failed" if verdict.error else "kept" if verdict.kept else "dropped"


def _error(verdict: Verdict) -> dict[str, str] | None:
    return {"class": "rule_error", "message": Failure("rule_error", verdict.error).message} if verdict.error else None


def _judge_part(path: Path, policy: CarriedPolicy, others_only: bool) -> pa.Table:
    rows = read_part(path, [*_READ, "state", "error", "policy"]).to_pylist()
    loaded = policy.load()
    mark = mark_of(loaded)
    judged = [row for row in rows if was_judged(row) and (not others_only or _by_another(row, mark))]
    return judge_rows(judged, loaded)


def _write(path: Path, tables: Iterator[pa.Table]) -> None:
    with (
        appearing(path) as unfinished,
        unfinished.open("wb") as file,
        pq.ParquetWriter(file, VERDICTS, compression="zstd") as writer,
    ):
        for table in tables:
            writer.write_table(table)
