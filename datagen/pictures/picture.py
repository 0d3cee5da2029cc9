"""Pictures on their way to the model: checked, and passed through unchanged where that is possible.

A picture that every consumer reads alike (JPEG, PNG or WebP, upright, opaque, 8-bit, one frame) and that is under the
pixel limit keeps its bytes. All others (EXIF orientation, CMYK, alpha, 16-bit, animation, TIFF, too many pixels, …)
are made into one upright RGB JPEG, in sRGB. Files that are cut short are found by their structure. A picture is
decoded only where that is asked for: to be made into another, for its perceptual hash, or because its structure is in
doubt.
"""

import hashlib
import io
import logging
import math
import re
import warnings
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import orjson
import pybase64
from PIL import Image, UnidentifiedImageError

from datagen.failures import Failure
from datagen.pictures.colours import in_srgb
from datagen.pictures.formats import described
from datagen.pictures.structure import is_whole
from datagen.recipe import Images
from datagen.records import PictureRecord

# Formats whose decoders are fed untrusted bytes; leaves out those that run other programs (EPS), read other files, or
# hide the size of the picture until it is decoded (ICO).
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM")
_READ = f"{', '.join(_FORMATS[:-1])} and {_FORMATS[-1]} are read"
_PASSED_THROUGH = {"JPEG": (".jpg", "image/jpeg"), "PNG": (".png", "image/png"), "WEBP": (".webp", "image/webp")}
_HASH_SIDE = 32
_SMALL_SIDE = 256
_HASH_BITS_SIDE = 8
_EXIF_ORIENTATION = 0x0112
_PNG_EXIF = (b"eXIf", b"Raw profile type exif", b"XML:com.adobe.xmp")
_DNG_VERSION = 50706
_SUBFILE_TYPE, _REDUCED_COPY = 254, 1
_JPEG_MAX_SIDE = 65500
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# DCT-II of 32 samples, its 8 lowest frequencies.
_COSINES = np.cos(np.pi * np.outer(np.arange(_HASH_BITS_SIDE), 2 * np.arange(_HASH_SIDE) + 1) / (2 * _HASH_SIDE))

Image.MAX_IMAGE_PIXELS = None  # `Images.max_pixels` is checked instead, before anything is decoded
warnings.filterwarnings("ignore", module=r"PIL\.")  # remarks on odd metadata; for all threads at once
logging.getLogger("PIL").addHandler(logging.NullHandler())


@dataclass(frozen=True)
class Picture:
    """A picture as it is sent and published.

    Attributes:
        data: the encoded bytes.
        suffix: ".jpg", ".png" or ".webp".
        media_type: the MIME type.
        width: in pixels; `height` likewise.
        phash: 64-bit perceptual hash, 16 hex digits; empty where none is asked for.
        file: the path of the file that the bytes are, where rows are to refer to it; empty where they get the bytes.
    """

    data: bytes
    suffix: str
    media_type: str
    width: int
    height: int
    phash: str
    file: str = ""

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 of the bytes, in hex."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def record(self) -> PictureRecord:
        """What a row says of the picture."""
        return PictureRecord(sha256=self.sha256, phash=self.phash, width=self.width, height=self.height)

    @cached_property
    def small(self) -> Image.Image:
        """The picture in grey, at most 256 pixels wide and high; decoded once for all checks."""
        with Image.open(io.BytesIO(self.data)) as image:
            image.draft("L", (_SMALL_SIDE, _SMALL_SIDE))
            grey = image.convert("L")
        grey.thumbnail((_SMALL_SIDE, _SMALL_SIDE), Image.Resampling.BOX)
        return grey

    def opened(self) -> Image.Image:
        """Return the picture in its colours, decoded at 512 pixels or somewhat more where it is a large JPEG."""
        with Image.open(io.BytesIO(self.data)) as image:
            image.draft("RGB", (2 * _SMALL_SIDE, 2 * _SMALL_SIDE))
            return image.convert("RGB")

    @cached_property
    def data_url(self) -> orjson.Fragment:
        """The picture as a JSON string with a data URL, encoded once for all turns."""
        return orjson.Fragment(b'"data:%b;base64,%b"' % (self.media_type.encode(), pybase64.b64encode(self.data)))


