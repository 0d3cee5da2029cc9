"""Conversations as they come to `datagen filter`: Parquet, or JSON lines made into Parquet."""

from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from datagen.errors import DatagenError
from datagen.records import MESSAGES

_LINES_A_GROUP = 2048
_LINE_FIELDS: "list[pa.Field[Any]]" = [
    pa.field("id", pa.string()),
    pa.field("messages", MESSAGES),
    pa.field("caption", pa.string()),
    pa.field("record", pa.string()),
]


def conversation_files(source: Path, scratch: Path) -> list[Path]:
    """Return the Parquet files with the conversations of `source`; JSON lines are made into one in `scratch`.

    Raises:
        DatagenError: there are none, or columns are missing.
    """
    if source.suffix.lower() in (".jsonl", ".ndjson", ".json"):
        return [_lines_as_parquet(source, scratch / "input.parquet")]
    return _parquet_files(source)


def _parquet_files(source: Path) -> list[Path]:
    # What `datagen filter` wrote has its verdicts beside the shards.
    found = sorted(source.rglob("*.parquet")) if source.is_dir() else [source]
    files = [path for path in found if path == source or path.name != "verdicts.parquet"]
    if not files:
        raise DatagenError(f"{source} holds neither a datagen run nor Parquet files.")
    for path in files:
        try:
            names = pq.read_schema(path).names
        except (OSError, pa.ArrowException) as error:
            raise DatagenError(f"{path} is no readable Parquet file: {error}") from error
        if "id" not in names or not ("messages" in names or {"question", "answer"} <= set(names)):
            raise DatagenError(
                f"{path} has the columns {', '.join(names)}; needed are id and messages, or id, question and answer."
            )
    return files


def messages_of(row: dict[str, Any]) -> Any:
    """Return the row's `messages`, or its `question` and `answer` as messages; an empty list if it has neither."""
    if row.get("messages"):
        return row["messages"]
    if not row.get("question") or not row.get("answer"):
        return []
    return [{"role": "user", "content": row["question"]}, {"role": "assistant", "content": row["answer"]}]


def fault_of(row_id: object, messages: object) -> str:
    """Return what keeps a row from being judged, or nothing."""
    if not isinstance(row_id, str) or not row_id:
        return "the row has no id, or one that is no text"
    if not isinstance(messages, list) or not messages:
        return "the row has no messages, and no question with an answer"
    for message in messages:
        if not isinstance(message, dict) or not all(isinstance(message.get(key), str) for key in ("role", "content")):
            return "a message has no role or content, or one that is no text"
    return ""


def _lines_as_parquet(source: Path, path: Path) -> Path:
    """Write JSON lines as Parquet; what a line says beyond the conversation stays in `record`."""
    schema = pa.schema(_LINE_FIELDS)
    with source.open("rb") as lines, pq.ParquetWriter(path, schema, compression="zstd") as writer:
        numbered = ((number, line) for number, line in enumerate(lines, start=1) if line.strip())
        while group := [_line(number, line) for number, line in islice(numbered, _LINES_A_GROUP)]:
            writer.write_table(pa.Table.from_pylist(group, schema=schema))
    if not pq.read_metadata(path).num_rows:
        raise DatagenError(f"{source} holds no lines.")
    return path


def _line(number: int, line: bytes) -> dict[str, Any]:
    text = line.decode("utf-8", "replace").strip()
    try:
        document = orjson.loads(line)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        return {"id": f"line-{number}", "messages": None, "caption": None, "record": text}
    messages = messages_of(document)
    row_id = document.get("id")
    bad = fault_of(str(row_id) if isinstance(row_id, int) else row_id, messages)
    return {
        "id": f"line-{number}" if row_id in (None, "") else str(row_id),
        "messages": None if bad else [{key: message[key] for key in ("role", "content")} for message in messages],
        "caption": document["caption"] if isinstance(document.get("caption"), str) else None,
        "record": text,
    }
