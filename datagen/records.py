"""The one schema: a row is one conversation about 0, 1 or several pictures.

`Row` is a row in code, `ROW_SCHEMA` the same row on disk; a test keeps them in step. Rows wait for the cut in parts,
which say where in the part's tar the pictures lie (`PART_SCHEMA`); in shards they are a list of Hugging Face `Image`
(`shard_schema`). Where a picture stands in the conversation is structural: all belong to the first user message, and no
text carries a tag. The descriptions here are those of docs/data.md.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION = 2
"""Raised when a column changes its meaning; a run directory of another version is refused."""

State = Literal["kept", "dropped", "failed"]
STATES: tuple[State, ...] = ("kept", "dropped", "failed")
CAPTION = -1
"""In the place of an index into `messages`: the caption."""
ASKED_AGAIN = "asked_again"
"""The score of an answer that was asked for again because the policy would have dropped the row: how often."""
SHRUNK = "shrunk"
"""The score of a row whose pictures were made smaller because they overflowed the model's context."""


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PictureRecord(_Record):
    """What is known of one picture of a row."""

    sha256: str = Field(description="SHA-256 of the published bytes, 64 hex digits")
    phash: str = Field(description="DCT perceptual hash (Zauner 2010), 16 hex digits; empty without `images.phash`")
    width: int = Field(description="of the published picture, in pixels")
    height: int = Field(description="of the published picture, in pixels")


class MessageRecord(_Record):
    """One message of the conversation."""

    role: Literal["system", "user", "assistant"] = Field(description="system, user or assistant")
    content: str = Field(description="the text; no tag stands in it for a picture")


class ScoreRecord(_Record):
    """What a check or a judge has measured; the policy alone says what follows from it."""

    name: str = Field(description="of the check, or of the judge's prompt")
    value: float = Field(description="the number")
    reason: str = Field("", description="in words, or empty")
    message: int | None = Field(
        None,
        description="index into `messages`, -1 the caption, null the row as a whole; below -1 it is -2 minus the index "
        "of a message that a repair took out",
    )


class FindingRecord(_Record):
    """What one rule found; the span is in code points of the content of that message."""

    rule: str = Field(description="the rule, or the name of the bound on a score")
    message: int | None = Field(description="index into `messages`, -1 the caption, null the row as a whole")
    start: int = Field(description="offset of the first character, in code points")
    end: int = Field(description="offset behind the last one; equal to start where no text is meant")
    text: str = Field(description="`content[start:end]`")
    evidence: str = Field(description="what made the rule say so, for a person to read")


class RepairRecord(_Record):
    """What the policy took out of the conversation so that it could be kept; it can be put back."""

    rule: str = Field(description="the rule that had objected")
    action: str = Field(description="of the policy: trim, drop_turn, or one of your own")
    message: int = Field(description="index into the messages before all repairs, -1 the caption")
    start: int = Field(description="offset of what was taken in that message, in code points")
    role: str = Field(description="of a message that went as a whole; empty where a piece of one went")
    text: str = Field(description="what was taken")


class Call(_Record):
    """One answer of a model: what was asked, how, and what came back."""

    stage: int = Field(description="number of the stage in the recipe, from 0")
    engine: str = Field(description="name of the engine in the recipe")
    model: str = Field(description="name by which the server knows the model")
    prompt: str = Field(description="name of the prompt")
    prompt_digest: str = Field(description="digest of all that the prompt sends, 16 hex digits")
    sampling: str = Field(description="the sampling parameters, as JSON")
    seed: int = Field(description="31 bits, from the recipe's seed, the row, the stage and the attempt")
    attempt: int = Field(description="1 for the first asking; more when an unusable answer was asked for again")
    request: str = Field(description="the user's text as sent; what came before it is in the earlier calls")
    answer: str = Field(description="the text that came back")
    finish_reason: str = Field(description="as the server names it: stop, length, …")
    prompt_tokens: int = Field(description="tokens of the request, as the server counts them")
    completion_tokens: int = Field(description="tokens of the answer, likewise")


class ErrorRecord(_Record):
    """Why a row failed."""

    class_: str = Field(alias="class", description="one of the classes of `datagen.failures`")
    message: str = Field(description="one sentence")

    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class Row(_Record):
    """One conversation about 0, 1 or several pictures, without their bytes."""

    id: str = Field(description="32 hex digits, from the key")
    key: str = Field(description="name in the source: a relative path, a URL, or file and row")
    pictures: list[PictureRecord] = Field([], description="one entry a picture, in the order of `images`")
    source: str = Field(description="the recipe's name for the source")
    url: str = Field("", description="where the picture was published, if known")
    license: str = Field("", description="of the picture, if known")
    task: str = Field(description="the recipe's name for the product, or the purpose that the row serves in its mix")
    caption: str = Field("", description="the last caption, or empty")
    messages: list[MessageRecord] = Field([], description="the conversation; the pictures belong to its first question")
    original: list[MessageRecord] = Field([], description="the conversation before it was translated; empty if not")
    scores: list[ScoreRecord] = Field([], description="what checks and judges have measured")
    findings: list[FindingRecord] = Field([], description="what the policy's rules and bounds have found")
    repairs: list[RepairRecord] = Field([], description="what the policy took out, for the row to be kept")
    state: State = Field(description="kept, dropped (by `findings`) or failed (by `error`)")
    policy: str = Field("", description="digest of policy and rules that judged, 16 hex digits; empty if none did")
    error: ErrorRecord | None = Field(None, description="why the row failed, or null")
    calls: list[Call] = Field([], description="every answer of a model, unusable ones included")


