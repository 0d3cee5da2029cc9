"""Axolotl: a Parquet export through its processing strategy, which uses the first picture of a row."""

import sys
from types import SimpleNamespace

import datasets
from axolotl.processing_strategies import ProcessingStrategy
from seen import show


def rows(folder):
    strategy = ProcessingStrategy(SimpleNamespace())
    for row in datasets.load_dataset("parquet", data_dir=folder, split="train"):
        (said,) = strategy([row])
        blocks = [(message["role"], block) for message in said["messages"] for block in message["content"]]
        texts = [(role, block["text"]) for role, block in blocks if block["type"] == "text"]
        yield texts, [block["image"] for _, block in blocks if block["type"] == "image"]


show(rows(sys.argv[1]))
