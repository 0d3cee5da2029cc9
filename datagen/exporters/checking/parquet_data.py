"""Faults of Parquet: what TRL, nanoVLM and `datasets` ask of columns and their features."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from datagen.exporters.checking.found import Found
from datagen.exporters.checking.records import CONVERSATIONS
from datagen.exporters.checking.rows import Rows
from datagen.files.plain_names import plain_names
from datagen.sources.reading.message_shapes import PICTURES

_ROWS_AT_ONCE = 64
_KNOWN_BLOCKS = ("text", "image")


def faults_in_parquet(path: Path, name: str, rows: Rows, advance: Callable[[int], None]) -> Iterator[Found]:
    """Yield the faults of a Parquet file; arguments as for `faults_in_json`."""
    size = path.stat().st_size
    try:
        with plain_names(path) as (opened,), pq.ParquetFile(opened) as file:
            schema = file.schema_arrow
            shape = "finevision" if "texts" in schema.names else "messages"
            yield from _faults_of_columns(schema, shape, name)
            if not file.metadata.num_rows:
                yield Found("file_empty", shape, name)
            number = 0
            columns = [column for column in schema.names if column in ("id", *PICTURES, *CONVERSATIONS)]
            for batch in file.iter_batches(_ROWS_AT_ONCE, columns=columns):
                for record in batch.to_pylist():
                    where = f"{name} row {number}"
                    yield from rows.faults_of(record, shape, where, path)
                    yield from _faults_of_blocks(record, shape, where)
                    number += 1
                advance(size * batch.num_rows // max(file.metadata.num_rows, 1))
    except (OSError, pa.ArrowException) as error:
        yield Found("parquet_unreadable", "messages", name, str(error).splitlines()[0][:100])


def _faults_of_columns(schema: pa.Schema, shape: str, name: str) -> Iterator[Found]:
    features = _features(schema)
    for column in PICTURES:
        if column in schema.names and features is not None and '"Image"' not in _json(features.get(column)):
            yield Found("images_not_pictures", shape, name, column)
        elif column in schema.names and features is None and _is_bytes(schema.field(column).type):
            yield Found("images_not_pictures", shape, name, f"{column} has no features")
    if features is not None and '"List"' in _json(features):
        yield Found("features_new", shape, name)
    block = _block(schema)
    if block is not None and block.get_field_index("image") >= 0:
        yield Found("block_image_field", shape, name)


def _features(schema: pa.Schema) -> dict[str, Any] | None:
    try:
        found = orjson.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, ValueError, TypeError):
        return None
    return found if isinstance(found, dict) else None


def _json(value: object) -> str:
    return orjson.dumps(value).decode()


def _is_bytes(kind: pa.DataType) -> bool:
    inner = kind.value_type if isinstance(kind, pa.ListType) else kind
    return pa.types.is_struct(inner) and inner.get_field_index("bytes") >= 0


def _block(schema: pa.Schema) -> Any:
    """Return the type of a block of a message, where messages have blocks."""
    if "messages" not in schema.names:
        return None
    kind: Any = schema.field("messages").type
    try:
        content = kind.value_type.field("content").type
        return content.value_type if isinstance(content, pa.ListType) else None
    except (AttributeError, KeyError):
        return None


def _faults_of_blocks(record: dict[str, Any], shape: str, where: str) -> Iterator[Found]:
    for message in record.get("messages") or ():
        content = message.get("content") if isinstance(message, dict) else None
        for block in content if isinstance(content, list) else ():
            if block.get("type") not in _KNOWN_BLOCKS:
                yield Found("block_unknown", shape, where, repr(block.get("type")))
            elif block["type"] == "text" and block.get("text") is None:
                yield Found("block_text_null", shape, where)
