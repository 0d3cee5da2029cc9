"""Judging stored answers by a policy, with no model call: the text columns alone are read, on all CPUs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from datagen.fleet import side_by_side
from datagen.records import FINDINGS
from datagen.stored_parts import read_part, sealed_parts
from filters import Policy, load_policy

_VERDICT_FIELDS: "list[pa.Field[Any]]" = [
    pa.field("id", pa.string()),
    pa.field("state", pa.string()),
    pa.field("findings", FINDINGS),
]
VERDICTS = pa.schema(_VERDICT_FIELDS)
"""The columns of `verdicts.parquet`."""


def policy_facts(policy: Policy) -> dict[str, Any]:
    """Return what a manifest says of a policy."""
    return {"name": policy.name, "digest": policy.digest, "rules": policy.to_dict()["rules"]}


def judge_parts(parts: Path, policy: Policy, verdicts: Path) -> None:
    """Judge the rows of all sealed parts that did not fail, and write `verdicts.parquet`."""
    paths = sealed_parts(parts)
    _write(verdicts, side_by_side(_judge_part, [(path, policy.to_dict()) for path in paths], "judging"))


def judge_rows(rows: list[dict[str, Any]], policy: Policy) -> pa.Table:
    """Return the verdicts (`VERDICTS`) of rows with `id`, `messages`, and perhaps `caption`."""
    verdicts = policy.judge(rows)
    return pa.table(
        [
            pa.array([row["id"] for row in rows], pa.string()),
            pa.array(["kept" if verdict.kept else "dropped" for verdict in verdicts], pa.string()),
            pa.array([[finding._asdict() for finding in verdict.findings] for verdict in verdicts], FINDINGS),
        ],
        schema=VERDICTS,
    )


def _judge_part(path: Path, policy: dict[str, Any]) -> pa.Table:
    table = read_part(path, ["id", "caption", "messages", "state"])
    rows = table.filter(pc.not_equal(table.column("state"), pa.scalar("failed")))
    return judge_rows(rows.to_pylist(), load_policy(policy))


def _write(path: Path, tables: Iterator[pa.Table]) -> None:
    unfinished = path.with_suffix(".unfinished")
    with pq.ParquetWriter(unfinished, VERDICTS, compression="zstd") as writer:
        for table in tables:
            writer.write_table(table)
    unfinished.replace(path)
