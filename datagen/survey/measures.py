"""What is measured of one picture: its file, its look, where and when it was taken."""

import hashlib
import io
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from PIL import ExifTags, Image

from datagen.failures import Failure
from datagen.pictures.looks import border_share, colour_counts, plain_share, repeated_share
from datagen.pictures.picture import usable
from datagen.recipe import Images
from datagen.stages.checks.sharpness import laplacian_variance
from datagen.survey.windows import query_hashes

LEAST_CONTRAST = 4.0
"""Under it the hashes of a look say nothing."""
_SIDE = 256
_TAKEN, _OFFSET = ExifTags.Base.DateTimeOriginal, ExifTags.Base.OffsetTimeOriginal


class Measures(NamedTuple):
    """What is known of a picture; the fields are columns of the survey's table.

    Attributes:
        sha256: of the file, in hex.
        bytes: of the file.
        format: as Pillow names it; empty where it could not be told.
        width: upright, in pixels; `height` likewise.
        frames: more than one where it moves.
        alpha: whether some of it may be transparent.
        phash: DCT perceptual hash, 64 bits as a signed number; `inner` that of what is inside a border of one shade.
        dhash: difference hash, likewise; `inner_dhash` that of what is inside a border.
        sharpness: variance of the Laplacian, see `datagen.stages.checks.sharpness`.
        brightness: mean grey, 0 to 255.
        contrast: standard deviation of grey.
        colours: different ones in 64×64 cells, of 16 levels each.
        plain: share of the cells that have the commonest colour; 1 is a picture of one colour.
        border: share of the area in a border of one colour.
        repeated: share of pixels that equal their left neighbour exactly; screenshots and drawings have most.
        taken: when the camera says so, as EXIF has it; empty if it does not.
        latitude: in degrees, where the source or the camera says so; `longitude` likewise.
        failure: why it cannot be used, a class of `datagen.failures`; empty if it can.
        told: the failure in a sentence.
    """

    sha256: str = ""
    bytes: int = 0
    format: str = ""
    width: int = 0
    height: int = 0
    frames: int = 0
    alpha: bool = False
    phash: int = 0
    inner: int = 0
    dhash: int = 0
    inner_dhash: int = 0
    sharpness: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    colours: int = 0
    plain: float = 0.0
    border: float = 0.0
    repeated: float = 0.0
    taken: str = ""
    latitude: float | None = None
    longitude: float | None = None
    failure: str = ""
    told: str = ""


def measured(data: bytes, limits: Images) -> Measures:
    """Measure the bytes of a picture; what cannot be used is known by its failure, and by what of it could be told."""
    file: dict[str, Any] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    try:
        picture = usable(data, limits)
        with Image.open(io.BytesIO(data)) as image:
            facts = {**file, **_header(image), "width": picture.width, "height": picture.height}
        with Image.open(io.BytesIO(picture.data)) as image:
            return Measures(**facts, **_look(image))
    except Failure as failure:
        return Measures(**file, failure=failure.failure_class, told=failure.message)
    except Exception as error:  # a decoder of what `prepare` has let pass
        return Measures(**file, failure="corrupt_image", told=f"{type(error).__name__} in decoding")


def _header(image: Image.Image) -> dict[str, Any]:
    """Return what a file says of itself."""
    said: dict[str, Any] = {
        "format": image.format or "",
        "frames": getattr(image, "n_frames", 1),
        "alpha": "A" in image.getbands() or "transparency" in image.info,
    }
    try:
        exif = image.getexif()
        details = exif.get_ifd(ExifTags.IFD.Exif)
        said["taken"] = f"{details.get(_TAKEN, '')} {details.get(_OFFSET, '')}".strip().replace("\0", "")
        place = exif.get_ifd(ExifTags.IFD.GPSInfo)
    except Exception:  # a good picture may have broken EXIF, and Pillow's reader raises anything then
        return said
    return said | {"latitude": _degrees(place, 1, "S"), "longitude": _degrees(place, 3, "W")}


def _degrees(place: Mapping[int, Any], tag: int, negative: str) -> float | None:
    """Return a coordinate of EXIF, whose degrees, minutes and seconds stand behind its letter.

    >>> _degrees({1: "N", 2: (35.0, 30.0, 36.0)}, 1, "S")
    35.51
    """
    try:
        degrees, minutes, seconds = (float(value) for value in place[tag + 1])
        value = round(degrees + minutes / 60 + seconds / 3600, 6)
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    limit = 90 if tag == 1 else 180
    if not -limit <= value <= limit:
        return None
    return -value if place.get(tag) == negative else value


def _look(image: Image.Image) -> dict[str, Any]:
    """Measure how a picture looks, most of it on a copy that is at most 512 pixels wide and high."""
    small = max(image.size) <= 2 * _SIDE
    repeated = repeated_share(image) if small else None
    image.draft("RGB", (2 * _SIDE, 2 * _SIDE))
    colour = image.convert("RGB")
    colour.thumbnail((2 * _SIDE, 2 * _SIDE), Image.Resampling.BOX)
    grey = colour.convert("L")
    counts = colour_counts(colour)
    whole, inner = query_hashes(grey)
    grey.thumbnail((_SIDE, _SIDE), Image.Resampling.BOX)
    samples = np.asarray(grey, dtype=np.float64)
    return {
        "phash": whole.phash,
        "inner": inner.phash,
        "dhash": whole.dhash,
        "inner_dhash": inner.dhash,
        "sharpness": laplacian_variance(grey),
        "brightness": round(float(samples.mean()), 2),
        "contrast": round(float(samples.std()), 2),
        "colours": len(counts),
        "plain": plain_share(counts),
        "border": border_share(grey),
        "repeated": repeated_share(colour) if repeated is None else repeated,
    }
