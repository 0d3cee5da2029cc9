"""Colours: a picture that is made over keeps those of its profile, within what eight bits hold."""

import base64
import io

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageCms

from datagen.jicvqa.benchmark.pictures import _checked
from datagen.pictures import colours
from datagen.pictures.picture import Picture, prepare
from datagen.pictures.thumbnails import thumbnail
from tests.pictures import profiles
from tests.pictures.drawing import LIMITS, encoded, quarters, samples_of

SHRUNK = LIMITS.model_copy(update={"send_pixels": 48 * 48})
P3 = profiles.rgb_profile(profiles.DISPLAY_P3)
# Colours within sRGB, so that none is cut off: (200, 60, 60) in P3 is about (216, 43, 52) in sRGB.
PATCHES = np.array(
    [[200, 60, 60], [60, 160, 60], [70, 70, 180], [180, 160, 60], [128, 128, 128], [255, 255, 255], [200, 120, 160]],
    dtype=np.uint8,
)


@pytest.fixture(autouse=True)
def _no_profile_of_another_test() -> None:
    colours._built.cache_clear()


def flat(colour: npt.NDArray[np.uint8], mode: str = "RGB") -> Image.Image:
    return Image.new(mode, (96, 96), tuple(int(sample) for sample in np.atleast_1d(colour)))


def middle(picture: Picture) -> npt.NDArray[np.int16]:
    found: npt.NDArray[np.int16] = samples_of(picture)[20, 20]
    return found


def test_the_profiles_of_these_tests_are_what_they_say() -> None:
    """The reference is no better than its matrices: sRGB comes out of its own as it went in."""
    assert np.abs(profiles.srgb_of(PATCHES, profiles.SRGB) - PATCHES).max() < 0.01
    assert np.abs(profiles.srgb_of(PATCHES, profiles.DISPLAY_P3) - PATCHES).max() > 15


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("number", range(len(PATCHES)))
def test_a_picture_in_display_p3_that_is_shrunk_shows_its_colours_in_srgb(image_format: str, number: int) -> None:
    options = {"quality": 100, "subsampling": 0} if image_format == "JPEG" else {}
    options |= {"lossless": True} if image_format == "WEBP" else {}
    picture = prepare(encoded(flat(PATCHES[number]), image_format, icc_profile=P3, **options), SHRUNK)
    # JPEG rounds once more on the way in.
    within = 3 if image_format == "JPEG" else 2
    assert np.abs(middle(picture) - profiles.srgb_of(PATCHES[number], profiles.DISPLAY_P3)).max() <= within
    with Image.open(io.BytesIO(picture.data)) as image:
        assert "icc_profile" not in image.info


@pytest.mark.parametrize("why", ["orientation", "alpha", "palette", "16-bit", "format", "frames"])
def test_whatever_a_picture_is_made_over_for_its_colours_are_those_of_its_profile(why: str) -> None:
    image, image_format, options = flat(PATCHES[0]), "PNG", {}
    if why == "orientation":
        options["exif"] = Image.Exif()
        options["exif"][0x0112] = 6
    elif why == "alpha":
        image.putalpha(255)
    elif why == "palette":
        image, options = image.quantize(8), {"transparency": 7}
    elif why == "16-bit":
        image_format = "TIFF"
    elif why == "format":
        image_format = "AVIF"
        options["quality"] = 100
    else:
        options |= {"save_all": True, "append_images": [flat(PATCHES[1])]}
    picture = prepare(encoded(image, image_format, icc_profile=P3, **options), LIMITS)
    assert picture.suffix == ".jpg"
    assert np.abs(middle(picture) - profiles.srgb_of(PATCHES[0], profiles.DISPLAY_P3)).max() <= 3


def test_what_is_transparent_stays_white() -> None:
    image = flat(PATCHES[0]).convert("RGBA")
    image.putalpha(0)
    assert middle(prepare(encoded(image, "PNG", icc_profile=P3), LIMITS)).min() >= 254


@pytest.mark.parametrize("mode", ["L", "LA", "I;16"])
def test_a_grey_picture_with_a_grey_profile_keeps_its_tones(mode: str) -> None:
    for tone in (30, 90, 200):
        image = Image.new("L", (96, 96), tone).convert("LA" if mode == "LA" else "L")
        if mode == "I;16":
            image = Image.fromarray(np.full((96, 96), tone * 257, dtype=np.uint16))
        picture = prepare(encoded(image, "PNG", icc_profile=profiles.grey_profile(1.0)), SHRUNK)
        assert np.abs(middle(picture) - profiles.srgb_of_grey(np.array([tone], np.uint8), 1.0)).max() <= 2


