"""JSON lines and `meta.json` for InternVL's fine-tuning.

A line is `{"id", "image", "width", "height", "conversations"}`; several pictures are lists, with `width_list` and
`height_list`. `meta.json` names the file, the folder of the pictures and the number of lines; paths in it begin with
the root of the export, because InternVL reads them from where it is started. The root ends with a slash: a list of
pictures is put behind it as it is.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from datagen.exporters.writing.conversation import Conversation
from datagen.exporters.writing.json_files import JsonExporter
from datagen.files.writing import write_json


class InternVL(JsonExporter):
    """`train.jsonl` and `meta.json`."""

    takes_system = False

    def record(self, conversation: Conversation, images: list[str]) -> dict[str, Any]:
        """Return id, image with its size, and conversations."""
        widths = [picture.width for picture in conversation.pictures]
        heights = [picture.height for picture in conversation.pictures]
        seen: dict[str, Any] = {}
        if len(images) == 1:
            seen = {"image": images[0], "width": widths[0], "height": heights[0]}
        elif images:
            seen = {"image": images, "width_list": widths, "height_list": heights}
        return {"id": conversation.id, **seen, "conversations": conversation.from_value()}

    def finish(self, folder: Path, files: Mapping[str, Sequence[Path]]) -> None:
        """Put the lines together, and write `meta.json` with an entry for each split."""
        super().finish(folder, files)
        root = self.settings.root
        meta = {
            f"{self.settings.task}_{split}": {
                "root": f"{root}/",
                "annotation": f"{root}/{folder.name}/{split}.jsonl",
                "data_augment": False,
                "repeat_time": 1,
                "length": self.count(folder / f"{split}.jsonl"),
            }
            for split in files
        }
        write_json(folder / "meta.json", meta)
