"""Rows of schema 1, which runs of earlier versions have, as rows of schema 2. Nothing else knows schema 1.

There a row had one picture: `image`, and `sha256`, `phash`, `width`, `height` of it; a finding said `turn` for the
index of its message; and there were no scores.
"""

from typing import Any

import pyarrow as pa

from datagen.errors import DatagenError
from datagen.records import FINDINGS, IMAGES, SCORES, with_features

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
    """Return rows of schema 1 as rows of schema 2; what `datagen filter` was given beside them stays as it is."""
    findings = [row_as_now(row)["findings"] for row in table.select(["findings"]).to_pylist()]
    columns: dict[str, Any] = {}
    of_a_run = {*_PICTURE, "image", "calls"} <= set(table.schema.names)
    for name in table.schema.names:
        if name == "findings":
            if of_a_run:
                columns["scores"] = pa.array([[]] * table.num_rows, SCORES)
            columns[name] = pa.array(findings, FINDINGS)
        elif name == "image" and of_a_run:
            images = [[image] if image else [] for image in table.column("image").to_pylist()]
            columns["images"] = pa.array(images, IMAGES)
        elif name == "sha256" and of_a_run:
            facts = table.select(list(_PICTURE)).to_pylist()
            columns["pictures"] = pa.array([[fact] if fact["sha256"] else [] for fact in facts])
        elif name not in _PICTURE or not of_a_run:
            columns[name] = table.column(name)
        if name == "state" and of_a_run:
            columns["policy"] = pa.array([""] * table.num_rows, pa.string())
    made = pa.table(columns)
    if not of_a_run:
        return made.replace_schema_metadata(table.schema.metadata)
    return made.cast(with_features(made.schema, {"images": [{"_type": "Image"}]}))
