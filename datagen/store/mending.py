"""Repairs of stored rows: from the repairs that they have to those that another verdict gives them."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from datagen.sources.reading.stored_conversations import messages_of, repairs_of
from filters.mending import repaired, restored

_SAID = ("messages", "caption", "scores", "question", "answer")


def mended(rows: pa.Table, before: "pa.ChunkedArray[Any]", after: "pa.ChunkedArray[Any]") -> pa.Table:
    """Return rows with the conversations that other repairs leave; all else is as it was.

    Args:
        rows: with `messages`, or `question` and `answer`, and perhaps with `caption`, `scores` and `bytes`.
        before: the repairs that were made in them.
        after: the repairs that are to be made in them instead.
    """
    if not _any(before) and not _any(after):
        return rows
    pairs = zip(before.to_pylist(), after.to_pylist(), strict=True)
    changed = [number for number, (old, new) in enumerate(pairs) if (old or []) != (new or [])]
    if not changed:
        return rows
    names = [name for name in (*_SAID, "bytes") if name in rows.column_names]
    columns: dict[str, list[Any]] = {name: rows.column(name).to_pylist() for name in names}
    for number in changed:
        row = {name: columns[name][number] for name in names}
        sample = {**row, "messages": messages_of(row)}
        undone = restored(sample, repairs_of({"repairs": before[number].as_py()}))
        mended_row = repaired(undone, repairs_of({"repairs": after[number].as_py()}))
        for name, value in _as_stored(row, mended_row).items():
            columns[name][number] = value
    for name in names:
        field = rows.schema.field(name)
        rows = rows.set_column(rows.schema.get_field_index(name), field, pa.array(columns[name], field.type))
    return rows


def _any(repairs: "pa.ChunkedArray[Any]") -> bool:
    return bool(pc.sum(pc.list_value_length(repairs)).as_py())


def _as_stored(row: dict[str, Any], mended_row: dict[str, Any]) -> dict[str, Any]:
    """Return the columns of a row that has other messages now."""
    changed: dict[str, Any] = {name: mended_row[name] for name in ("caption", "scores") if name in row}
    if row.get("messages"):
        changed["messages"] = mended_row["messages"]
    else:
        changed["answer"] = mended_row["messages"][-1]["content"]
    if "bytes" in row:
        changed["bytes"] = row["bytes"] + _size(mended_row) - _size({**row, "messages": messages_of(row)})
    return changed


def _size(row: dict[str, Any]) -> int:
    return sum(len(message["content"].encode()) for message in row["messages"])
