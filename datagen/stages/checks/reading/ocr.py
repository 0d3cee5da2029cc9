"""The lines of text in a picture, read by PP-OCR models that come with the package `rapidocr`."""

import io
import logging
from functools import cache, lru_cache
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from datagen.errors import DatagenError
from datagen.pictures.picture import Picture

_LEAST_SURE, _SURE_OF_ONE = 0.6, 0.8
_FEW_LETTERS, _WHOLE_PICTURE = 2, 0.4
_READING = Lock()


class Line(NamedTuple):
    """A line of text in a picture.

    Attributes:
        text: as it was read.
        share: of the picture's area that it covers.
        vertical: whether it runs from top to bottom.
    """

    text: str
    share: float
    vertical: bool


def lines_of(picture: Picture) -> tuple[Line, ...]:
    """Return the lines of text in a picture; it takes about half a second on a CPU.

    Raises:
        DatagenError: the extra `ocr` is not installed.
    """
    return _read(picture.sha256, _Bytes(picture.data))


class _Bytes:
    """The bytes of a picture, alike for the cache, whose key is their digest."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Bytes)

    def __hash__(self) -> int:
        return 0


@lru_cache(maxsize=64)  # several checks ask about the same picture
def _read(_: str, held: _Bytes) -> tuple[Line, ...]:
    with Image.open(io.BytesIO(held.data)) as image:
        pixels = np.asarray(image.convert("RGB"))[:, :, ::-1]
    with _READING:  # also so that the models are loaded once: a cache alone lets several threads do so
        found = _engine()(pixels)
    if found.boxes is None:
        return ()
    area = pixels.shape[0] * pixels.shape[1]
    lines = [
        (_line(text.strip(), np.asarray(box, dtype=np.float64), area), sure)
        for box, text, sure in zip(found.boxes, found.txts, found.scores, strict=True)
    ]
    return tuple(line for line, sure in lines if _is_text(line, sure))


def _is_text(line: Line, sure: float) -> bool:
    """Whether a line is one: readers take round things for an O, and whole pictures for a letter (鳥居 for 开)."""
    letters = sum(character.isalnum() for character in line.text)
    if letters <= _FEW_LETTERS and line.share > _WHOLE_PICTURE:
        return False
    return letters > 0 and sure >= (_LEAST_SURE if letters > 1 else _SURE_OF_ONE)


def _line(text: str, box: "np.ndarray[tuple[int, int], np.dtype[np.float64]]", area: int) -> Line:
    """Return a line of text from the four corners of its box, clockwise from the top left."""
    width, height = float(np.linalg.norm(box[1] - box[0])), float(np.linalg.norm(box[3] - box[0]))
    return Line(text, round(min(1.0, width * height / area), 5), height > 1.5 * width and len(text) > 1)


@cache
def _engine() -> Any:
    try:
        from rapidocr import RapidOCR  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        raise DatagenError(
            "The checks has_text and vertical_text need the extra ocr: pip install 'datagen[ocr]' on every machine."
        ) from error
    logging.getLogger("RapidOCR").setLevel(logging.ERROR)  # else it warns of every picture without text
    return RapidOCR(params={"Global.log_level": "error"})
