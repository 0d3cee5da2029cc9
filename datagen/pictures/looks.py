"""How a picture looks, in numbers that need no model."""

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]
_CELLS = 64
_LEVELS = 16
"""Of each colour: what differs by less is one colour."""
_FLAT, _MOSTLY = 8, 0.98


def colour_counts(image: Image.Image) -> npt.NDArray[np.int64]:
    """Return how many of 64×64 cells have each colour that there is, of 16 levels a channel."""
    cells = np.asarray(image.convert("RGB").resize((_CELLS, _CELLS), Image.Resampling.BOX), dtype=np.int64)
    numbers = (cells * _LEVELS // 256) @ np.array([_LEVELS * _LEVELS, _LEVELS, 1])
    counts: npt.NDArray[np.int64] = np.unique(numbers, return_counts=True)[1]
    return counts


def plain_share(counts: npt.NDArray[np.int64]) -> float:
    """Return the share of the commonest colour; 1 is a picture of one colour."""
    return round(int(counts.max()) / int(counts.sum()), 4)


def repeated_share(image: Image.Image) -> float:
    """Return the share of pixels that equal their left neighbour exactly: screenshots and drawings have most."""
    pixels = np.asarray(image.convert("RGB"))
    same = (pixels[:, 1:] == pixels[:, :-1]).all(axis=2)
    return round(float(same.mean()), 4) if same.size else 1.0


def border_share(grey: Image.Image) -> float:
    """Return the share of the area in lines at the edges that are one flat shade, each edge by itself."""
    samples = np.asarray(grey)
    height, width = samples.shape
    top, bottom = _flat_lines(samples), _flat_lines(samples[::-1])
    left, right = _flat_lines(samples.T), _flat_lines(samples.T[::-1])
    if top >= height or left >= width:
        return 1.0
    inner = max(height - top - bottom, 0) * max(width - left - right, 0)
    return round(float(1 - inner / (height * width)), 4)


def without_border(image: Image.Image) -> Image.Image:
    """Return a picture without the flat lines at its edges; the picture itself if nothing else is in it."""
    samples = np.asarray(image.convert("L"))
    height, width = samples.shape
    top, bottom = _flat_lines(samples), _flat_lines(samples[::-1])
    left, right = _flat_lines(samples.T), _flat_lines(samples.T[::-1])
    if top + bottom >= height or left + right >= width or not top + bottom + left + right:
        return image
    return image.crop((left, top, width - right, height - bottom))


def _flat_lines(grey: Pixels) -> int:
    """Return how many lines from the first on are flat, and of the first one's shade."""
    lines = grey.astype(np.int64)
    flat = (np.abs(lines - np.median(lines[0])) <= _FLAT).mean(axis=1) >= _MOSTLY  # JPEG rings at the edge of a border
    return int(len(flat) if flat.all() else flat.argmin())
