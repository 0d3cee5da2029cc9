"""What the tests of pictures share: pictures to draw, to encode and to compare."""

import io
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from datagen.failures import Failure
from datagen.pictures.picture import Picture, prepare
from datagen.recipe import Images

LIMITS = Images(phash=True)
ORIENTATION = 0x0112
LOSSLESS_CORNERS = 12  # mean difference of a flat quarter of the picture that JPEG may make


def encoded(image: Image.Image, image_format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, image_format, **options)
    return file.getvalue()


def quarters(width: int = 96, height: int = 64) -> Image.Image:
    """A picture whose four quarters are red, green, blue and yellow, so that every turn and mirroring shows."""
    samples = np.zeros((height, width, 3), dtype=np.uint8)
    samples[: height // 2, : width // 2] = (220, 20, 20)
    samples[: height // 2, width // 2 :] = (20, 200, 20)
    samples[height // 2 :, : width // 2] = (20, 20, 220)
    samples[height // 2 :, width // 2 :] = (220, 220, 20)
    return Image.fromarray(samples)


def noise(seed: int, size: tuple[int, int] = (160, 120)) -> Image.Image:
    draw = np.random.default_rng(seed)
    coarse = Image.fromarray(draw.integers(0, 255, (9, 12, 3), dtype=np.uint8))
    return coarse.resize(size, Image.Resampling.BICUBIC)


def samples_of(picture: Picture) -> npt.NDArray[np.int16]:
    with Image.open(io.BytesIO(picture.data)) as image:
        return np.asarray(image.convert("RGB"), dtype=np.int16)


def assert_alike(picture: Picture, wanted: Image.Image) -> None:
    found, expected = samples_of(picture), np.asarray(wanted.convert("RGB"), dtype=np.int16)
    assert found.shape == expected.shape
    assert np.abs(found - expected).mean() < LOSSLESS_CORNERS


def failure_of(data: bytes, limits: Images = LIMITS) -> Failure:
    with pytest.raises(Failure) as caught:
        prepare(data, limits)
    return caught.value
