"""Windows of a picture by which altered copies of it are known: crops, squares, mirrored.

A copy that was resized, recompressed, made grey or a little brighter has the hash of the original; one that was cropped
at the centre or a side, squared or mirrored has the hash of one of these windows. Hashing all windows of a few
reference pictures once lets a query be hashed twice only: as it is, and without a border of one shade. No window has a
frame put around it: all framed pictures are alike.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from datagen.pictures.looks import without_border
from datagen.pictures.picture import perceptual_hash

_SIDE = 512
_CENTRE = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3)
_CUTS = (0.08, 0.15, 0.22, 0.3)
_LEAST = 9


def windows(image: Image.Image) -> Iterator[tuple[str, Image.Image]]:
    """Yield the windows of a picture with their names, the whole picture first.

    >>> len(list(windows(Image.new("L", (64, 48)))))
    28
    """
    width, height = image.size
    yield "whole", image
    yield "mirrored", ImageOps.mirror(image)
    for share in _CENTRE:
        across, down = round(width * share / 2), round(height * share / 2)
        yield f"centre {share:.0%} less", image.crop((across, down, width - across, height - down))
    for share in _CUTS:
        across, down = round(width * share), round(height * share)
        yield f"left {share:.0%} less", image.crop((across, 0, width, height))
        yield f"right {share:.0%} less", image.crop((0, 0, width - across, height))
        yield f"top {share:.0%} less", image.crop((0, down, width, height))
        yield f"bottom {share:.0%} less", image.crop((0, 0, width, height - down))
    side = min(width, height)
    for name, place in (("first", 0.0), ("middle", 0.5), ("last", 1.0)):
        across, down = round((width - side) * place), round((height - side) * place)
        yield f"square, {name}", image.crop((across, down, across + side, down + side))
    yield "inside its border", without_border(image)


class LookHash(NamedTuple):
    """Two hashes of one look, of 64 bits each as signed numbers.

    Attributes:
        phash: of the lowest frequencies, see `perceptual_hash`.
        dhash: whether it gets brighter from left to right in 8×8 cells (Krawetz 2013).
    """

    phash: int
    dhash: int


def window_hashes(image: Image.Image) -> list[LookHash]:
    """Return the hashes of the windows of a picture."""
    return [_hashes(window) for _, window in windows(_grey(image))]


def query_hashes(image: Image.Image) -> tuple[LookHash, LookHash]:
    """Return the hashes of a picture, and of what is inside a border of one shade, the same if it has none."""
    grey = _grey(image)
    inner = without_border(grey)
    whole = _hashes(grey)
    return whole, whole if inner is grey or min(inner.size) < _LEAST else _hashes(inner)


def _grey(image: Image.Image) -> Image.Image:
    grey = image.convert("L")
    grey.thumbnail((_SIDE, _SIDE), Image.Resampling.BOX)
    return grey


def _hashes(grey: Image.Image) -> LookHash:
    cells = np.asarray(grey.resize((9, 8), Image.Resampling.LANCZOS), dtype=np.int16)
    brighter = np.packbits(cells[:, 1:] > cells[:, :-1]).tobytes()
    phash = bytes.fromhex(perceptual_hash(grey))
    return LookHash(*(int.from_bytes(each, "big", signed=True) for each in (phash, brighter)))
