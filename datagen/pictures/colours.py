"""Colours in sRGB: a picture that is made over is converted from its embedded ICC profile before it loses it.

Most phones write Display P3, print shops CMYK. The profile comes from the web like the picture: it is used when it is
of a sensible size and kind and maps white to light and black to dark, and ignored when it is not.
"""

import io
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

_MOST_BYTES = 4 << 20  # printing profiles have up to about 3 MB
_CLASSES = frozenset({b"mntr", b"scnr", b"prtr", b"spac"})  # no device links, no abstract or named colours
_PROFILES_HELD = 8
_ALIKE = 2  # in 255: a profile that maps all colours so near to themselves is sRGB under another name
_SLOW_TAGS = frozenset({b"D2B0", b"D2B1", b"D2B2", b"D2B3"})  # chains of curves that can be made to take minutes
_MODES = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK"}
_STORED_AS = {
    "RGB": frozenset({"RGB", "RGBA", "RGBa", "RGBX", "YCbCr", "P", "PA"}),
    "L": frozenset({"1", "L", "LA", "La"}),
    "CMYK": frozenset({"CMYK"}),
}
_GRID = np.linspace(0, 255, 9).round().astype(np.uint8)


class ToSrgb(NamedTuple):
    """The way from a profile to sRGB: the mode of the pictures that it is for, and the transform."""

    mode: str
    transform: ImageCms.ImageCmsTransform


def in_srgb(image: Image.Image, profile: Any, mode: str) -> Image.Image:
    """Return an opaque 8-bit picture as RGB in sRGB.

    Args:
        image: in RGB, grey or CMYK, or with a palette.
        profile: its embedded ICC profile, if it has one.
        mode: the mode that it was stored in; a profile for other colours than those is ignored.
    """
    way = to_srgb(profile)
    if way is None or mode not in _STORED_AS[way.mode]:
        return image.convert("RGB")
    return way.transform.apply(image if way.mode == "CMYK" else image.convert(way.mode))


def to_srgb(profile: Any) -> ToSrgb | None:
    """Return the way from an embedded ICC profile to sRGB; none where the profile is sRGB, broken or of no use."""
    if not isinstance(profile, bytes) or not 128 < len(profile) <= _MOST_BYTES:
        return None
    if profile[36:40] != b"acsp" or profile[12:16] not in _CLASSES or profile[16:20] not in _MODES:
        return None
    tags = range(132, 132 + 12 * min(int.from_bytes(profile[128:132], "big"), len(profile) // 12), 12)
    return None if any(profile[tag : tag + 4] in _SLOW_TAGS for tag in tags) else _built(profile)


@lru_cache(maxsize=_PROFILES_HELD)
def _built(profile: bytes) -> ToSrgb | None:
    mode = _MODES[profile[16:20]]
    try:
        found = ToSrgb(
            mode,
            ImageCms.buildTransform(
                ImageCms.ImageCmsProfile(io.BytesIO(profile)),
                ImageCms.createProfile("sRGB"),
                mode,
                "RGB",
                ImageCms.Intent.RELATIVE_COLORIMETRIC,
                ImageCms.Flags.BLACKPOINTCOMPENSATION,
            ),
        )
        return found if _is_of_use(found) else None
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):  # all that Pillow makes of a broken profile
        return None


def _is_of_use(found: ToSrgb) -> bool:
    """Whether white stays light, black stays dark, and some colour is changed."""
    samples: npt.NDArray[np.uint8]
    if found.mode == "RGB":
        samples = np.stack(np.meshgrid(_GRID, _GRID, _GRID, indexing="ij"), axis=-1).reshape(1, -1, 3)
    elif found.mode == "L":
        samples = np.arange(256, dtype=np.uint8).reshape(1, -1)
    else:
        samples = np.array([[[0, 0, 0, 255], [0, 0, 0, 0]]], dtype=np.uint8)
    shape = (samples.shape[1], samples.shape[0])
    image = Image.frombytes(found.mode, shape, samples.tobytes())
    before = np.asarray(image.convert("RGB"), dtype=np.int16)[0]
    after = np.asarray(found.transform.apply(image), dtype=np.int16)[0]
    if after[0].max() > 127 or after[-1].min() < 128:
        return False
    return found.mode == "CMYK" or int(np.abs(after - before).max()) > _ALIKE
