"""What is measured of a picture, and that nothing in a file stops a survey."""

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageFilter

from datagen.pictures.looks import without_border
from datagen.recipe import Images
from datagen.survey.measures import Measures, measured

LIMITS = Images()


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def noise(width: int = 320, height: int = 240, seed: int = 0) -> Image.Image:
    """A picture with shapes of many sizes, as photographs have."""
    draw = np.random.default_rng(seed)
    layers = [
        np.asarray(
            Image.fromarray(draw.integers(0, 256, (size, size, 3), np.uint8)).resize((width, height)), np.float64
        )
        for size in (4, 16, 64, 200)
    ]
    return Image.fromarray((layers[0] * 0.5 + layers[1] * 0.25 + layers[2] * 0.1 + layers[3] * 0.15).astype(np.uint8))


def test_a_photograph_is_measured() -> None:
    found = measured(encoded(noise(), "JPEG", quality=95), LIMITS)
    assert (found.format, found.width, found.height, found.frames, found.failure) == ("JPEG", 320, 240, 1, "")
    assert found.colours > 200
    assert found.plain < 0.2
    assert found.border == 0
    assert found.repeated < 0.3
    assert found.contrast > 20


def test_kinds_of_pictures_are_told_apart() -> None:
    flat = measured(encoded(Image.new("RGB", (200, 200), (180, 20, 20))), LIMITS)
    assert (flat.plain, flat.colours, flat.sharpness, flat.border, flat.repeated) == (1, 1, 0, 1, 1)
    blurred = measured(encoded(noise().filter(ImageFilter.GaussianBlur(8))), LIMITS)
    assert blurred.sharpness < 20 < measured(encoded(noise()), LIMITS).sharpness
    framed = Image.new("RGB", (400, 300), "white")
    framed.paste(noise(), (40, 30))
    assert measured(encoded(framed), LIMITS).border == pytest.approx(1 - 320 * 240 / (400 * 300), abs=0.03)
    assert without_border(framed).size == (320, 240)
    screen = Image.new("RGB", (300, 300), "white")
    screen.paste((30, 30, 30), (20, 20, 200, 40))
    assert measured(encoded(screen), LIMITS).repeated > 0.95
    moving = encoded(noise(64, 64), "GIF", save_all=True, append_images=[noise(64, 64, 1)])
    assert measured(moving, LIMITS).frames == 2
    assert measured(encoded(noise().convert("RGBA")), LIMITS).alpha


def test_a_camera_says_when_and_where() -> None:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2019:04:07 12:30:00"
    exif.get_ifd(ExifTags.IFD.GPSInfo).update({1: "N", 2: (35.0, 39.0, 31.0), 3: "W", 4: (139.0, 44.0, 43.0)})
    found = measured(encoded(noise(), "JPEG", exif=exif), LIMITS)
    assert found.taken == "2019:04:07 12:30:00"
    assert found.latitude == pytest.approx(35.6586, abs=1e-4)
    assert found.longitude == pytest.approx(-139.7453, abs=1e-4)


@pytest.mark.parametrize(
    ("data", "failure"),
    [
        (b"", "not_an_image"),
        (b"<html></html>", "not_an_image"),
        (encoded(noise(), "JPEG")[:900], "corrupt_image"),
        (encoded(noise(8, 8)), "too_small"),
    ],
)
def test_what_cannot_be_used_is_told_with_its_file(data: bytes, failure: str) -> None:
    found = measured(data, LIMITS)
    assert found.failure == failure
    assert found.told
    assert found.bytes == len(data)
    assert len(found.sha256) == 64


_GOOD = encoded(noise(48, 32), "JPEG", quality=60)


@given(st.integers(0, len(_GOOD) - 1), st.binary(max_size=8))
def test_a_damaged_file_is_a_failure_or_a_picture_and_never_an_error(place: int, junk: bytes) -> None:
    found = measured(_GOOD[:place] + junk + _GOOD[place + len(junk) :], LIMITS)
    assert isinstance(found, Measures)
    assert bool(found.failure) != bool(found.width and found.height)
