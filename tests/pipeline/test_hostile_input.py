"""Whatever comes in, an image ends as a picture or as a `Failure`: no other exception, and no file opened."""

import asyncio
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from datagen.failures import FAILURE_CLASSES, Failure
from datagen.pictures.picture import Picture, prepare
from datagen.recipe import Images, SourceSettings
from datagen.records import PART_SCHEMA, ErrorRecord, PartRow
from datagen.sources import open_source
from datagen.store.index import Index, write_index
from tests.pictures import profiles

LIMITS = Images(max_bytes=100_000, max_pixels=1_000_000, min_side=1, send_pixels=1500, phash=True)
PICTURE_FAILURES = {"not_an_image", "corrupt_image", "too_large", "too_small"}

_SAMPLES = np.random.default_rng(7).integers(0, 255, (40, 56, 3), dtype=np.uint8)


def _encodings() -> list[bytes]:
    image = Image.fromarray(_SAMPLES)
    exif = Image.Exif()
    exif[0x0112] = 6
    second = [image.rotate(180)]
    alpha = image.convert("RGBA")
    alpha.putalpha(image.convert("L"))
    wide = Image.fromarray(_SAMPLES[:, :, 0].astype(np.uint16) * 257)
    floating = Image.fromarray(_SAMPLES[:, :, 0].astype(np.float32))
    made: list[tuple[Image.Image, str, dict[str, Any]]] = [
        (image, "JPEG", {"exif": exif, "icc_profile": b"profile" * 20}),
        (image, "JPEG", {"progressive": True, "quality": 40}),
        (image.convert("CMYK"), "JPEG", {}),
        (image, "MPO", {"save_all": True, "append_images": second}),
        (image, "PNG", {"exif": exif}),
        (image.quantize(16), "PNG", {"transparency": 3}),
        (image, "PNG", {"save_all": True, "append_images": second}),
        (wide, "PNG", {}),
        (alpha, "WEBP", {"exif": exif}),
        (image, "WEBP", {"save_all": True, "append_images": second}),
        (image, "GIF", {"save_all": True, "append_images": second, "comment": b"comment"}),
        (image, "BMP", {}),
        (image, "TIFF", {"compression": "tiff_lzw"}),
        (image, "TIFF", {"compression": "jpeg"}),
        (floating, "TIFF", {}),
        (wide, "TIFF", {}),
        (image, "AVIF", {"exif": exif}),
        (image, "JPEG2000", {}),
        (image, "PPM", {}),
    ]
    encodings = []
    for picture, image_format, options in made:
        file = io.BytesIO()
        picture.save(file, image_format, **options)
        encodings.append(file.getvalue())
    return encodings


ENCODINGS = _encodings()


@st.composite
def mutated_pictures(draw: st.DrawFn) -> bytes:
    """A valid file with bytes changed, cut out, doubled or lost; most changes fall on its head, where the sizes are."""
    data = bytearray(draw(st.sampled_from(ENCODINGS)))
    for _ in range(draw(st.integers(1, 6))):
        if not data:
            break
        place = draw(st.one_of(st.integers(0, min(len(data) - 1, 120)), st.integers(0, len(data) - 1)))
        change = draw(st.sampled_from(["byte", "bytes", "cut", "double", "end"]))
        if change == "byte":
            data[place] = draw(st.sampled_from([0, 1, 127, 128, 255]) | st.integers(0, 255))
        elif change == "bytes":
            data[place : place + 4] = draw(st.binary(min_size=4, max_size=4))
        elif change == "cut":
            del data[place : place + draw(st.integers(1, 40))]
        elif change == "double":
            data[place:place] = data[place : place + draw(st.integers(1, 200))]
        else:
            del data[place:]
    return bytes(data)


def assert_ends_well(data: bytes) -> None:
    try:
        picture = prepare(data, LIMITS)
    except Failure as failure:
        assert failure.failure_class in PICTURE_FAILURES  # noqa: PT017 (both ends are right)
        assert failure.message.encode("utf-8")  # noqa: PT017
        return
    with Image.open(io.BytesIO(picture.data)) as image:
        image.load()
        assert image.size == (picture.width, picture.height)
    assert len(picture.phash) == 16


quick = settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


@pytest.mark.filterwarnings(
    "ignore"
)  # pytest undoes the filter of datagen.pictures.picture; see test_images for what is printed
@quick
@given(mutated_pictures())
def test_mutated_pictures_end_as_picture_or_failure(data: bytes) -> None:
    assert_ends_well(data)


