"""Rows of all sorts: 0 to 3 pictures in several formats, 1 to 3 turns, texts that break weak writers."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from datagen.pipeline.filtering import filter_rows
from datagen.recipe import Output
from datagen.records import IMAGES, MESSAGES, with_features
from datagen.store.policies import read_policy

FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
TEXTS = (
    "桜の花です。",
    "「春」と書かれた\n札があります。",
    '値段は\t3,000円、"特価"です。',
    "カナ：ｶﾅ、髙島、𠮷野家、👨‍👩‍👧、é。",
    'a,b;c\\d / {"json": [1, 2]} のような文字があります。',
    "改行\r\nと\u2028段落があります。",
)


def picture(seed: int, kind: str) -> bytes:
    """A picture of noise; PNG with a palette, GIF with one frame."""
    noise = np.random.default_rng(seed).integers(0, 256, (48 + seed % 40, 64, 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    encoded = io.BytesIO()
    (image.quantize(16) if kind in ("PNG", "GIF") else image).save(encoded, kind, quality=80)
    return encoded.getvalue()


def wild_row(number: int, pictures: int, system: bool = False) -> dict[str, Any]:
    """A row whose every text is told from those of others by its number."""
    said = [{"role": "system", "content": f"簡潔に答えてください（{number}）。"}] if system else []
    for turn in range(number % 3 + 1):
        said.append({"role": "user", "content": f"{number}の{turn}番は何ですか？"})
        said.append({"role": "assistant", "content": f"{number}-{turn}は{TEXTS[(number + turn) % len(TEXTS)]}"})
    kinds = [FORMATS[(number + index) % len(FORMATS)] for index in range(pictures)]
    images = [
        {"bytes": picture(3 * number + index, kind), "path": f"写真 {number}.{index}"}
        for index, kind in enumerate(kinds)
    ]
    return {"id": f"row-{number:05d}", "images": images, "messages": said}


def judged(rows: list[dict[str, Any]], out: Path, shard_bytes: int = 40_000) -> Path:
    """Judge rows by an empty policy, which keeps all of them, in several shards."""
    table = pa.Table.from_pylist(
        rows, schema=pa.schema([("id", pa.string()), ("images", IMAGES), ("messages", MESSAGES)])
    )
    source = out.with_suffix(".parquet")
    described = with_features(table.schema, {"images": [{"_type": "Image"}]})
    pq.write_table(table.cast(described), source, row_group_size=16)
    nothing = out.with_suffix(".yaml")
    nothing.write_text("name: nothing\nrules: []\n", encoding="utf-8")
    filter_rows(source, read_policy(nothing), out, Output(shard_bytes=shard_bytes))
    return out
