"""WebDataset: tars with `KEY.json` and the pictures of each conversation beside each other.

One picture is `KEY.jpg`, several are `KEY.0.jpg`, `KEY.1.jpg`, whatever their format: Hugging Face `datasets` refuses
archives whose samples have parts of several names, and all readers open pictures by their content. `KEY.json` has id,
messages of `{role, content}` without tags, caption, source, url and license.
"""

import orjson

from datagen.exporters.writing.conversation import Conversation
from datagen.exporters.writing.tar_files import TarExporter, TarSample, sample_key
from datagen.store.journal import picture_name


class WebDataset(TarExporter):
    """`train-00000.tar` and so on."""

    def samples(self, conversation: Conversation) -> list[TarSample]:
        """Return the one sample of a conversation."""
        count = len(conversation.pictures)
        parts = {
            picture_name("", ".jpg", number, count).removeprefix("."): picture.data
            for number, picture in enumerate(conversation.pictures)
        }
        said = {
            "id": conversation.id,
            "messages": [{"role": role, "content": text} for role, text in conversation.messages()],
            **{name: getattr(conversation, name) for name in ("caption", "source", "url", "license")},
        }
        return [TarSample(sample_key(conversation.id), parts | {"json": orjson.dumps(said)})]
