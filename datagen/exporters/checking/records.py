"""Records of any shape as messages and pictures, with the faults of their fields."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from datagen.exporters.checking.conversations import Message
from datagen.sources.reading.message_shapes import PICTURES

CONVERSATIONS = ("conversations", "messages", "conversation", "texts")
_URL = re.compile(r"(?:https?|s3|gs|hf)://", re.IGNORECASE)
_BASE64 = re.compile(r"data:image/|(?:/9j/|iVBORw0KGgo|UklGR|R0lGOD)[A-Za-z0-9+/=\s]{16}")


def is_row(record: object) -> bool:
    """Whether a value looks like a row of training data."""
    return isinstance(record, dict) and any(name in record for name in (*CONVERSATIONS, *PICTURES))


def messages_in(record: Mapping[str, Any]) -> list[Message]:
    """Return the messages of a record: from and value, role and content, blocks, or user and assistant.

    >>> messages_in({"texts": [{"user": "何色？", "assistant": "赤です。"}]})
    [Message(role='user', text='何色？', pictures=0), Message(role='assistant', text='赤です。', pictures=0)]
    """
    said = next((record[name] for name in CONVERSATIONS if record.get(name)), None)
    return messages_of(said) if isinstance(said, Sequence) and not isinstance(said, str) else []


def messages_of(said: Sequence[Any]) -> list[Message]:
    """Return the messages of a list of turns."""
    return [message for turn in said for message in _messages(turn)]


def _messages(turn: Any) -> Iterator[Message]:
    if not isinstance(turn, dict):
        yield Message(None, turn)
    elif "user" in turn or "assistant" in turn:
        yield Message("user", turn.get("user"))
        yield Message("assistant", turn.get("assistant"))
    else:
        role = turn.get("from", turn.get("role"))
        content = turn.get("value", turn.get("content"))
        if isinstance(content, list):
            said = [block.get("text") for block in content if isinstance(block, dict) and block.get("type") == "text"]
            texts = [text for text in said if isinstance(text, str)]
            pictures = sum(isinstance(block, dict) and block.get("type") == "image" for block in content)
            yield Message(role, None if len(texts) < len(said) else "\n".join(texts), pictures)
        else:
            yield Message(role, content)


def pictures_in(record: Mapping[str, Any], shape: str) -> tuple[list[Any], list[tuple[str, str]]]:
    """Return the pictures of a record, as paths, bytes or mappings, and the faults of the field that names them."""
    name = next((name for name in PICTURES if name in record), None)
    if name is None:
        return [], []
    value = record[name]
    if value is None:
        return [], [("image_null", name)]
    if isinstance(value, str) and name == "images":
        return [value], [("images_string", value[:40])]
    listed = value if isinstance(value, list) else [value]
    faults = [("image_empty", name)] if not listed and shape in ("llava", "internvl") else []
    pictures: list[Any] = []
    for picture in listed:
        if isinstance(picture, str):
            fault = "image_url" if _URL.match(picture) else "image_base64" if _BASE64.match(picture) else ""
            faults += [(fault, picture[:60])] if fault else []
            pictures.append(None if fault else picture)
        elif isinstance(picture, dict) and ("bytes" in picture or "path" in picture):
            pictures.append(picture)
        else:
            faults.append(("image_no_path", repr(picture)[:60]))
            pictures.append(None)
    return pictures, faults
