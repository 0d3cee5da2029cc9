"""LLaMA-Factory: `dataset_info.json` through its parser, loader and converter, and the check of its plugin."""

import sys
from types import SimpleNamespace

from llamafactory.data.loader import _load_single_dataset
from llamafactory.data.mm_plugin import BasePlugin
from llamafactory.data.parser import get_dataset_list
from seen import show


def rows(folder, name):
    (about,) = get_dataset_list([name], folder)
    data = SimpleNamespace(
        dataset_dir=folder,
        media_dir=folder,
        streaming=False,
        preprocessing_num_workers=1,
        overwrite_cache=True,
        max_samples=None,
    )
    model = SimpleNamespace(cache_dir=None, hf_hub_token=None)
    training = SimpleNamespace(local_process_index=0, dataloader_num_workers=0)
    plugin = BasePlugin(image_token="<image>", video_token=None, audio_token=None)
    for row in _load_single_dataset(about, model, data, training):
        if len(row["_prompt"]) % 2 != 1 or len(row["_response"]) != 1:
            continue  # as `SupervisedDatasetProcessor.preprocess_dataset` drops what the converter has emptied
        messages = row["_prompt"] + row["_response"]
        plugin._validate_messages(messages, row["_images"] or [], [], [])
        system = [("system", row["_system"])] if row["_system"] else []
        yield [*system, *((it["role"], it["content"]) for it in messages)], row["_images"] or []


show(rows(*sys.argv[1:]))
