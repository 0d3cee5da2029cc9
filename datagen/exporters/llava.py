"""A JSON array in the shape of LLaVA: LLaVA, LLaVA-NeXT, VILA, VILA-jp, Qwen's repository and 2U1's read it.

`{"id", "image", "conversations": [{"from": "human" | "gpt", "value"}]}`. `image` is a path, a list where there are
several, and not there where there is none. The image folder (`--image_folder`, `media_path`, `data_path`) is that of
the format, unless a root was asked for. There is no system message: these trainers have their own, and 2U1's takes a
leading one for the first question.
"""

from typing import Any

from datagen.exporters.writing.conversation import Conversation
from datagen.exporters.writing.json_files import JsonListExporter


class Llava(JsonListExporter):
    """`train.json`."""

    takes_system = False

    def record(self, conversation: Conversation, images: list[str]) -> dict[str, Any]:
        """Return id, image and conversations."""
        images = self.located(images)
        image = {"image": images[0] if len(images) == 1 else images} if images else {}
        return {"id": conversation.id, **image, "conversations": conversation.from_value()}
