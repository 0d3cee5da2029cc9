"""TRL: a Parquet export through `load_dataset` and the function that `SFTTrainer` prepares a conversation with."""

import sys

import datasets
from seen import show
from trl.data_utils import prepare_multimodal_messages


def rows(folder):
    for row in datasets.load_dataset("parquet", data_dir=folder, split="train"):
        prepared = prepare_multimodal_messages(row["messages"], row["images"])
        blocks = [(message["role"], block) for message in prepared for block in message["content"]]
        texts = [(role, block["text"]) for role, block in blocks if block["type"] == "text"]
        yield texts, [block["image"] for _, block in blocks if block["type"] == "image"]


show(rows(sys.argv[1]))
