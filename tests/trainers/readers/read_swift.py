"""ms-swift: lines of ShareGPT through its loader of data sets, pictures through that of its templates."""

import sys
from pathlib import Path

from seen import show
from swift.dataset import load_dataset
from swift.template.vision_utils import load_image


def rows(folder):
    for path in sorted(Path(folder, "data").glob("train*")):
        train, _ = load_dataset(str(path), strict="--strict" in sys.argv)
        for row in train:
            images = [image["path"] or image["bytes"] for image in row.get("images") or []]
            yield [(it["role"], it["content"]) for it in row["messages"]], [load_image(image) for image in images]


show(rows(sys.argv[1]))
