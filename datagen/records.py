"""The one schema: a row is one image with its conversation.

`Row` is a row in code, `ROW_SCHEMA` the same row on disk; a test keeps them in step. Rows wait for the cut in parts,
where `image` is a place in the part's tar (`PART_SCHEMA`); in shards it is a Hugging Face `Image` (`SHARD_SCHEMA`).
Where the picture stands in the conversation is structural: it belongs to the first user message, and no text
carries an image tag.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION = 1
"""Raised when a column changes its meaning; a run directory of another version is refused."""

State = Literal["kept", "dropped", "failed"]
STATES: tuple[State, ...] = ("kept", "dropped", "failed")


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Message(_Record):
    """One message of the conversation."""

    role: Literal["user", "assistant"]
    content: str


class FindingRecord(_Record):
    """What one rule found; `start` and `end` are code points in the content of message `turn` (-1: the caption)."""

    rule: str
    turn: int
    start: int
    end: int
    text: str
    evidence: str


class Call(_Record):
    """One answer of a model: what was asked, how, and what came back.

    Attributes:
        request: the user text as sent (the messages before it are those of the earlier calls to the same engine).
        sampling: the sampling parameters as JSON.
        attempt: 1 for the first asking; more when an unusable answer was asked for again with another seed.
    """

    stage: int
    engine: str
    model: str
    prompt: str
    prompt_digest: str
    sampling: str
    seed: int
    attempt: int
    request: str
    answer: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int


class ErrorRecord(_Record):
    """Why a row failed: a class from `datagen.failures`, and a sentence."""

    class_: str = Field(alias="class")
    message: str

    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class Row(_Record):
    """One image with its conversation, without the picture's bytes.

    Attributes:
        id: 32 hex digits, from the key of the image in its source.
        key: the image's name in its source (relative path, URL, or file and row).
        sha256: of the published picture bytes (empty when the picture could not be read).
        phash: 64-bit DCT perceptual hash, 16 hex digits.
        width: of the published picture, in pixels; `height` likewise.
        source: the recipe's name for the source.
        task: the recipe's name.
        state: kept, dropped (by `findings`), or failed (by `error`).
    """

    id: str
    key: str
    sha256: str = ""
    phash: str = ""
    width: int = 0
    height: int = 0
    source: str
    url: str = ""
    license: str = ""
    task: str
    caption: str = ""
    messages: list[Message] = []
    findings: list[FindingRecord] = []
    state: State
    error: ErrorRecord | None = None
    calls: list[Call] = []


class PartRow(Row):
    """A row as it waits in a part: with the place of its picture.

    Attributes:
        position: of the image in the index.
        suffix: of the picture's name, ".jpg"; empty when there is no picture.
        offset: of the picture's bytes in the part's tar; `size` in bytes.
    """

    position: int
    suffix: str = ""
    offset: int = 0
    size: int = 0


MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
FINDINGS = pa.list_(
    pa.struct(
        [
            ("rule", pa.string()),
            ("turn", pa.int32()),
            ("start", pa.int32()),
            ("end", pa.int32()),
            ("text", pa.string()),
            ("evidence", pa.string()),
        ]
    )
)
_CALLS = pa.list_(
    pa.struct(
        [
            ("stage", pa.int32()),
            ("engine", pa.string()),
            ("model", pa.string()),
            ("prompt", pa.string()),
            ("prompt_digest", pa.string()),
            ("sampling", pa.string()),
            ("seed", pa.int64()),
            ("attempt", pa.int32()),
            ("request", pa.string()),
            ("answer", pa.string()),
            ("finish_reason", pa.string()),
            ("prompt_tokens", pa.int32()),
            ("completion_tokens", pa.int32()),
        ]
    )
)
ERROR = pa.struct([("class", pa.string()), ("message", pa.string())])
_ROW_FIELDS: "list[pa.Field[Any]]" = [
    pa.field("id", pa.string()),
    pa.field("key", pa.string()),
    pa.field("sha256", pa.string()),
    pa.field("phash", pa.string()),
    pa.field("width", pa.int32()),
    pa.field("height", pa.int32()),
    pa.field("source", pa.string()),
    pa.field("url", pa.string()),
    pa.field("license", pa.string()),
    pa.field("task", pa.string()),
    pa.field("caption", pa.string()),
    pa.field("messages", MESSAGES),
    pa.field("findings", FINDINGS),
    pa.field("state", pa.string()),
    pa.field("error", ERROR),
    pa.field("calls", _CALLS),
]
ROW_SCHEMA = pa.schema(_ROW_FIELDS)

PLACE_FIELDS: "list[pa.Field[Any]]" = [
    pa.field("position", pa.int64()),
    pa.field("suffix", pa.string()),
    pa.field("offset", pa.int64()),
    pa.field("size", pa.int64()),
]
PART_SCHEMA = pa.schema([*_ROW_FIELDS, *PLACE_FIELDS])

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_SHARD_FIELDS: "list[pa.Field[Any]]" = [_ROW_FIELDS[0], pa.field("image", IMAGE), *_ROW_FIELDS[1:]]
SHARD_SCHEMA_PLAIN = pa.schema(_SHARD_FIELDS)


def shard_schema() -> pa.Schema:
    """Return the schema of a shard, with the Hugging Face features in its metadata.

    With them `datasets.load_dataset("parquet", …)` and streaming decode the pictures with no argument.
    """
    return with_features(SHARD_SCHEMA_PLAIN, {"image": {"_type": "Image"}})


def with_features(schema: pa.Schema, features: Mapping[str, Any]) -> pa.Schema:
    """Return `schema` with Hugging Face `datasets` features in its metadata.

    Args:
        schema: of a file.
        features: of the columns that are more than their Arrow types say, as `datasets` stores them:
            `{"image": {"_type": "Image"}}`. It derives the others; those that it has no name for (maps, UUIDs) are
            left out, and such a file it cannot load.
    """
    import datasets  # slow to import, and only the cut needs it

    described = dict(features)
    for field in schema:
        if field.name not in described:
            with suppress(ValueError):
                described |= datasets.Features.from_arrow_schema(pa.schema([field])).to_dict()
    info = {"info": {"features": described}}
    return schema.with_metadata({b"huggingface": json.dumps(info, sort_keys=True).encode()})
