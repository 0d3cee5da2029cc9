"""JSON lines in the shape of ShareGPT with `dataset_info.json`: LLaMA-Factory, NeMo Automodel and ms-swift read it.

`{"id", "conversations": [{"from": "system" | "human" | "gpt", "value"}], "images": [path]}`; `images` is always a list.
`dataset_info.json` is both LLaMA-Factory's (`dataset_dir`: the folder of the format) and the meta file of NeMo
Automodel. The data are in a folder of their own, because LLaMA-Factory refuses a folder with files of several kinds.
Paths of pictures begin at the folder of the format, which LLaMA-Factory takes for the `media_dir` by itself.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from datagen.exporters.writing.conversation import Conversation
from datagen.exporters.writing.json_files import JsonExporter, joined
from datagen.files.writing import write_json

_TAGS = {
    "role_tag": "from",
    "content_tag": "value",
    "user_tag": "human",
    "assistant_tag": "gpt",
    "system_tag": "system",
}


class ShareGpt(JsonExporter):
    """`data/train.jsonl` and `dataset_info.json`."""

    def record(self, conversation: Conversation, images: list[str]) -> dict[str, Any]:
        """Return id, conversations and images."""
        return {"id": conversation.id, "conversations": conversation.from_value(), "images": self.located(images)}

    def finish(self, folder: Path, files: Mapping[str, Sequence[Path]]) -> None:
        """Put the lines together, and write `dataset_info.json` with an entry for each split."""
        (folder / "data").mkdir(exist_ok=True)
        info = {}
        for split, pieces in files.items():
            joined(pieces, folder / "data" / f"{split}.jsonl")
            info[f"{self.settings.task}_{split}"] = {
                "file_name": f"data/{split}.jsonl",
                "formatting": "sharegpt",
                "columns": {"messages": "conversations", "images": "images"},
                "tags": _TAGS,
                "media_dir": self.settings.root + f"/{folder.name}",
            }
        write_json(folder / "dataset_info.json", info)
