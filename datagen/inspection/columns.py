"""The columns of shards that the inspection knows, in runs and in whatever `datagen filter` was given.

A column of another file may have the name of one of ours and be something else; then it is as if it were not there.
"""

import pyarrow as pa

from datagen.records import ROW_SCHEMA
from datagen.store.schema_1 import FINDINGS_AS_NOW

TEXTS = (
    *("id", "key", "task", "caption", "state", "policy", "source", "url", "license"),
    *("sha256", "phash", "question", "answer"),
)
_NUMBERS = ("width", "height")
_STRUCTS = {
    "messages": ("role", "content"),
    "findings": ("rule", "start", "end", "text", "evidence"),
    "scores": ("name", "value", "reason", "message"),
    "original": ("role", "content"),
    "repairs": ("rule", "action", "message", "start", "role", "text"),
    "pictures": ("sha256", "phash", "width", "height"),
    "images": ("bytes",),
    "error": ("class", "message"),
    "image": ("bytes",),
    "calls": tuple(field.name for field in ROW_SCHEMA.field("calls").type.value_type),
}
_PAIR = "[{'role': 'user', 'content': question}, {'role': 'assistant', 'content': answer}]"
_EMPTY = {
    "key": "id",
    "caption": "''",
    "task": "NULL::VARCHAR",
    "policy": "''",
    "scores": "[]::STRUCT(name VARCHAR, value DOUBLE, reason VARCHAR, message INTEGER)[]",
    "repairs": """[]::STRUCT(rule VARCHAR, "action" VARCHAR, message INTEGER, "start" INTEGER, role VARCHAR,
        text VARCHAR)[]""",
    "messages": "[]::STRUCT(role VARCHAR, content VARCHAR)[]",
    "error": "NULL::STRUCT(class VARCHAR, message VARCHAR)",
    "calls": """[]::STRUCT(model VARCHAR, prompt VARCHAR, prompt_digest VARCHAR, attempt INTEGER, answer VARCHAR,
        finish_reason VARCHAR, prompt_tokens INTEGER, completion_tokens INTEGER)[]""",
}


def known_columns(schema: pa.Schema) -> list[str]:
    """Return the columns of a shard that are what their names say.

    >>> known_columns(pa.schema([("id", pa.string()), ("task", pa.int64()), ("mine", pa.string())]))
    ['id']
    """
    return [field.name for field in schema if _is_known(field.name, field.type)]


def column_expressions(known: list[str], *, schema_1: bool = False) -> dict[str, str]:
    """Return what stands for each column that queries use: itself, or what it is when it is not there."""
    found = {name: name if name in known else _EMPTY[name] for name in _EMPTY}
    if {"question", "answer"} <= set(known):
        found["messages"] = f"coalesce(messages, {_PAIR})" if "messages" in known else _PAIR
    findings = FINDINGS_AS_NOW if schema_1 else "findings"
    return {"id": "id", "state": "state", "findings": findings} | found


def _is_known(name: str, kind: pa.DataType) -> bool:
    if name in TEXTS:
        return _is_text(kind)
    if name in _NUMBERS:
        return pa.types.is_integer(kind)
    if name not in _STRUCTS:
        return False
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        kind = kind.value_type
    return (
        pa.types.is_struct(kind)
        and all(kind.get_field_index(field) >= 0 for field in _STRUCTS[name])
        and (name != "messages" or all(_is_text(kind.field(field).type) for field in _STRUCTS[name]))
    )


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
