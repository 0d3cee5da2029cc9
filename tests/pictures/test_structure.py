"""Whether a file is whole is told without decoding it, and no file that is cut short passes."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from datagen.failures import Failure
from datagen.pictures import picture as picture_module
from datagen.pictures.picture import prepare
from datagen.pictures.structure import is_whole
from datagen.recipe import Images
from tests.pictures.drawing import encoded, noise

LIMITS = Images()
FILES = {
    "JPEG": encoded(noise(1, (320, 240)), "JPEG"),
    "progressive JPEG": encoded(noise(2, (320, 240)), "JPEG", progressive=True),
    "JPEG with a thumbnail": b"",
    "PNG": encoded(noise(3, (120, 90)), "PNG"),
    "WEBP": encoded(noise(4, (320, 240)), "WEBP"),
    "lossless WEBP": encoded(noise(5, (120, 90)), "WEBP", lossless=True),
}
_THUMBNAIL = encoded(noise(6, (64, 48)), "JPEG")
FILES["JPEG with a thumbnail"] = (
    FILES["JPEG"][:2] + b"\xff\xe1" + (len(_THUMBNAIL) + 2).to_bytes(2, "big") + _THUMBNAIL + FILES["JPEG"][2:]
)


def format_of(name: str) -> str:
    return name.split()[-1] if "thumbnail" not in name else "JPEG"


@pytest.mark.parametrize("name", FILES)
def test_a_whole_file_is_not_decoded(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = FILES[name]
    with Image.open(io.BytesIO(data)) as image:
        assert is_whole(data, str(image.format))
        kind = type(image)
    monkeypatch.setattr(kind, "load", lambda *_: pytest.fail("it was decoded"))
    assert prepare(data, LIMITS).data == data
    assert prepare(data + b"a comment behind its end", LIMITS).data.startswith(data)


@given(st.sampled_from(sorted(FILES)), st.floats(0.05, 0.999))
def test_no_file_that_is_cut_short_is_whole(name: str, share: float) -> None:
    data = FILES[name]
    assert not is_whole(data[: int(len(data) * share)], format_of(name))


@given(st.sampled_from(["PNG"]), st.integers(8, len(FILES["PNG"]) - 1), st.integers(1, 255))
def test_no_changed_byte_of_a_png_passes(name: str, offset: int, change: int) -> None:
    data = bytearray(FILES[name])
    data[offset] ^= change
    assert not is_whole(bytes(data), "PNG")


@given(st.sampled_from(["JPEG", "PNG", "WEBP", "GIF"]), st.binary(max_size=200))
def test_noise_is_never_an_error(image_format: str, noise: bytes) -> None:
    for start in (b"", b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"RIFF\x10\x00\x00\x00WEBP"):
        assert is_whole(start + noise, image_format) in (True, False)


def test_what_the_structure_leaves_in_doubt_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_module, "is_whole", lambda *_: False)
    assert prepare(FILES["JPEG"], LIMITS).data == FILES["JPEG"]
    with pytest.raises(Failure, match="truncated"):
        prepare(FILES["JPEG"][:-2000], LIMITS)


def test_a_hash_is_there_where_it_is_asked_for() -> None:
    assert prepare(FILES["JPEG"], LIMITS).phash == ""
    assert len(prepare(FILES["JPEG"], Images(phash=True)).phash) == 16
