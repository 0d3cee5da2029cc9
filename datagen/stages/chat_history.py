"""The messages with one engine: the pictures first, then each request and answer in turn."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from datagen.engines import ChatMessage
from datagen.engines.wire.request import image_part
from datagen.pictures.picture import Picture


@dataclass
class ChatHistory:
    """The messages with one engine, and its lease on the replica that has them in its cache."""

    lease: Any
    messages: list[ChatMessage] = field(default_factory=list)
    preface: str = ""

    def fresh(self) -> "ChatHistory":
        """Return a history of its own with the same replica, that begins as this one stands."""
        return ChatHistory(self.lease, list(self.messages), self.preface)

    @classmethod
    def opened(cls, lease: Any, system: str, sent: Literal["message", "merge"]) -> Self:
        """Return a history that begins with the system text, or puts it before the first request."""
        if not system or sent == "merge":
            return cls(lease, preface=f"{system}\n\n" if system else "")
        return cls(lease, [{"role": "system", "content": system}])

    def say(self, request: str, pictures: Sequence[Picture]) -> None:
        """Append what is asked; the pictures stand in the user's first message."""
        request, self.preface = self.preface + request, ""
        if pictures and not any(message["role"] == "user" for message in self.messages):
            images = [image_part(picture.data_url, picture.sha256) for picture in pictures]
            self.messages.append({"role": "user", "content": [*images, {"type": "text", "text": request}]})
        else:
            self.messages.append({"role": "user", "content": request})

    def show(self, pictures: Sequence[Picture]) -> bool:
        """Put other pictures in the place of those that are shown, and return whether any are."""
        for number, message in enumerate(self.messages):
            if not isinstance(message["content"], str):
                images = [image_part(picture.data_url, picture.sha256) for picture in pictures]
                self.messages[number] = {**message, "content": [*images, message["content"][-1]]}
                return True
        return False
