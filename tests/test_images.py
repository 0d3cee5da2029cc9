"""Pictures: what passes through unchanged, what is made over, and what fails, with which class."""

import io
import pickle
import struct
import subprocess
import sys
import zlib
from typing import Any

import imagehash
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageCms, ImageOps

from datagen.failures import Failure
from datagen.images import Picture, perceptual_hash, prepare
from datagen.recipe import Images

LIMITS = Images()
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


# Files that are broken or hostile

_CHILD = """
import pickle, resource, sys
from PIL import Image
from datagen.failures import Failure
from datagen.images import prepare
from datagen.recipe import Images

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

outcomes = []
for name, data in pickle.load(sys.stdin.buffer).items():
    before = peak()
    try:
        picture = prepare(data, Images())
        outcome = f"{picture.width}x{picture.height}"
    except Failure as failure:
        outcome = failure.failure_class
    outcomes.append((name, outcome, peak() - before))
sys.stdout.buffer.write(pickle.dumps(outcomes))
"""


def outcomes_of(files: dict[str, bytes]) -> dict[str, tuple[str, int]]:
    """Prepare files in a process of their own; return the outcome of each, and the MB by which it raised the peak."""
    done = subprocess.run([sys.executable, "-c", _CHILD], input=pickle.dumps(files), capture_output=True, check=True)
    assert done.stderr == b""  # neither warnings nor words of a decoder
    return {name: (outcome, grown) for name, outcome, grown in pickle.loads(done.stdout)}


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _png(width: int, height: int, *chunks: bytes) -> bytes:
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + _chunk(b"IEND", b"")


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM"])
def test_files_that_are_cut_short_fail_as_corrupt(image_format: str) -> None:
    data = encoded(noise(1), image_format)
    for share in (0.02, 0.2, 0.5, 0.8, 0.95):
        failure = failure_of(data[: int(len(data) * share)])
        assert failure.failure_class == "corrupt_image"
        assert failure.message


@pytest.mark.parametrize(
    "data",
    [
        b"<html>",
        b"<!DOCTYPE html><html><body>404</body></html>",
        b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
        "これは写真ではありません。".encode(),
        b"hello\n",
        b"\0" * 4096,
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n",
        b"%PDF-1.7\n",
        b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic",
    ],
)
def test_files_of_other_kinds_are_not_an_image(data: bytes) -> None:
    failure = failure_of(data)
    assert failure.failure_class == "not_an_image"
    assert repr(data[:8])[:6] in failure.message


def test_an_empty_file_is_not_an_image() -> None:
    failure = failure_of(b"")
    assert failure.failure_class == "not_an_image"
    assert "empty" in failure.message


def _gif(width: int, height: int) -> bytes:
    screen = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    return screen + b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x4c\x01\x00;"


def _gif_with_a_frame_larger_than_its_screen() -> bytes:
    screen = b"GIF89a" + struct.pack("<HHBBB", 32, 32, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    return screen + b"," + struct.pack("<HHHHB", 0, 0, 65535, 65535, 0) + b"\x02\x02\x4c\x01\x00;"


def _webp(width: int, height: int) -> bytes:
    """An animation whose frames are far smaller than its canvas."""
    data = bytearray(encoded(quarters(), "WEBP", save_all=True, append_images=[quarters().rotate(180)]))
    canvas = data.index(b"VP8X") + 12
    data[canvas : canvas + 6] = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return bytes(data)


def _bmp(width: int, height: int) -> bytes:
    return b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, width, height, 1, 24, 0, 0, 1, 1, 0, 0)


_PIXELS = _chunk(b"IDAT", zlib.compress((b"\0" + b"\x80" * 96) * 32))
_LONG = zlib.compress(bytes(200 << 20), 9)
_DEEP = zlib.compress(bytes(1 << 20))


def test_bombs_are_refused_by_their_declared_size_before_memory_is_taken() -> None:
    bombs = {
        "png": _png(60_000, 60_000, _chunk(b"IDAT", _DEEP)),
        "gif": _gif(65_535, 65_535),
        "gif frame": _gif_with_a_frame_larger_than_its_screen(),
        "webp": _webp(16_384, 16_384),
        "bmp": _bmp(60_000, 60_000),
        "ppm": b"P6 60000 60000 255\n",
    }
    warm = {"warm": encoded(quarters(2000, 1600), "PNG")}
    outcomes = outcomes_of({**warm, **bombs})
    for name in bombs:
        outcome, grown = outcomes[name]
        assert (name, outcome) == (name, "too_large")
        assert grown < 20


