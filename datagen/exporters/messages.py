"""Parquet with `messages` and `images`, as TRL's `SFTTrainer` and other users of chat templates read it.

`messages` is a list of `{role, content}`, `content` a list of blocks with exactly the keys `type` and `text` (a field
`image`, even an empty one, makes TRL refuse every row); there is a block `{"type": "image", "text": null}` for each
picture, all of them first in the first user message. `images` is a list of Hugging Face `Image`, in the same order.
"""

from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from datagen.exporters import Rows
from datagen.files.writing import writing
from datagen.records import IMAGES, with_features

_BLOCK = pa.struct([("type", pa.string()), ("text", pa.string())])
_FIELDS: "list[pa.Field[Any]]" = [
    pa.field("id", pa.string()),
    pa.field("images", IMAGES),
    pa.field("messages", pa.list_(pa.struct([("role", pa.string()), ("content", pa.list_(_BLOCK))]))),
]
_ROWS_A_GROUP = 64
_SHARD_BYTES = 500_000_000


def write(rows: Rows, out: Path) -> int:
    """Write `train-00000.parquet` and so on into a folder."""
    schema = with_features(pa.schema(_FIELDS), {"images": [{"_type": "Image"}]})
    count = number = 0
    group = list(islice(rows, _ROWS_A_GROUP))
    while group:
        path = out / f"train-{number:05d}.parquet"
        with writing(path), path.open("wb") as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:
            while group and file.tell() < _SHARD_BYTES:
                writer.write_table(pa.Table.from_pylist([_converted(row) for row in group], schema=schema))
                count += len(group)
                group = list(islice(rows, _ROWS_A_GROUP))
        number += 1
    return count


def _converted(row: dict[str, Any]) -> dict[str, Any]:
    images = row.get("images") or []
    messages = []
    waiting = [{"type": "image", "text": None} for _ in images]
    for message in row["messages"]:
        text = {"type": "text", "text": message["content"]}
        if message["role"] == "user":
            messages.append({"role": "user", "content": [*waiting, text]})
            waiting = []
        else:
            messages.append({"role": message["role"], "content": [text]})
    return {"id": row["id"], "images": images, "messages": messages}
