"""NeMo Automodel: `dataset_info.json` as its meta file, through `make_meta_dataset`."""

import sys
from pathlib import Path

from nemo_automodel.components.datasets.vlm.datasets import make_meta_dataset
from seen import show


def rows(folder, name):
    for row in make_meta_dataset(str(Path(folder, "dataset_info.json")), dataset_names=[name]):
        blocks = [(message["role"], block) for message in row["conversation"] for block in message["content"]]
        texts = [(role, block["text"]) for role, block in blocks if block["type"] == "text"]
        yield texts, [block["image"] for _, block in blocks if block["type"] == "image"]


show(rows(*sys.argv[1:]))
