"""Pictures: what passes through unchanged, what is made over, the limits, and the perceptual hash."""

import io
from typing import Any

import imagehash
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageCms, ImageOps

from datagen.pictures.picture import perceptual_hash, prepare
from tests.pictures.drawing import (
    LIMITS,
    ORIENTATION,
    assert_alike,
    encoded,
    failure_of,
    noise,
    quarters,
    samples_of,
)

# What passes through


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_plain_pictures_pass_through_byte_for_byte(image_format: str, mode: str) -> None:
    data = encoded(quarters().convert(mode), image_format)
    picture = prepare(data, LIMITS)
    assert picture.data == data
    assert (picture.width, picture.height) == (96, 64)
    assert picture.suffix == {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp"}[image_format]
    assert picture.media_type == {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}[image_format]


def test_opaque_palettes_and_progressive_jpegs_pass_through() -> None:
    for data in (
        encoded(quarters().quantize(16), "PNG"),
        encoded(quarters(), "JPEG", progressive=True),
        encoded(quarters(), "JPEG", exif=_exif(1)),
    ):
        assert prepare(data, LIMITS).data == data


def test_the_suffix_comes_from_the_bytes_not_from_a_name() -> None:
    assert prepare(encoded(quarters(), "PNG"), LIMITS).suffix == ".png"  # whatever the file was called


def test_the_data_url_holds_the_bytes() -> None:
    import base64

    import orjson

    picture = prepare(encoded(quarters(), "WEBP"), LIMITS)
    url = orjson.loads(orjson.dumps(picture.data_url))
    head, _, body = url.partition(",")
    assert head == "data:image/webp;base64"
    assert base64.b64decode(body, validate=True) == picture.data


# What is made over


def _exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("send_pixels", [LIMITS.send_pixels, 2000])
def test_every_orientation_comes_out_upright(orientation: int, image_format: str, send_pixels: int) -> None:
    data = encoded(quarters(), image_format, exif=_exif(orientation))
    picture = prepare(data, LIMITS.model_copy(update={"send_pixels": send_pixels}))
    with Image.open(io.BytesIO(data)) as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
    assert (picture.width > picture.height) == (upright.width > upright.height)
    assert_alike(picture, upright.resize((picture.width, picture.height)))


def test_orientation_in_a_wide_picture_that_is_shrunk_by_the_jpeg_decoder() -> None:
    data = encoded(quarters(1600, 800), "JPEG", exif=_exif(6))
    picture = prepare(data, LIMITS.model_copy(update={"send_pixels": 200 * 100}))
    assert (picture.width, picture.height) == (100, 200)
    assert_alike(picture, quarters(200, 100).transpose(Image.Transpose.ROTATE_270))


def test_cmyk_becomes_rgb() -> None:
    picture = prepare(encoded(quarters().convert("CMYK"), "JPEG", quality=95), LIMITS)
    assert picture.suffix == ".jpg"
    assert_alike(picture, quarters())


def test_alpha_is_shown_on_white() -> None:
    layered = quarters().convert("RGBA")
    layered.putalpha(Image.new("L", layered.size, 0))
    for data in (encoded(layered, "PNG"), encoded(layered, "WEBP", lossless=True), encoded(layered, "AVIF")):
        picture = prepare(data, LIMITS)
        assert samples_of(picture).min() > 250


@pytest.mark.parametrize("send_pixels", [LIMITS.send_pixels, 2000])
def test_a_transparent_palette_entry_is_shown_on_white(send_pixels: int) -> None:
    palette = quarters().quantize(4)
    data = encoded(palette, "PNG", transparency=palette.getpixel((0, 0)))
    picture = prepare(data, LIMITS.model_copy(update={"send_pixels": send_pixels}))
    samples = samples_of(picture)
    assert samples[2, 2].min() > 230
    assert samples[-3, -3].min() < 60


def test_transparency_of_grey_and_rgb_pngs_is_shown_on_white() -> None:
    grey = encoded(Image.new("L", (32, 32), 7), "PNG", transparency=7)
    colour = encoded(Image.new("RGB", (32, 32), (9, 8, 7)), "PNG", transparency=(9, 8, 7))
    for data in (grey, colour):
        assert samples_of(prepare(data, LIMITS)).min() > 250


def _ramp(data_type: Any, top: float) -> npt.NDArray[Any]:
    return np.tile(np.linspace(0, top, 64), (48, 1)).astype(data_type)


@pytest.mark.parametrize(
    ("samples", "image_format"),
    [
        (_ramp(np.uint16, 65535), "PNG"),
        (_ramp(np.uint16, 65535), "TIFF"),
        (_ramp(np.int32, 65535), "TIFF"),
        (_ramp(np.int32, 2_000_000_000), "TIFF"),
        (_ramp(np.float32, 1.0), "TIFF"),
        (_ramp(np.float32, 4000.0), "TIFF"),
    ],
    ids=["16-bit PNG", "16-bit TIFF", "32-bit TIFF", "wide 32-bit TIFF", "float TIFF", "wide float TIFF"],
)
def test_deep_samples_keep_their_whole_range(samples: npt.NDArray[Any], image_format: str) -> None:
    row = samples_of(prepare(encoded(Image.fromarray(samples), image_format), LIMITS))[24, :, 0]
    assert row[0] < 10
    assert row[-1] > 245
    assert abs(int(row[32]) - 128) < 10


def test_float_samples_that_are_no_numbers_are_black() -> None:
    samples = _ramp(np.float32, 1.0)
    samples[:, :8] = np.nan
    samples[:, 8:16] = np.inf
    row = samples_of(prepare(encoded(Image.fromarray(samples), "TIFF"), LIMITS))[24, :, 0]
    assert row[:14].max() < 20
    assert row[-1] > 240
    only_nan = np.full((32, 32), np.nan, dtype=np.float32)
    assert samples_of(prepare(encoded(Image.fromarray(only_nan), "TIFF"), LIMITS)).max() == 0


@pytest.mark.parametrize("image_format", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_animations_and_pages_give_their_first_frame(image_format: str) -> None:
    others = [Image.new("RGB", (96, 64), "black"), Image.new("RGB", (96, 64), "white")]
    data = encoded(quarters(), image_format, save_all=True, append_images=others)
    with Image.open(io.BytesIO(data)) as image:
        assert image.n_frames == 3
    picture = prepare(data, LIMITS)
    assert picture.suffix == ".jpg"
    assert_alike(picture, quarters())


def test_an_mpo_with_two_views_gives_its_first() -> None:
    data = encoded(quarters(), "MPO", save_all=True, append_images=[Image.new("RGB", (96, 64), "black")])
    picture = prepare(data, LIMITS)
    assert picture.data != data
    assert_alike(picture, quarters())


@pytest.mark.parametrize("image_format", ["BMP", "GIF", "TIFF", "PPM", "JPEG2000", "AVIF"])
def test_formats_that_models_may_not_read_become_jpeg(image_format: str) -> None:
    picture = prepare(encoded(quarters(), image_format), LIMITS)
    assert picture.data[:3] == b"\xff\xd8\xff"
    assert (picture.width, picture.height) == (96, 64)
    assert_alike(picture, quarters())


@pytest.mark.parametrize("mode", ["1", "LA", "LAB", "YCbCr", "RGBX"])
def test_rare_modes_become_rgb(mode: str) -> None:
    grey = quarters().convert("L").point(lambda sample: 255 if sample > 100 else 0)
    if mode == "LAB":
        profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        image = ImageCms.profileToProfile(grey.convert("RGB"), *profiles, outputMode="LAB")
        assert image is not None
    else:
        image = grey.convert("RGB" if mode in ("YCbCr", "RGBX") else "L").convert(mode)
    assert_alike(prepare(encoded(image, "TIFF"), LIMITS), grey)


def test_big_endian_samples_are_read_as_such() -> None:
    image = Image.frombytes("I;16B", (64, 48), _ramp(">u2", 65535).tobytes())
    row = samples_of(prepare(encoded(image, "TIFF"), LIMITS))[24, :, 0]
    assert list(row[::16]) == sorted(row[::16])
    assert row[-1] > 245


def test_a_comment_or_profile_does_not_follow_into_the_new_file() -> None:
    data = encoded(quarters(), "GIF", comment=b"secret" * 100)
    assert b"secret" not in prepare(data, LIMITS).data


@pytest.mark.slow
def test_large_pictures_are_shrunk_once_with_their_aspect_kept() -> None:
    for size in ((4000, 3000), (3000, 4000), (5000, 600), (1537, 1536)):
        for image_format in ("JPEG", "PNG"):
            picture = prepare(encoded(Image.new("RGB", size, "teal"), image_format), LIMITS)
            assert picture.width * picture.height <= LIMITS.send_pixels
            assert picture.width * picture.height > 0.99 * LIMITS.send_pixels
            assert picture.width / picture.height == pytest.approx(size[0] / size[1], rel=0.01)
            assert prepare(picture.data, LIMITS).data == picture.data


def test_a_picture_at_the_limit_passes_and_one_row_more_is_shrunk() -> None:
    limits = LIMITS.model_copy(update={"send_pixels": 64 * 48})
    at_the_limit, over = (encoded(quarters(64, height), "PNG") for height in (48, 50))
    assert prepare(at_the_limit, limits).data == at_the_limit
    assert prepare(over, limits).data != over


def test_the_same_bytes_give_the_same_picture() -> None:
    data = encoded(noise(3).convert("RGBA"), "PNG")
    assert prepare(data, LIMITS) == prepare(data, LIMITS)


# Odd shapes and limits


def test_single_pixels_and_needles_are_too_small_unless_allowed() -> None:
    for size in ((1, 1), (1, 20000), (20000, 1)):
        data = encoded(Image.new("RGB", size, "red"), "PNG")
        assert failure_of(data).failure_class == "too_small"
        picture = prepare(data, LIMITS.model_copy(update={"min_side": 1}))
        assert (picture.width, picture.height) == size


def test_a_needle_that_jpeg_cannot_hold_is_shrunk_to_fit() -> None:
    data = encoded(Image.new("RGBA", (16, 70_000), "red"), "PNG")
    picture = prepare(data, LIMITS)
    assert picture.height <= 65_500
    assert picture.suffix == ".jpg"


def test_limits_name_what_was_found_and_what_is_allowed() -> None:
    data = encoded(quarters(), "PNG")
    too_long = failure_of(data, LIMITS.model_copy(update={"max_bytes": 100}))
    assert too_long.failure_class == "too_large"
    assert f"{len(data):,} bytes" in too_long.message
    assert "images.max_bytes allows 100" in too_long.message
    too_wide = failure_of(data, LIMITS.model_copy(update={"max_pixels": 100}))
    assert too_wide.failure_class == "too_large"
    assert "96×64" in too_wide.message
    too_small = failure_of(data, LIMITS.model_copy(update={"min_side": 65}))
    assert too_small.failure_class == "too_small"
    assert "images.min_side asks for 65" in too_small.message


# Perceptual hash


def _bits_apart(first: str, second: str) -> int:
    return (int(first, 16) ^ int(second, 16)).bit_count()


def test_the_hash_is_that_of_imagehash_bit_for_bit() -> None:
    for seed in range(60):
        image = noise(seed, (80 + 7 * seed, 90 + 5 * (seed % 11)))
        assert perceptual_hash(image) == str(imagehash.phash(image))


def test_the_hash_of_a_png_that_passes_is_that_of_imagehash() -> None:
    for seed in range(20):
        data = encoded(noise(seed), "PNG")
        with Image.open(io.BytesIO(data)) as image:
            assert prepare(data, LIMITS).phash == str(imagehash.phash(image))


def test_the_hash_of_a_jpeg_decoded_at_reduced_size_is_close_to_that_of_imagehash() -> None:
    for seed in range(40):
        data = encoded(noise(seed, (1200, 900)), "JPEG")
        with Image.open(io.BytesIO(data)) as image:
            assert _bits_apart(prepare(data, LIMITS).phash, str(imagehash.phash(image))) <= 4


def test_the_hash_of_a_flat_picture_has_no_noise() -> None:
    hashes = {
        perceptual_hash(Image.new("RGB", size, colour)) for size in ((64, 64), (99, 37)) for colour in ("red", "navy")
    }
    assert hashes == {"8000000000000000"}


def test_the_hash_survives_shrinking_and_tells_pictures_apart() -> None:
    hashes = [prepare(encoded(noise(seed, (800, 600)), "JPEG"), LIMITS).phash for seed in range(12)]
    shrunk = [prepare(encoded(noise(seed, (400, 300)), "JPEG", quality=60), LIMITS).phash for seed in range(12)]
    assert all(_bits_apart(first, second) <= 4 for first, second in zip(hashes, shrunk, strict=True))
    assert all(_bits_apart(hashes[0], other) > 10 for other in hashes[1:])
