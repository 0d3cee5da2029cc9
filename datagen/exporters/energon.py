"""Megatron-Energon's `VQASample`: one picture, a question and its answer a sample, with `.nv-meta`, ready to open.

A conversation of several turns is a sample a turn, `KEY-0`, `KEY-1`, each with the picture; what was said before a
question is not in its sample (`energon_chatml` keeps conversations whole). Pictures are `KEY.jpg` whatever their
format, because a field has one part's name; Energon opens them by their content.
"""

from typing import Any

import orjson

from datagen.exporters.writing.conversation import Conversation, RowError
from datagen.exporters.writing.energon_files import EnergonExporter
from datagen.exporters.writing.tar_files import TarSample, sample_key


class Energon(EnergonExporter):
    """`VQASample`."""

    takes_system = False

    def samples(self, conversation: Conversation) -> list[TarSample]:
        """Return a sample for each turn."""
        if len(conversation.pictures) != 1:
            raise RowError("pictures_not_one", f"it has {len(conversation.pictures)} pictures, and a VQASample has one")
        key, data = sample_key(conversation.id), conversation.pictures[0].data
        return [
            TarSample(
                f"{key}-{number}", {"jpg": data, "json": orjson.dumps({"question": question, "answers": [answer]})}
            )
            for number, (question, answer) in enumerate(conversation.turns)
        ]

    def row_of(self, key: str) -> str:
        """Return the key without the number of the turn."""
        return key.rpartition("-")[0]

    def dataset(self) -> dict[str, Any]:
        """Return the type and the fields."""
        return {
            "sample_type": {"__module__": "megatron.energon", "__class__": "VQASample"},
            "field_map": {"image": "jpg", "context": "json[question]", "answers": "json[answers]"},
        }
