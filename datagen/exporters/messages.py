"""Parquet with `messages` and `images`, as TRL's `SFTTrainer` and other users of chat templates read it.

`messages` is a list of `{role, content}`, `content` a list of blocks with exactly the keys `type` and `text` (a field
`image`, even an empty one, makes TRL refuse every row); there is a block `{"type": "image", "text": null}` for each
picture, all of them first in the first user message. `images` is a list of Hugging Face `Image`, in the same order.
"""

from typing import Any

import pyarrow as pa

from datagen.exporters.writing.conversation import Conversation
from datagen.exporters.writing.parquet_files import ParquetExporter

_BLOCK = pa.struct([("type", pa.string()), ("text", pa.string())])


class Messages(ParquetExporter):
    """Columns `id`, `images`, `messages`."""

    fields = (
        pa.field("id", pa.string()),
        pa.field("messages", pa.list_(pa.struct([("role", pa.string()), ("content", pa.list_(_BLOCK))]))),
    )

    def record(self, conversation: Conversation) -> dict[str, Any]:
        """Return id and messages."""
        messages: list[dict[str, Any]] = []
        waiting = [{"type": "image", "text": None} for _ in conversation.pictures]
        for role, text in conversation.messages():
            block = {"type": "text", "text": text}
            messages.append({"role": role, "content": [*waiting, block] if role == "user" else [block]})
            waiting = [] if role == "user" else waiting
        return {"id": conversation.id, "messages": messages}