class Member(_Record):
    """Where the bytes of one picture lie in the part's tar."""

    suffix: str = Field(description="of the picture's name, such as .jpg; the path of the file that a row refers to")
    offset: int = Field(description="of its first byte in the tar; -1 for a file that a row refers to")
    size: int = Field(description="in bytes, in the tar")

    @property
    def is_file(self) -> bool:
        """Whether the picture is a file elsewhere, and not in the tar."""
        return self.offset < 0


class PartRow(Row):
    """A row as it waits in a part: with its position, and where its pictures are."""

    position: int = Field(description="of the row in the index")
    members: list[Member] = Field([], description="one entry a picture, in the order of `pictures`")


def _list_of(*fields: tuple[str, pa.DataType]) -> pa.DataType:
    return pa.list_(pa.struct(list(fields)))


MESSAGES = _list_of(("role", pa.string()), ("content", pa.string()))
SCORES = _list_of(("name", pa.string()), ("value", pa.float64()), ("reason", pa.string()), ("message", pa.int32()))
FINDINGS = _list_of(
    ("rule", pa.string()),
    ("message", pa.int32()),
    ("start", pa.int32()),
    ("end", pa.int32()),
    ("text", pa.string()),
    ("evidence", pa.string()),
)
REPAIRS = _list_of(
    ("rule", pa.string()),
    ("action", pa.string()),
    ("message", pa.int32()),
    ("start", pa.int32()),
    ("role", pa.string()),
    ("text", pa.string()),
)
_PICTURES = _list_of(("sha256", pa.string()), ("phash", pa.string()), ("width", pa.int32()), ("height", pa.int32()))
_CALLS = _list_of(
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
)
ERROR = pa.struct([("class", pa.string()), ("message", pa.string())])
_ROW_FIELDS: "list[pa.Field[Any]]" = [
    pa.field("id", pa.string()),
    pa.field("key", pa.string()),
    pa.field("pictures", _PICTURES),
    pa.field("source", pa.string()),
    pa.field("url", pa.string()),
    pa.field("license", pa.string()),
    pa.field("task", pa.string()),
    pa.field("caption", pa.string()),
    pa.field("messages", MESSAGES),
    pa.field("original", MESSAGES),
    pa.field("scores", SCORES),
    pa.field("findings", FINDINGS),
    pa.field("repairs", REPAIRS),
    pa.field("state", pa.string()),
    pa.field("policy", pa.string()),
    pa.field("error", ERROR),
    pa.field("calls", _CALLS),
]
ROW_SCHEMA = pa.schema(_ROW_FIELDS)

_PART_FIELDS: "list[pa.Field[Any]]" = [
    pa.field("position", pa.int64()),
    pa.field("members", _list_of(("suffix", pa.string()), ("offset", pa.int64()), ("size", pa.int64()))),
]
PART_SCHEMA = pa.schema([*_ROW_FIELDS, *_PART_FIELDS])
_LATER = ("original", "repairs")
EARLIER_PART_SCHEMA = pa.schema([field for field in PART_SCHEMA if field.name not in _LATER])
"""Of parts that were written before schema 2 had the columns that stand empty in most rows."""

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
IMAGES = pa.list_(IMAGE)
_SHARD_FIELDS: "list[pa.Field[Any]]" = [_ROW_FIELDS[0], pa.field("images", IMAGES), *_ROW_FIELDS[1:]]
SHARD_SCHEMA_PLAIN = pa.schema(_SHARD_FIELDS)


def shard_schema() -> pa.Schema:
    """Return the schema of a shard, with the Hugging Face features in its metadata.

    With them `datasets.load_dataset("parquet", …)` and streaming decode the pictures with no argument.
    """
    return with_features(SHARD_SCHEMA_PLAIN, {"images": [{"_type": "Image"}]})


def with_features(schema: pa.Schema, features: Mapping[str, Any]) -> pa.Schema:
    """Return `schema` with Hugging Face `datasets` features in its metadata.

    Args:
        schema: of a file.
        features: of the columns that are more than their Arrow types say, as `datasets` stores them:
            `{"images": [{"_type": "Image"}]}`. It derives the others; those that it has no name for (maps, UUIDs) are
            left out, and such a file it cannot load.
    """
    import datasets  # slow to import, and only the cut needs it

    described = dict(features)
    for field in schema:
        if field.name not in described:
            with suppress(ValueError):
                described |= _for_all_versions(datasets.Features.from_arrow_schema(pa.schema([field])).to_dict())
    info = {"info": {"features": described}}
    return schema.with_metadata({b"huggingface": json.dumps(info, sort_keys=True).encode()})


def _for_all_versions(feature: Any) -> Any:
    """Return a feature with lists as `[…]`, which every version of `datasets` reads; those before 4 have no `List`."""
    if not isinstance(feature, dict):
        return feature
    if feature.get("_type") == "List" and feature.get("length", -1) == -1:
        return [_for_all_versions(feature["feature"])]
    return {name: _for_all_versions(inner) for name, inner in feature.items()}