def prepared_before(data: bytes, record: PictureRecord, file: str = "") -> Picture:
    """Return a picture that `prepare` has made earlier, from its bytes and what a row says of it.

    Raises:
        OSError: the bytes are no picture any more.
    """
    with Image.open(io.BytesIO(data), formats=tuple(_PASSED_THROUGH)) as image:
        suffix, media_type = _PASSED_THROUGH[str(image.format)]
    return Picture(data, suffix, media_type, record.width, record.height, record.phash, file)


def passed_through(data: bytes, limits: Images) -> Picture | None:
    """Return a picture that can be told to be fit for the model without decoding it; None of all others.

    It takes a fraction of a millisecond.
    """
    if limits.phash or len(data) > limits.max_bytes:
        return None
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            return _unchanged(image, data, limits)
    except Exception:  # `prepare` says what is wrong
        return None


def usable(data: bytes, limits: Images) -> Picture:
    """Return a picture fit for the model, decoded only where that is needed.

    Raises:
        Failure: as `prepare` does.
    """
    return passed_through(data, limits) or prepare(data, limits)


def prepare(data: bytes, limits: Images) -> Picture:
    """Check a picture and make it fit for the model.

    Raises:
        Failure: `not_an_image`, `corrupt_image`, `too_large` or `too_small`.
    """
    if len(data) > limits.max_bytes:
        raise Failure("too_large", f"the file has {len(data):,} bytes; images.max_bytes allows {limits.max_bytes:,}")
    if not data:
        raise Failure("not_an_image", "the file is empty")
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            return _prepared(image, data, limits)
    except UnidentifiedImageError as error:
        if _begins_as_picture(data[:16]):
            raise Failure(
                "corrupt_image", "the file begins as a picture does, but it is cut short or broken"
            ) from error
        raise Failure("not_an_image", f"the file is {described(data)}; {_READ}") from error
    except Failure:
        raise
    except MemoryError:
        raise
    except Exception as error:  # decoders of broken files raise anything from SyntaxError to struct.error
        raise Failure("corrupt_image", f"{type(error).__name__}{_reason(error)}") from error


def _reason(error: Exception) -> str:
    """Return what a decoder says up to the first quotation, which may be of any file that a table names."""
    said = re.split(r"[:'\"(\[{<]", str(error), maxsplit=1)[0].strip()
    return f": {said}" if " " in said else ""


def _begins_as_picture(prefix: bytes) -> bool:
    for name in _FORMATS:
        _, accept = Image.OPEN[name]
        try:
            if accept is not None and accept(prefix) is True:
                return True
        except IndexError:  # shorter than the signature
            continue
    return False


def _prepared(image: Image.Image, data: bytes, limits: Images) -> Picture:
    width, height = image.size
    if _is_camera_raw(image, data):
        raise Failure("not_an_image", f"the file is a camera raw file, and holds a preview alone; {_READ}")
    if width * height > limits.max_pixels:
        raise Failure("too_large", f"{width}×{height} pixels; images.max_pixels allows {limits.max_pixels:,}")
    if min(width, height) < limits.min_side:
        raise Failure("too_small", f"{width}×{height} pixels; images.min_side asks for {limits.min_side}")
    if not limits.phash and (unchanged := _unchanged(image, data, limits)):
        return unchanged
    if _reads_alike_everywhere(image, data) and width * height <= limits.send_pixels:
        suffix, media_type = _PASSED_THROUGH[str(image.format)]
        image.draft("L", (4 * _HASH_SIDE, 4 * _HASH_SIDE))
        image.load()
        return Picture(data, suffix, media_type, width, height, perceptual_hash(image) if limits.phash else "")
    upright = _shrunk(image, limits.send_pixels)
    encoded = io.BytesIO()
    upright.save(encoded, "JPEG", quality=92, subsampling=0)
    phash = perceptual_hash(upright) if limits.phash else ""
    return Picture(encoded.getvalue(), ".jpg", "image/jpeg", *upright.size, phash)


