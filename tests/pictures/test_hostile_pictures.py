"""Pictures that are broken or hostile: what fails, with which class, and that nothing is blown up."""

import pickle
import struct
import subprocess
import sys
import zlib
from typing import Any

import pytest
from PIL import Image, TiffImagePlugin

from datagen.pictures.picture import prepare
from tests.pictures.drawing import (
    LIMITS,
    assert_alike,
    encoded,
    failure_of,
    noise,
    quarters,
)

_CHILD = """
import pickle, resource, sys
from PIL import Image
from datagen.failures import Failure
from datagen.pictures.picture import prepare
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
    ("data", "kind"),
    [
        (b"<html>", "an HTML page"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "an HTML page"),
        (b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>', "an SVG drawing"),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG drawing"),
        ("これは写真ではありません。".encode(), "text"),
        (b"root:x:0:0:root:/root:/bin/bash\n", "text"),
        ("あ".encode() * 400, "text"),
        (b"\0" * 4096, "of an unknown format"),
        (b"\xff\xfe\xfd secret", "of an unknown format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n", "a PostScript file"),
        (b"%PDF-1.7\n", "a PDF file"),
        (b"PK\x03\x04secret", "a ZIP archive"),
        (b"8BPS\0\1secret", "a Photoshop file"),
        (b"\xff\x0asecret", "a JPEG XL picture"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic", "an HEIC picture"),
        (b"\x00\x00\x00\x18ftypqt  secret", "an MP4 or QuickTime film"),
    ],
)
def test_files_of_other_kinds_are_not_an_image_and_are_named_by_kind(data: bytes, kind: str) -> None:
    failure = failure_of(data)
    assert failure.failure_class == "not_an_image"
    assert failure.message.startswith(f"the file is {kind}; JPEG, PNG")


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")  # pytest undoes the filter of datagen.pictures.picture
@pytest.mark.parametrize(
    "head", [b"", b"P", b"P0", b"P2", b"P4", b"P6", b"P6 ", b"Pf ", b"BM", b"GIF89a", b"II*\0", b"\xff\xd8"]
)
@pytest.mark.parametrize("tail", [b"", b"\n", b" 9 9 255\n"])
def test_no_word_of_a_file_stands_in_its_failure(head: bytes, tail: bytes) -> None:
    """A table from elsewhere may name any file of this machine, a key or a password too."""
    for secret in (b"Passw0rd", b"Sesame:open", b"s3cr3t-Key 17 99 'Sesame'"):
        message = failure_of(head + secret + tail).message
        assert not [word for word in (b"Passw0rd", b"assw", b"Sesame", b"s3cr3t", b"Key") if word.decode() in message]


@pytest.mark.parametrize("tags", [{50706: b"\1\4\0\0"}, {254: 1}], ids=["DNG", "a preview in front, as of NEF and ARW"])
def test_camera_raw_files_are_not_published_as_their_previews(tags: dict[int, Any]) -> None:
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in tags.items():
        directory[tag] = value
    failure = failure_of(encoded(quarters(), "TIFF", tiffinfo=directory))
    assert failure.failure_class == "not_an_image"
    assert "camera raw" in failure.message


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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")  # pytest undoes the filter of datagen.pictures.picture
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
