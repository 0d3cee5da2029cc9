"""Faults of pictures: what trainers cannot open, will not take, or read as something else."""

import io
import warnings
from collections.abc import Iterator

from PIL import Image

from datagen.pictures.structure import is_whole

_SHORTEST = 28
_NARROWEST = 200
_MOST_PIXELS = 89_478_485
"""Where Pillow begins to warn of a decompression bomb."""
_ORIENTATION = 0x0112
_DEEP = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")
_SUFFIXES = {
    "JPEG": ("jpg", "jpeg", "jpe", "jfif"),
    "MPO": ("jpg", "jpeg", "mpo"),
    "PNG": ("png", "apng"),
    "WEBP": ("webp",),
    "GIF": ("gif",),
    "BMP": ("bmp",),
    "TIFF": ("tif", "tiff"),
}


def faults_of(data: bytes, suffix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the faults of a picture, each with what was seen.

    Args:
        data: its bytes.
        suffix: of its name, where a name says something of its format.

    >>> [fault for fault, _ in faults_of(b"")], [fault for fault, _ in faults_of(b"<html>")]
    (['picture_empty'], ['picture_unreadable'])
    """
    if not data:
        yield "picture_empty", ""
        return
    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(data)) as image:
            warnings.simplefilter("ignore")
            kind, (width, height), mode = image.format or "", image.size, image.mode
            whole = is_whole(data, kind) or _decodes(image)
            frames = getattr(image, "n_frames", 1) if whole else 1
            turned = whole and image.getexif().get(_ORIENTATION, 1) not in (0, 1)
    except Exception as error:  # decoders of broken files raise anything
        yield "picture_unreadable", str(error).split(" <")[0][:80]
        return
    if not whole:
        yield "picture_cut", f"{len(data):,} bytes"
    if min(width, height) < _SHORTEST:
        yield "picture_small", f"{width} × {height}"
    if max(width, height) >= _NARROWEST * min(width, height):
        yield "picture_narrow", f"{width} × {height}"
    if width * height > _MOST_PIXELS:
        yield "picture_huge", f"{width} × {height}"
    if turned:
        yield "picture_turned", ""
    if frames > 1 and kind != "MPO":
        yield "picture_animated", f"{frames} frames"
    if mode in _DEEP:
        yield "picture_deep", mode
    if suffix and suffix.lower().lstrip(".") not in _SUFFIXES.get(kind, (suffix.lower().lstrip("."),)):
        yield "picture_suffix", f"{suffix} and {kind}"


def _decodes(image: Image.Image) -> bool:
    try:
        image.load()
    except Exception:  # as above
        return False
    return True
