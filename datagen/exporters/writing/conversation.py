"""Rows of shards as conversations that a trainer can take: turns in order, pictures with their names."""

import hashlib
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import orjson
from PIL import Image

from datagen.pictures.thumbnails import stored_bytes
from datagen.sources.reading.stored_conversations import id_of, messages_of

TAG = "<image>"
"""What stands for a picture in a text, with all trainers that look for one there."""
_TAGS = re.compile(r"<(?:image|video|audio)>")
_SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "GIF": ".gif", "BMP": ".bmp", "TIFF": ".tif"}
_ROLES = {"user": "human", "assistant": "gpt", "system": "system"}


class RowError(Exception):
    """A row that cannot be said in a format.

    Attributes:
        fault: what is wrong, in a word; that of `checking/faults.yaml` where the same is meant.
    """

    def __init__(self, fault: str, message: str) -> None:
        super().__init__(message)
        self.fault = fault


class Turn(NamedTuple):
    """A question with its answer."""

    question: str
    answer: str


@dataclass(frozen=True)
class Picture:
    """One picture, as it was published.

    Attributes:
        data: its bytes.
        sha256: of them, in hex.
        suffix: of its format, such as .jpg.
        width: in pixels; `height` likewise.
    """

    data: bytes
    sha256: str
    suffix: str
    width: int
    height: int


@dataclass(frozen=True)
class Conversation:
    """One conversation about 0, 1 or several pictures.

    Attributes:
        id: of the row.
        turns: one or more; all pictures belong to the first question.
        pictures: in their order.
        system: what stands before them, or empty.
        caption: of the row; `source`, `url` and `license` likewise, all may be empty.
    """

    id: str
    turns: tuple[Turn, ...]
    pictures: tuple[Picture, ...] = ()
    system: str = ""
    caption: str = ""
    source: str = ""
    url: str = ""
    license: str = ""

    def messages(self) -> Iterator[tuple[str, str]]:
        """Yield role and text of every message, without tags.

        >>> list(Conversation("1", (Turn("何色？", "赤です。"),), system="短く。").messages())
        [('system', '短く。'), ('user', '何色？'), ('assistant', '赤です。')]
        """
        if self.system:
            yield "system", self.system
        for question, answer in self.turns:
            yield "user", question
            yield "assistant", answer

    def tagged(self) -> list[tuple[str, str]]:
        r"""Return role and text of every message, with a tag and a new line for each picture, all before the first question.

        >>> seen = Picture(b"", "", ".jpg", 9, 9)
        >>> Conversation("1", (Turn("何色？", "赤です。"),), (seen, seen)).tagged()
        [('user', '<image>\n<image>\n何色？'), ('assistant', '赤です。')]
        """  # noqa: E501
        waiting = f"{TAG}\n" * len(self.pictures)
        messages = []
        for role, text in self.messages():
            messages.append((role, waiting + text if role == "user" else text))
            waiting = "" if role == "user" else waiting
        return messages

    def from_value(self) -> list[dict[str, str]]:
        """Return the messages in the shape of ShareGPT and LLaVA."""
        return [{"from": _ROLES[role], "value": text} for role, text in self.tagged()]

    def with_system(self, text: str | None) -> "Conversation":
        """Return it with another system message; None leaves it as it is, an empty text takes it away."""
        return self if text is None or text == self.system else replace(self, system=text)


def conversation_of(row: Mapping[str, Any]) -> Conversation:
    """Return a row as it goes out.

    Args:
        row: of a shard, of a run or of what `datagen filter` wrote.

    Raises:
        RowError: no trainer could take it; the message says why.
    """
    messages = list(messages_of(row))
    system = messages.pop(0)["content"] if messages and messages[0]["role"] == "system" else ""
    if not messages:
        raise RowError("no_conversation", "it has no messages")
    for number, message in enumerate(messages):
        expected = "assistant" if number % 2 else "user"
        if message["role"] != expected:
            raise RowError("role_order", f"message {number} is of {message['role']}, and {expected}'s turn it is")
        if not isinstance(message["content"], str) or not message["content"].strip():
            raise RowError("text_empty", f"message {number} says nothing")
    if len(messages) % 2:
        raise RowError("ends_with_question", "the last question has no answer")
    for text in (system, *(message["content"] for message in messages)):
        if found := _TAGS.search(text):
            raise RowError("tag_in_text", f"a text holds {found[0]}, which trainers take for a picture")
    texts = [message["content"] for message in messages]
    return Conversation(
        id_of(row) or "",
        tuple(map(Turn, texts[::2], texts[1::2])),
        tuple(_pictures(row)),
        system,
        **{name: row[name] for name in ("caption", "source", "url", "license") if isinstance(row.get(name), str)},
    )


def _pictures(row: Mapping[str, Any]) -> Iterator[Picture]:
    images = row.get("images") or ([row["image"]] if isinstance(row.get("image"), dict) else [])
    known = row.get("pictures") or []
    if not images and _names_pictures(row.get("record")):
        raise RowError("picture_missing", "its picture was named by a path in the input, and is not in the shards")
    for number, image in enumerate(images):
        data = stored_bytes(image)
        if not data:
            raise RowError("picture_missing", f"picture {number} is not there ({image.get('path')})")
        about = known[number] if number < len(known) else {}
        digest = hashlib.sha256(data).hexdigest()
        if about.get("sha256", digest) != digest:
            raise RowError("picture_changed", f"picture {number} is not the one that the row is about")
        try:
            with Image.open(io.BytesIO(data)) as opened:
                kind, (width, height) = opened.format or "", opened.size
        except Exception as error:  # decoders of broken files raise anything
            raise RowError("picture_unreadable", f"picture {number} cannot be read ({error})") from error
        yield Picture(data, digest, _SUFFIXES.get(kind, f".{kind.lower()}"), width, height)


def _names_pictures(record: object) -> bool:
    """Whether the object that a row was read from has pictures, which a table of text cannot hold."""
    if not isinstance(record, str) or not record.startswith("{"):
        return False
    try:
        said = orjson.loads(record)
    except ValueError:
        return False
    return bool(said.get("image") or said.get("images"))
