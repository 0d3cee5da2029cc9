"""Judging stored answers by a policy, with no model call: the text columns alone are read, on all CPUs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from datagen.executors.ray_tasks import side_by_side
from datagen.failures import Failure
from datagen.files.reading import writing
from datagen.records import ERROR, FINDINGS
from datagen.store.parts import read_part, sealed_parts
from datagen.store.policies import CarriedPolicy
from filters import Policy, Verdict

_VERDICT_FIELDS: "list[pa.Field[Any]]" = [
    pa.field("id", pa.string()),
    pa.field("state", pa.string()),
    pa.field("findings", FINDINGS),
    pa.field("error", ERROR),
]
VERDICTS = pa.schema(_VERDICT_FIELDS)
"""The columns of `verdicts.parquet`."""


def judge_parts(parts: Path, policy: Policy, verdicts: Path) -> None:
    """Judge the rows of all sealed parts that have answers, and write `verdicts.parquet`."""
    paths = sealed_parts(parts)
    carried = CarriedPolicy.of(policy)
    _write(verdicts, side_by_side(_judge_part, [(path, carried) for path in paths], "judging"))


def judge_rows(rows: list[dict[str, Any]], policy: Policy) -> pa.Table:
    """Return the verdicts (`VERDICTS`) of rows with `id`, `messages`, and perhaps `caption`."""
    verdicts = policy.judge(rows)
    return pa.table(
        [
            pa.array([row["id"] for row in rows], pa.string()),
            pa.array([_state(verdict) for verdict in verdicts], pa.string()),
            pa.array([[finding._asdict() for finding in verdict.findings] for verdict in verdicts], FINDINGS),
            pa.array([_error(verdict) for verdict in verdicts], ERROR),
        ],
        schema=VERDICTS,
    )


def was_judged(row: dict[str, Any]) -> bool:
    """Whether a stored row has answers: it did not fail, or only a rule failed on it."""
    return row.get("state") != "failed" or (row.get("error") or {}).get("class") == "rule_error"


def _state(verdict: Verdict) -> str:
    return "failed" if verdict.error else "kept" if verdict.kept else "dropped"


def _error(verdict: Verdict) -> dict[str, str] | None:
    return {"class": "rule_error", "message": Failure("rule_error", verdict.error).message} if verdict.error else None


def _judge_part(path: Path, policy: CarriedPolicy) -> pa.Table:
    rows = read_part(path, ["id", "caption", "messages", "state", "error"]).to_pylist()
    return judge_rows([row for row in rows if was_judged(row)], policy.load())


def _write(path: Path, tables: Iterator[pa.Table]) -> None:
    unfinished = path.with_suffix(".unfinished")
    with (
        unfinished.open("wb") as file,
        writing(unfinished),
        pq.ParquetWriter(file, VERDICTS, compression="zstd") as writer,
    ):
        for table in tables:
            writer.write_table(table)
    unfinished.replace(path)
