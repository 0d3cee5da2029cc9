"""webdataset: tars through its pipeline, pictures as Pillow opens them."""

import sys
from pathlib import Path

import webdataset
from seen import show


def rows(folder):
    shards = sorted(map(str, Path(folder).glob("train-*.tar")))
    for sample in webdataset.WebDataset(shards, shardshuffle=False).decode("pil"):
        pictures = [value for name, value in sorted(sample.items()) if name != "json" and not name.startswith("__")]
        yield [(it["role"], it["content"]) for it in sample["json"]["messages"]], pictures


show(rows(sys.argv[1]))