def _unchanged(image: Image.Image, data: bytes, limits: Images) -> Picture | None:
    """Return the picture as it is, if its header and its structure say that it may stay so."""
    width, height = image.size
    if (
        min(width, height) < limits.min_side
        or width * height > min(limits.max_pixels, limits.send_pixels)
        or not _reads_alike_everywhere(image, data)
        or not is_whole(data, str(image.format))
    ):
        return None
    suffix, media_type = _PASSED_THROUGH[str(image.format)]
    return Picture(data, suffix, media_type, width, height, "")


def _is_camera_raw(image: Image.Image, data: bytes) -> bool:
    """Whether a TIFF is a DNG, CR2, NEF, ARW …, whose first picture is a small one of what its sensor saw."""
    if image.format != "TIFF":
        return False
    tags = image.tag_v2  # type: ignore[attr-defined]  # of TIFF alone
    return data[8:10] == b"CR" or _DNG_VERSION in tags or tags.get(_SUBFILE_TYPE) == _REDUCED_COPY


def _reads_alike_everywhere(image: Image.Image, data: bytes) -> bool:
    return (
        image.format in _PASSED_THROUGH
        and image.mode in ("RGB", "L", "P")
        and "transparency" not in image.info
        and getattr(image, "n_frames", 1) == 1
        and _orientation(image, data) not in _UPRIGHT
    )


def _orientation(image: Image.Image, data: bytes = b"") -> int:
    if image.format == "PNG" and data and not any(mark in data for mark in _PNG_EXIF):
        return 1  # Pillow would decode the picture to look behind it
    try:
        return int(image.getexif().get(_EXIF_ORIENTATION, 1))
    except Exception:  # a good picture may have broken EXIF, and Pillow's reader raises anything then
        return 1


def _shrunk(image: Image.Image, pixels: int) -> Image.Image:
    """Return the first frame, upright, opaque, 8-bit RGB in sRGB, with at most so many pixels."""
    width, height = image.size
    scale = min(1.0, math.sqrt(pixels / (width * height)), _JPEG_MAX_SIDE / max(width, height))
    size = max(1, math.floor(width * scale)), max(1, math.floor(height * scale))
    if scale < 1.0:
        image.draft("RGB", size)  # JPEG decodes at 1/2, 1/4 or 1/8 for a fraction of the time
    image.load()
    orientation = _orientation(image)
    samples = _eight_bit(image)
    shrunk = samples if samples.mode == "CMYK" else _opaque(samples)
    if scale < 1.0:
        shrunk = shrunk.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    shrunk = in_srgb(shrunk, image.info.get("icc_profile"), samples.mode)
    if orientation in _UPRIGHT:
        shrunk = shrunk.transpose(_UPRIGHT[orientation])
    shrunk.info = {}  # comments, profiles and the like stay behind
    return shrunk


def _eight_bit(image: Image.Image) -> Image.Image:
    """Scale 16-bit, 32-bit and float samples to 8 bits; Pillow's own conversion would clip them."""
    if image.mode.startswith("I") or image.mode == "F":
        samples = np.array(image, dtype=np.float32)
        np.nan_to_num(samples, copy=False, posinf=0, neginf=0)
        brightest = max(float(samples.max()), 1e-9)
        samples *= 255 / (65535 if image.mode.startswith("I") and brightest <= 65535 else brightest)
        return Image.fromarray(samples.clip(0, 255, out=samples).astype(np.uint8), "L")
    return image


def _opaque(image: Image.Image) -> Image.Image:
    """Return RGB, with what is transparent shown on white."""
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        layered = image.convert("RGBA")
        white = Image.new("RGBA", layered.size, "white")
        return Image.alpha_composite(white, layered).convert("RGB")
    return image.convert("RGB")


def perceptual_hash(image: Image.Image) -> str:
    """Return the 64-bit DCT perceptual hash as 16 hex digits.

    The picture is shrunk to 32×32 grey samples; each bit says whether one of the 8×8 lowest DCT-II coefficients is
    above their median (the pHash of Zauner, 2010, as the ImageHash library computes it). They are rounded
    first, so that those which are equal in truth (flat pictures, stripes) are equal on every machine.
    """
    grey = _eight_bit(image).convert("L").resize((_HASH_SIDE, _HASH_SIDE), Image.Resampling.LANCZOS)
    low = (_COSINES @ np.asarray(grey, dtype=np.float64) @ _COSINES.T).round(6)
    return np.packbits(low > np.median(low)).tobytes().hex()
