"""Rows of schema 1, which runs of earlier versions have, as rows of schema 2. Nothing else knows schema 1.

There a row had one picture: `image`, and `sha256`, `phash`, `width`, `height` of it; a finding said `turn` for the
index of its message; and there were no scores.
"""

from typing import Any

import pyarrow as pa

from datagen.errors import DatagenError
from datagen.records import FINDINGS, shard_schema

_PICTURE = ("sha256", "phash", "width", "height")
FINDINGS_AS_NOW = """[{'rule': finding.rule, 'message': finding.turn, 'start': finding.start, 'end': finding."end",
    'text': finding.text, 'evidence': finding.evidence} FOR finding IN findings]"""
"""DuckDB: the findings of schema 1."""


def is_schema_1(schema: pa.Schema) -> bool:
    """Whether shards, or what `datagen filter` wrote, are of schema 1: it shows in what their findings say."""
    if "findings" not in schema.names:
        return False
    kind = schema.field("findings").type
    return (
        isinstance(kind, pa.ListType)
        and pa.types.is_struct(kind.value_type)
        and (kind.value_type.get_field_index("turn") >= 0)
    )


def refuse_schema_1(run: object) -> DatagenError:
    """Return what is said of going on with a run of schema 1."""
    return DatagenError(
        f"{run} was made by an earlier version of datagen (schema 1), and no run goes on there. report, explain, "
        "filter, recut, compare and review read it; to make more rows use another --out."
    )


def row_as_now(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of schema 1, or some of its columns, as one of schema 2; other columns stay."""
    findings = [
        {"message": finding["turn"], **{name: value for name, value in finding.items() if name != "turn"}}
        for finding in row.get("findings") or []
    ]
    changed: dict[str, Any] = {"findings": findings}
    if row.get("sha256"):
        changed["pictures"] = [{name: row.get(name) for name in _PICTURE}]
    if row.get("image"):
        changed["images"] = [row["image"]]
    return {**row, **changed}


def table_as_now(table: pa.Table) -> pa.Table:
    """Return rows of schema 1 as rows of schema 2.

    What `datagen filter` was given stays as it is, and its findings alone change.
    """
    rows = [row_as_now(row) for row in table.to_pylist()]
    if {*_PICTURE, "image", "calls"} <= set(table.schema.names):
        schema = shard_schema()
        empty = {"policy": "", "scores": [], "images": [], "pictures": [], "original": [], "repairs": []}
        return pa.Table.from_pylist(
            [{name: row.get(name, empty.get(name)) for name in schema.names} for row in rows], schema=schema
        )
    index = table.schema.get_field_index("findings")
    found = pa.array([row["findings"] for row in rows], FINDINGS)
    return table.set_column(index, "findings", found).replace_schema_metadata(table.schema.metadata)
