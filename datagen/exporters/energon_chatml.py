"""Energon tars of whole conversations, as Megatron-Bridge's `ChatMLWebdataset` reads them, with `.nv-meta`.

`KEY.jpgs` is the pickled list of the pictures' bytes, of one or none too, `KEY.json` the list of `{role, content}` with
a tag for each picture before the first question.
"""

import pickle
from typing import Any

import orjson

from datagen.exporters.writing.conversation import Conversation
from datagen.exporters.writing.energon_files import EnergonExporter
from datagen.exporters.writing.tar_files import TarSample, sample_key

_PROTOCOL = 4


class EnergonChatMl(EnergonExporter):
    """`ChatMLSample`."""

    def samples(self, conversation: Conversation) -> list[TarSample]:
        """Return the one sample of a conversation."""
        pictures = pickle.dumps([picture.data for picture in conversation.pictures], protocol=_PROTOCOL)
        said = [{"role": role, "content": text} for role, text in conversation.tagged()]
        return [TarSample(sample_key(conversation.id), {"jpgs": pictures, "json": orjson.dumps(said)})]

    def dataset(self) -> dict[str, Any]:
        """Return the type and the fields."""
        return {
            "__module__": "megatron.bridge.data.energon.task_encoder_utils",
            "__class__": "ChatMLWebdataset",
            "field_map": {"imgs": "jpgs", "conversation": "json"},
        }
