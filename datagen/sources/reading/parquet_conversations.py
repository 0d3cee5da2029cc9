"""Conversations in Parquet that stand there in another shape, as Parquet with `messages`; other columns are kept."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from datagen.records import MESSAGES
from datagen.sources.reading.message_shapes import SHAPES, as_row
from datagen.sources.reading.stored_conversations import FAULT, fault_of

_ROWS_AT_ONCE = 512
_OF_OTHERS = ({"from", "value"}, {"user", "assistant"})


def is_in_another_shape(schema: pa.Schema) -> bool:
    """Whether a file has its conversations as ShareGPT, blocks or FineVision have them.

    >>> turns = pa.list_(pa.struct([("from", pa.string()), ("value", pa.string())]))
    >>> is_in_another_shape(pa.schema([("id", pa.string()), ("conversations", turns)]))
    True
    >>> is_in_another_shape(pa.schema([("id", pa.string()), ("messages", MESSAGES)]))
    False
    """
    name = next((shape for shape in SHAPES if shape in schema.names), None)
    if name is None or (name != "messages" and {"question", "answer"} <= set(schema.names)):
        return False
    kind: Any = schema.field(name).type
    if not isinstance(kind, pa.ListType) or not pa.types.is_struct(kind.value_type):
        return False
    turn = kind.value_type
    fields = {field.name for field in turn.fields}
    blocks = "content" in fields and isinstance(turn.field("content").type, pa.ListType)
    return name != "messages" or blocks or any(shape <= fields for shape in _OF_OTHERS)


def with_messages(source: Path, path: Path) -> None:
    """Write a file in another shape as one with `messages`, a few rows in memory at a time.

    A row whose conversation makes no sense says why in the column `FAULT`.
    """
    with pq.ParquetFile(source) as file:
        kept = [field for field in file.schema_arrow if field.name not in ("messages", FAULT)]
        schema = pa.schema([*kept, pa.field("messages", MESSAGES), pa.field(FAULT, pa.string())])
        schema = schema.with_metadata(file.schema_arrow.metadata)
        columns = [name for name in ("id", *SHAPES) if name in file.schema_arrow.names]
        with pq.ParquetWriter(path, schema, compression="zstd") as writer:
            for batch in file.iter_batches(_ROWS_AT_ONCE):
                made = [_row(row) for row in batch.select(columns).to_pylist()]
                arrays: dict[str, Any] = {field.name: batch.column(field.name) for field in kept}
                arrays["messages"] = pa.array([row["messages"] for row in made], MESSAGES)
                arrays[FAULT] = pa.array([row[FAULT] for row in made], pa.string())
                writer.write_table(pa.table([arrays[name] for name in schema.names], schema=schema))


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    read = as_row({**row, "images": True})  # a column of pictures stands beside the text
    fault = fault_of(read)
    if fault:
        return {"messages": None, FAULT: fault}
    return {"messages": [{name: it[name] for name in ("role", "content")} for it in read["messages"]], FAULT: None}