@pytest.mark.filterwarnings("ignore")
@quick
@given(
    st.sampled_from([encoding[:length] for encoding in ENCODINGS for length in (0, 4, 12, 30)]), st.binary(max_size=300)
)
def test_noise_behind_a_good_beginning_ends_as_picture_or_failure(head: bytes, tail: bytes) -> None:
    assert_ends_well(head + tail)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_encoding_is_read_and_cut_at_any_place_ends_well(encoding: bytes) -> None:
    assert isinstance(prepare(encoding, LIMITS), Picture)
    for end in range(0, len(encoding), max(1, len(encoding) // 60)):
        assert_ends_well(encoding[:end])


PROFILES = [
    profiles.rgb_profile(profiles.DISPLAY_P3),
    profiles.rgb_profile(profiles.DISPLAY_P3, profiles.gamma_curve(1.8)),
    profiles.grey_profile(1.8),
    profiles.cmyk_profile(),
]


@st.composite
def mutated_profiles(draw: st.DrawFn) -> bytes:
    """A valid profile with bytes changed, its table of tags above all, cut short or with noise behind."""
    data = bytearray(draw(st.sampled_from(PROFILES)))
    for _ in range(draw(st.integers(1, 8))):
        place = draw(st.one_of(st.integers(12, 24), st.integers(128, 260), st.integers(0, len(data) - 4)))
        place = min(place, len(data) - 4)
        data[place : place + 4] = draw(
            st.sampled_from(
                [bytes(4), b"\xff" * 4, b"\x7f\xff\xff\xff", b"\0\0\0\1", b"mft1", b"mAB ", b"curv", b"para"]
            )
            | st.binary(min_size=4, max_size=4)
        )
    end = draw(st.integers(130, len(data)) | st.just(len(data)))
    return bytes(data[:end]) + draw(st.binary(max_size=300))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@quick
@given(mutated_profiles(), st.sampled_from(["RGB", "L", "CMYK"]))
def test_no_profile_loses_a_picture(profile: bytes, mode: str) -> None:
    file = io.BytesIO()
    Image.fromarray(_SAMPLES).convert(mode).save(file, "TIFF", icc_profile=profile)
    picture = prepare(file.getvalue(), LIMITS)
    assert (picture.suffix, len(picture.phash)) == (".jpg", 16)


_opened: list[str] | None = None


def _note_opened(event: str, arguments: tuple[Any, ...]) -> None:
    if _opened is not None and event in ("open", "os.open", "subprocess.Popen", "socket.connect"):
        _opened.append(f"{event} {arguments[0]!r}")


sys.addaudithook(_note_opened)


@contextmanager
def opened() -> Iterator[list[str]]:
    """Note every file, program and connection that is opened inside."""
    global _opened
    found: list[str] = []
    _opened = found
    try:
        yield found
    finally:
        _opened = None


@pytest.mark.filterwarnings("ignore")
def test_no_picture_opens_a_file_or_starts_a_program(tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(ENCODINGS[4])
    with opened() as found:
        secret.read_bytes()
    assert found  # the watch sees what is opened

    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(" + bytes(secret) + b") run\n"
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file://' + bytes(secret) + b'"/></svg>'
    Image.init()  # decoders are modules, and loading one opens its file
    for encoding in ENCODINGS:
        prepare(encoding, LIMITS)
    with opened() as found:
        for data in (postscript, svg, *ENCODINGS, *(encoding[:-40] for encoding in ENCODINGS)):
            assert_ends_well(data)
    assert found == []


def test_every_file_of_a_hostile_folder_ends_in_a_row_that_can_be_stored(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    names = [
        b"-rf.jpg",
        b"new\nline.jpg",
        b"\xff\xfe.png",
        b" .webp",
        "絵文字🌸.gif".encode(),
        b"%s{}$(id).tif",
        b"x" * 251 + b".jpg",
    ]
    contents = [ENCODINGS[0], ENCODINGS[4], b"", b"<html>", ENCODINGS[8][:50], b"\xed\xa0\x80" * 50, bytes(200_000)]
    for name, content in zip(names, contents, strict=True):
        Path(bytes(folder).decode(errors="surrogateescape"), name.decode(errors="surrogateescape")).write_bytes(content)
    source = open_source(SourceSettings(path=str(folder)), LIMITS.max_bytes)
    write_index(source, tmp_path / "index.parquet", part_rows=3)
    index = Index(tmp_path / "index.parquet")
    rows = []
    for number in range(index.parts):
        for listed in index.part(number):
            error = None
            try:
                prepare(asyncio.run(source.read(listed.entry)).pictures[0], LIMITS)
            except Failure as failure:
                assert failure.failure_class in FAILURE_CLASSES  # noqa: PT017
                error = ErrorRecord(class_=failure.failure_class, message=failure.message)
            state: Any = "failed" if error else "kept"
            rows.append(
                PartRow(
                    id=listed.id,
                    key=listed.entry.key,
                    source="s",
                    task="t",
                    state=state,
                    error=error,
                    position=listed.position,
                )
            )
    assert len({row.id for row in rows}) == len(names)
    assert sum(row.state == "kept" for row in rows) == 2
    table = pa.Table.from_pylist([row.model_dump(by_alias=True) for row in rows], schema=PART_SCHEMA)
    assert table.num_rows == len(names)
    for row in rows:
        assert PartRow.model_validate(orjson.loads(row.model_dump_json(by_alias=True))) == row
