"""The shapes that conversations have elsewhere, as messages of role and content: ShareGPT, LLaVA, OpenAI, FineVision.

Tags of pictures are taken out of the questions of a row that names pictures, because here they stand beside the
conversation; all other text stays as it is. What has none of the shapes stays too, and whoever reads it says what is
wrong.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

SHAPES = ("messages", "conversations", "conversation", "texts")
"""The fields in which a conversation may stand, in the order in which they are looked for."""
PICTURES = ("images", "image")
_ROLES = {"human": "user", "gpt": "assistant"}
_TAG = re.compile(r"[ \t]*<image>[ \t]*\n?")


def as_row(document: Mapping[str, Any], name: str = "") -> dict[str, Any]:
    r"""Return an object with its conversation in `messages`.

    Args:
        document: as it was read.
        name: the id of an object in another shape that has none.

    >>> said = [{"from": "human", "value": "<image>\n何色？"}, {"from": "gpt", "value": "赤です。"}]
    >>> as_row({"id": "1", "image": "a.jpg", "conversations": said})["messages"]
    [{'role': 'user', 'content': '何色？'}, {'role': 'assistant', 'content': '赤です。'}]
    >>> as_row({"id": "1", "texts": [{"user": "何色？", "assistant": "赤です。"}]})["messages"]
    [{'role': 'user', 'content': '何色？'}, {'role': 'assistant', 'content': '赤です。'}]
    """
    field = next((shape for shape in SHAPES if document.get(shape)), None)
    said = document.get(field) if field else None
    if field is None or not isinstance(said, list):
        return dict(document)
    tagged = any(document.get(pictures) for pictures in PICTURES)
    messages = [message for turn in said for message in _messages(turn, tagged=tagged)]
    known = {} if field == "messages" or "id" in document or not name else {"id": name}
    return {**document, **known, "messages": messages}


def pictures_of(document: Mapping[str, Any]) -> list[str]:
    """Return the paths or URLs of the pictures that an object names, in their order.

    >>> pictures_of({"image": "a.jpg"}), pictures_of({"images": ["a.jpg", {"path": "b.jpg"}]}), pictures_of({"image": None})
    (['a.jpg'], ['a.jpg', 'b.jpg'], [])
    """  # noqa: E501
    value = next((document[name] for name in PICTURES if document.get(name)), None)
    listed = value if isinstance(value, list) else [value]
    paths = [picture.get("path") if isinstance(picture, dict) else picture for picture in listed]
    return [path for path in paths if isinstance(path, str)]


def _messages(turn: Any, *, tagged: bool) -> Iterator[Any]:
    if not isinstance(turn, dict):
        yield turn
    elif "user" in turn and "assistant" in turn:
        yield {"role": "user", "content": turn["user"]}
        yield {"role": "assistant", "content": turn["assistant"]}
    elif {"from", "value"} <= turn.keys():
        yield _message(turn["from"], turn["value"], tagged=tagged)
    elif {"role", "content"} <= turn.keys():
        yield _message(turn["role"], _joined(turn["content"]), tagged=tagged)
    else:
        yield turn


def _message(role: Any, content: Any, *, tagged: bool) -> dict[str, Any]:
    role = _ROLES.get(role, role) if isinstance(role, str) else role
    if tagged and role == "user" and isinstance(content, str):
        content = _TAG.sub("", content).strip("\n") if "<image>" in content else content
    return {"role": role, "content": content}


def _joined(content: Any) -> Any:
    """Return the text of blocks; blocks of pictures stand for those that the row names beside the conversation."""
    if not isinstance(content, list) or not all(isinstance(block, dict) for block in content):
        return content
    texts = [block.get("text") for block in content if block.get("type") == "text"]
    others = {block.get("type") for block in content} - {"text", "image", "image_url"}
    return content if others or not all(isinstance(text, str) for text in texts) else "\n".join(map(str, texts))
