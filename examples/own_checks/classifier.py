"""A check by an ONNX classifier, in the worker itself: one session a process, on the CPU.

The model here tells lines of text that stand on their head, and comes with the extra `ocr`. For one of yours change the
file, the size and the range of the pixels, and which of its outputs is the score.
"""

import io
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from PIL import Image

from datagen.errors import DatagenError
from datagen.pictures.picture import Picture

_MODEL = "rapidocr/models/ch_ppocr_mobile_v2.0_cls_mobile.onnx"
_SIZE = (192, 48)
_LOADING = Lock()
"""Checks run in several threads at once, and the first ones would each load the model."""


def turned(picture: Picture) -> float:
    """Return how surely a picture of a line of text stands on its head, 0 to 1.

    Raises:
        DatagenError: onnxruntime or the model is not installed on this machine.
    """
    with Image.open(io.BytesIO(picture.data)) as image:
        pixels = np.asarray(image.convert("RGB").resize(_SIZE), dtype=np.float32)[:, :, ::-1]  # blue comes first
    batch = (pixels / 127.5 - 1).transpose(2, 0, 1)[None]
    with _LOADING:
        session = _session()
    (shares,) = session.run(None, {session.get_inputs()[0].name: batch})
    return float(shares[0, 1])


@cache
def _session() -> Any:
    """Return the one session of this process, which several threads may run at once."""
    package = find_spec("rapidocr")
    if package is None or package.origin is None:
        raise DatagenError("The check classifier:turned needs a model: pip install 'datagen[ocr]' on every machine.")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # pictures are checked side by side already
    path = Path(package.origin).parents[1] / _MODEL
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
