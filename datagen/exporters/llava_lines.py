"""JSON lines in the shape of LLaVA: LLM-jp-4-VL, Qwen's repository and VILA read it.

As `llava`, a line an object. LLM-jp-4-VL looks for pictures from the folder of the file, where the paths begin, and
takes a leading system message.
"""

from typing import Any

from datagen.exporters.writing.conversation import Conversation
from datagen.exporters.writing.json_files import JsonExporter


class LlavaLines(JsonExporter):
    """`train.jsonl`."""

    def record(self, conversation: Conversation, images: list[str]) -> dict[str, Any]:
        """Return id, image and conversations."""
        images = self.located(images)
        image = {"image": images[0] if len(images) == 1 else images} if images else {}
        return {"id": conversation.id, **image, "conversations": conversation.from_value()}