def test_headers_that_hide_the_true_size_are_no_way_around_the_limit() -> None:
    jpeg_2000 = bytearray(encoded(Image.new("L", (6000, 6000), 9), "JPEG2000"))
    place = jpeg_2000.index(b"ihdr") + 4
    jpeg_2000[place : place + 8] = struct.pack(">II", 32, 32)
    inner = _png(20_000, 20_000, _chunk(b"IDAT", _DEEP))
    icon = struct.pack("<HHHBBBBHHII", 0, 1, 1, 32, 32, 0, 0, 1, 24, len(inner), 22) + inner
    outcomes = outcomes_of({"warm": encoded(quarters(), "JPEG2000"), "jpeg 2000": bytes(jpeg_2000), "icon": icon})
    assert outcomes["jpeg 2000"][0] == "corrupt_image"
    assert outcomes["icon"][0] == "not_an_image"
    assert max(outcomes["jpeg 2000"][1], outcomes["icon"][1]) < 20


def test_compressed_metadata_is_not_blown_up() -> None:
    chunks = {
        "zTXt": _chunk(b"zTXt", b"Comment\0\0" + _LONG),
        "iTXt": _chunk(b"iTXt", b"Comment\0\1\0\0\0" + _LONG),
        "iCCP": _chunk(b"iCCP", b"profile\0\0" + _LONG),
        "many": b"".join(
            _chunk(b"zTXt", b"Comment%d\0\0" % number + zlib.compress(bytes(1 << 20), 9)) for number in range(300)
        ),
    }
    files = {name: _png(32, 32, chunk, _PIXELS) for name, chunk in chunks.items()}
    outcomes = outcomes_of({"warm": _png(32, 32, _PIXELS), **files})
    assert outcomes["warm"][0] == "32x32"
    for name in files:
        outcome, grown = outcomes[name]
        assert outcome in ("corrupt_image", "32x32")
        assert grown < 100


def test_a_64_megapixel_jpeg_is_decoded_at_reduced_size() -> None:
    """At full size it would take 192 MB."""
    data = encoded(Image.linear_gradient("L").convert("RGB").resize((8000, 8000)), "JPEG")
    warm = encoded(Image.new("RGB", (1700, 1700)), "JPEG")
    outcome, grown = outcomes_of({"warm": warm, "large": data})["large"]
    assert outcome == "1536x1536"
    assert grown < 60


def test_broken_metadata_prints_nothing() -> None:
    files = {
        f"{image_format} {number}": encoded(quarters(), image_format, exif=exif, icc_profile=b"garbage")
        for image_format in ("JPEG", "PNG", "WEBP")
        for number, exif in enumerate(_BROKEN_EXIF)
    }
    files["tiff"] = encoded(quarters(), "TIFF", compression="tiff_lzw")[:2000]
    outcomes = outcomes_of(files)
    assert {outcome for name, (outcome, _) in outcomes.items() if name != "tiff"} == {"96x64"}


def test_a_huge_profile_in_a_jpeg_is_no_obstacle() -> None:
    data = encoded(quarters(), "JPEG", icc_profile=b"\xab" * 3_000_000)
    assert prepare(data, LIMITS).data == data


_BROKEN_EXIF = [
    b"Exif\0\0",
    b"Exif\0\0garbage",
    b"Exif\0\0II*\0\xff\xff\xff\xff",
    b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\x12" * 40,
]


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")  # pytest undoes the filter of datagen.images
@pytest.mark.parametrize("exif", _BROKEN_EXIF)
def test_broken_exif_does_not_lose_a_good_picture(exif: bytes) -> None:
    for image_format in ("JPEG", "PNG", "WEBP"):
        data = encoded(quarters(), image_format, exif=exif)
        assert prepare(data, LIMITS).data == data
        shrunk = prepare(data, LIMITS.model_copy(update={"send_pixels": 2000}))
        assert_alike(shrunk, quarters().resize((shrunk.width, shrunk.height)))


@pytest.mark.parametrize("profile", [b"", b"garbage", bytes(200)])
def test_a_broken_colour_profile_does_not_lose_a_good_picture(profile: bytes) -> None:
    for image_format in ("JPEG", "PNG", "WEBP"):
        data = encoded(quarters(), image_format, icc_profile=profile)
        assert prepare(data, LIMITS).data == data


def test_the_message_of_a_failure_is_one_line_of_valid_unicode() -> None:
    for data in (b"\xff\xd8\xff\xed\xff", b"P6 \xed\xa0\x80", b"\xed\xa0\x80" * 9):
        message = failure_of(data).message
        assert message.encode("utf-8")
        assert "\n" not in message
