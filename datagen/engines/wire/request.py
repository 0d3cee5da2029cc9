"""One chat request in the forms that servers take: with its pictures, or with the names that stand for them.

vLLM keeps what it has made of a picture under the `uuid` of its part; a later request may then send `image_url: null`
with that name (https://docs.vllm.ai/en/latest/features/multimodal_inputs/). Other servers know no such field.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import orjson
import pybase64
from PIL import Image

_PLAIN_SIDE = 64
_PLAIN_TEXT = "短く答えてください。1+1は？"


def image_part(url: object, name: str) -> dict[str, Any]:
    """Return the part of a message that shows a picture, with its name."""
    return {"type": "image_url", "image_url": {"url": url}, "uuid": name}


@dataclass(frozen=True)
class ChatRequest:
    """One request.

    >>> shown = {"role": "user", "content": [image_part("data:,", "9f")]}
    >>> request = ChatRequest({"model": "m"}, [shown], 7)
    >>> sorted(request.names)
    ['9f']
    >>> request.without_names
    b'{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:,"}}]}],"seed":7,"model":"m"}'
    >>> request.without_bytes
    b'{"messages":[{"role":"user","content":[{"type":"image_url","image_url":null,"uuid":"9f"}]}],"seed":7,"model":"m"}'

    Attributes:
        body: all fields but these two.
        messages: the chat so far.
        seed: of the draw.
    """

    body: Mapping[str, Any]
    messages: Sequence[Mapping[str, Any]]
    seed: int

    @cached_property
    def names(self) -> frozenset[str]:
        """The names of its pictures."""
        return frozenset(part["uuid"] for part in self._parts() if "uuid" in part)

    @property
    def whole(self) -> bytes:
        """With the pictures and their names."""
        return self._with(self.messages)

    @cached_property
    def without_names(self) -> bytes:
        """For servers that know no names."""
        return self._with(self._pictures(lambda part: {key: part[key] for key in part if key != "uuid"}))

    @property
    def without_bytes(self) -> bytes:
        """For a server that has all its pictures."""
        return self._with(self._pictures(lambda part: {**part, "image_url": None}))

    @property
    def control(self) -> bytes:
        """A request of the same shape that no server can have anything against: about a plain picture, if about any."""
        content: list[Any] = [{"type": "text", "text": _PLAIN_TEXT}]
        if any(part["type"] == "image_url" for part in self._parts()):
            content.insert(0, {"type": "image_url", "image_url": {"url": _plain_picture()}})
        return orjson.dumps({"messages": [{"role": "user", "content": content}], **self.body})

    def _with(self, messages: Sequence[Mapping[str, Any]]) -> bytes:
        return orjson.dumps({"messages": messages, "seed": self.seed, **self.body})

    def _parts(self) -> list[Any]:
        return [
            part for message in self.messages if not isinstance(message["content"], str) for part in message["content"]
        ]

    def _pictures(self, changed: Callable[[Mapping[str, Any]], Any]) -> Sequence[Mapping[str, Any]]:
        """Return the messages with other parts for the pictures that have names."""
        if not self.names:
            return self.messages
        return [
            message
            if isinstance(message["content"], str)
            else {**message, "content": [changed(part) if "uuid" in part else part for part in message["content"]]}
            for message in self.messages
        ]


@cache
def _plain_picture() -> str:
    """Return the data URL of a small grey picture."""
    encoded = io.BytesIO()
    Image.new("RGB", (_PLAIN_SIDE, _PLAIN_SIDE), "grey").save(encoded, "PNG")
    return "data:image/png;base64," + pybase64.b64encode(encoded.getvalue()).decode()
