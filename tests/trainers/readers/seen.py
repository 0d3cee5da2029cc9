"""What a trainer's loader has read, printed for the test: a line of JSON a row."""

import hashlib
import io
import json
import sys
from collections.abc import Iterable
from typing import Any

import numpy as np
from PIL import Image


def pixels(image: Any) -> str:
    """The SHA-256 of size and RGB pixels of a picture: Pillow's, bytes, a path, or torch's (C, H, W) in [0, 1]."""
    if hasattr(image, "detach"):
        array = (image.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    else:
        if isinstance(image, bytes):
            image = Image.open(io.BytesIO(image))
        elif not isinstance(image, Image.Image):
            image = Image.open(image)
        array = np.asarray(image.convert("RGB"))
    return hashlib.sha256(str(array.shape).encode() + array.tobytes()).hexdigest()


def show(rows: Iterable[tuple[list[tuple[str, str]], list[Any]]]) -> None:
    """Print messages and pictures of each row."""
    for messages, pictures in rows:
        line = {"messages": [list(message) for message in messages], "pictures": [pixels(it) for it in pictures]}
        sys.stdout.write("\x1e" + json.dumps(line) + "\n")  # loaders print lines of their own