@pytest.mark.parametrize(("black", "lightness"), [(0, 100), (51, 80), (128, 49.8), (204, 20), (255, 0)])
@pytest.mark.parametrize("image_format", ["JPEG", "TIFF"])
def test_a_cmyk_picture_is_converted_by_its_profile(image_format: str, black: int, lightness: float) -> None:
    """In this profile the ink K alone makes the lightness L* = 100 − K; without a profile K = 128 would be 127."""
    image = Image.new("CMYK", (96, 96), (0, 0, 0, black))
    options = {"quality": 100} if image_format == "JPEG" else {}
    picture = prepare(encoded(image, image_format, icc_profile=profiles.cmyk_profile(), **options), LIMITS)
    y = ((lightness + 16) / 116) ** 3 if lightness > 8 else lightness / 903.3
    wanted = 255 * (12.92 * y if y <= 0.0031308 else 1.055 * y ** (1 / 2.4) - 0.055)
    assert np.abs(middle(picture) - wanted).max() <= 3


def test_a_picture_that_passes_keeps_its_bytes_its_profile_and_its_hash() -> None:
    for image_format in ("JPEG", "PNG", "WEBP"):
        options = {"lossless": True} if image_format == "WEBP" else {}
        tagged = prepare(encoded(quarters(), image_format, icc_profile=P3, **options), LIMITS)
        plain = prepare(encoded(quarters(), image_format, **options), LIMITS)
        with Image.open(io.BytesIO(tagged.data)) as image:
            assert image.info["icc_profile"] == P3
        assert tagged.phash == plain.phash


@pytest.mark.parametrize(
    "srgb",
    [profiles.rgb_profile(profiles.SRGB), ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()],
    ids=["by hand", "of the library"],
)
def test_a_picture_in_srgb_is_made_over_to_the_same_bytes_with_and_without_its_profile(srgb: bytes) -> None:
    assert colours.to_srgb(srgb) is None
    tagged, plain = (prepare(encoded(quarters(), "PNG", icc_profile=profile), SHRUNK).data for profile in (srgb, None))
    assert tagged == plain


BLACK = profiles.rgb_profile(np.zeros((3, 3)))
UNUSABLE = {
    "nothing": b"",
    "garbage": b"garbage" * 100,
    "header alone": P3[:132],
    "all black": BLACK,
    "cut": P3[:-60],
    "too large": P3 + bytes(5 << 20),
    "device link": profiles.profile({b"A2B0": b"mft2" + bytes(60)}, kind=b"link"),
    "abstract": profiles.profile({b"A2B0": b"mft2" + bytes(60)}, kind=b"abst", connection=b"Lab "),
    "named colours": profiles.profile({b"ncl2": bytes(80)}, kind=b"nmcl"),
    "chains of curves": profiles.profile({b"D2B0": b"mpet" + bytes(60)}),
    "of grey": profiles.grey_profile(1.0),
    "of print": profiles.cmyk_profile(),
    "for seven inks": profiles.profile({b"A2B0": b"mft2" + bytes(60)}, space=b"7CLR", kind=b"prtr"),
}


@pytest.mark.parametrize("unusable", UNUSABLE.values(), ids=UNUSABLE)
def test_a_profile_of_no_use_is_ignored(unusable: bytes) -> None:
    tagged, plain = (
        prepare(encoded(quarters(), "TIFF", icc_profile=profile), SHRUNK).data for profile in (unusable, None)
    )
    assert tagged == plain


def test_the_thumbnails_of_pages_show_the_colours_of_a_picture_that_passed() -> None:
    url = thumbnail(encoded(flat(PATCHES[0]), "PNG", icc_profile=P3))
    with Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) as image:
        found = np.asarray(image.convert("RGB"), dtype=np.int16)[40, 40]
    assert np.abs(found - profiles.srgb_of(PATCHES[0], profiles.DISPLAY_P3)).max() <= 3


def test_the_thumbnails_of_jic_vqa_show_the_colours_of_a_picture_that_passed() -> None:
    _, small, _ = _checked(encoded(flat(PATCHES[0]), "PNG", icc_profile=P3))
    with Image.open(io.BytesIO(small)) as image:
        found = np.asarray(image.convert("RGB"), dtype=np.int16)[100, 100]
    assert np.abs(found - profiles.srgb_of(PATCHES[0], profiles.DISPLAY_P3)).max() <= 2
