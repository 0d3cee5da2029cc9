"""Pictures, small enough to stand in a page."""

import base64
import io
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from datagen.pictures.colours import in_srgb

_SIDE = 208
_QUALITY = 62


def stored_bytes(image: Mapping[str, Any]) -> bytes:
    """Return the bytes of a picture as rows hold it, of the file if they refer to one; none if it is not there."""
    if image.get("bytes"):
        return bytes(image["bytes"])
    path = Path(image.get("path") or "")
    try:
        return path.read_bytes() if path.is_absolute() and path.is_file() else b""
    except (OSError, ValueError):
        return b""


def thumbnail(data: bytes) -> str:
    """Return a picture as a small WebP in a data URL; empty when it cannot be read."""
    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(data)) as image:
            warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata
            image.draft("RGB", (2 * _SIDE, 2 * _SIDE))
            image.thumbnail((_SIDE, _SIDE))
            encoded = io.BytesIO()
            shown = in_srgb(image, image.info.get("icc_profile"), image.mode)
            shown.save(encoded, "WEBP", quality=_QUALITY, method=6)
    except Exception:  # decoders of broken files raise anything; a card does without its picture then
        return ""
    return f"data:image/webp;base64,{base64.b64encode(encoded.getvalue()).decode()}"
