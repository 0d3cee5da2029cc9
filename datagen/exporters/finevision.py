"""Parquet in the shape of FineVision: `images`, `texts` of `{user, assistant}`, and `source`.

nanoVLM, VILA's reader of Parquet and the mixes that build on FineVision read it; the pictures go before the first text,
so that no text has a tag. FineVision's columns of ratings are left out: its readers take a row without them as it is.
"""

from typing import Any

import pyarrow as pa

from datagen.exporters.writing.conversation import Conversation
from datagen.exporters.writing.parquet_files import ParquetExporter


class FineVision(ParquetExporter):
    """Columns `id`, `images`, `texts`, `source`."""

    takes_system = False
    fields = (
        pa.field("id", pa.string()),
        pa.field("texts", pa.list_(pa.struct([("user", pa.string()), ("assistant", pa.string())]))),
        pa.field("source", pa.string()),
    )

    def record(self, conversation: Conversation) -> dict[str, Any]:
        """Return id, texts and source."""
        texts = [{"user": question, "assistant": answer} for question, answer in conversation.turns]
        return {"id": conversation.id, "texts": texts, "source": conversation.source or self.settings.task}
