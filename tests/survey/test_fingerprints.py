"""A benchmark's pictures are found in a set by id, file and look, and nothing else is."""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageOps
from rich.console import Console
from typer.testing import CliRunner

from benchmarks.overlap import ALTERATIONS, found, pictures_of, references_of
from datagen.cli import app
from datagen.errors import DatagenError
from datagen.recipe import Images, SourceSettings
from datagen.survey.features import INLIERS, FeatureIndex, features_of
from datagen.survey.fingerprints import make_fingerprints
from datagen.survey.overlaps import NEAR, find_overlaps, nearest, read_fingerprints
from datagen.survey.survey import survey
from datagen.survey.windows import windows
from tests.survey.test_measures import noise
from tests.without_ray import without_ray

PICTURES = 12
FREE_CROPS = [name for name in ALTERATIONS if "anywhere" in name]


@pytest.fixture(scope="module")
def pictures() -> list[Image.Image]:
    return [noise(480, 360, seed=100 + number) for number in range(2 * PICTURES)]


@pytest.mark.parametrize("name", [name for name in ALTERATIONS if name not in FREE_CROPS])
def test_an_altered_copy_is_found_and_an_unrelated_picture_is_not(name: str, pictures: list[Image.Image]) -> None:
    references = references_of(pictures[:PICTURES])
    for number, image in enumerate(pictures):
        place, away = found(ALTERATIONS[name](image), references)
        if number < PICTURES:
            assert (place, away <= NEAR) == (number, True), (number, away)
        else:
            assert away > NEAR


def test_the_nearest_reference_is_that_of_comparing_one_by_one() -> None:
    draw = np.random.default_rng(3)
    references = draw.integers(0, 2**64, 70_000, np.uint64)
    queries = references[draw.integers(0, 70_000, 80)] ^ np.uint64(5)
    places, distances = nearest(queries, references)
    for query, place, away in zip(queries, places, distances, strict=True):
        assert away == int(np.bitwise_count(references ^ query).min()) == int(references[place] ^ query).bit_count()


def test_every_window_has_its_name_once() -> None:
    names = [name for name, _ in windows(Image.new("L", (40, 30)))]
    assert len(set(names)) == len(names) == 28


@pytest.fixture
def benchmark(tmp_path: Path, pictures: list[Image.Image]) -> Path:
    folder = tmp_path / "benchmark"
    folder.mkdir()
    for number, image in enumerate(pictures[:4]):
        image.save(folder / f"{52345678900 + number}.png")
    return folder


def test_pictures_are_known_by_id_by_file_and_by_look(
    benchmark: Path, pictures: list[Image.Image], tmp_path: Path, quiet: Console
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    pictures[9].save(source / "52345678900_0123456789_b.jpg")  # another look, the photo's id: an edit of it, perhaps
    shutil.copy(benchmark / "52345678901.png", source / "renamed.png")
    ImageOps.mirror(pictures[2]).save(source / "mirrored.jpg", quality=60)
    pictures[3].resize((200, 150)).save(source / "small.jpg")
    pictures[10].save(source / "other.png")
    (source / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    fingerprints = tmp_path / "benchmark.fingerprints"
    assert make_fingerprints(SourceSettings(path=str(benchmark)), Images(), "mine", fingerprints).pictures == 4
    with without_ray():
        directory = survey(SourceSettings(path=str(source)), Images(), tmp_path / "out", quiet)
    assert find_overlaps(directory.table, read_fingerprints([fingerprints]), directory.overlaps) == 4
    rows = {row["key"]: row for row in pq.read_table(directory.overlaps).to_pylist()}
    assert {key: (row["reference"], row["by"]) for key, row in rows.items()} == {
        "52345678900_0123456789_b.jpg": ("52345678900.png", "photo id"),
        "renamed.png": ("52345678901.png", "file"),
        "mirrored.jpg": ("52345678902.png", "mirrored"),
        "small.jpg": ("52345678903.png", "whole"),
    }


def test_a_file_of_fingerprints_holds_no_picture_and_is_small(benchmark: Path, tmp_path: Path) -> None:
    file = tmp_path / "benchmark.fingerprints"
    make_fingerprints(SourceSettings(path=str(benchmark)), Images(), "mine", file)
    assert file.stat().st_size < 20_000
    (first, *_) = pq.read_table(file).to_pylist()
    assert first.keys() == {"benchmark", "key", "photo", "sha256", "windows", "gradients", "features", "questions"}
    assert first["sha256"] == hashlib.sha256((benchmark / first["key"]).read_bytes()).hexdigest()


def test_the_commands_go_together(benchmark: Path, tmp_path: Path) -> None:
    file = tmp_path / "heron.fingerprints"
    with without_ray():
        made = CliRunner().invoke(app, ["fingerprint", str(benchmark), "--out", str(file)])
        told = CliRunner().invoke(
            app, ["survey", str(benchmark), "--out", str(tmp_path / "out"), "--against", str(file)]
        )
    assert "4 pictures and 0 questions in" in made.output
    assert "4 pictures are in a benchmark, of 4" in " ".join(told.output.split())
    rows = pq.read_table(tmp_path / "out" / "overlaps.parquet").to_pylist()
    assert {row["benchmark"] for row in rows} == {"heron"}


def test_a_file_that_holds_no_fingerprints_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatagenError, match="There is no file of fingerprints"):
        read_fingerprints([tmp_path / "none.fingerprints"])
    (tmp_path / "text").write_text("no")
    with pytest.raises(DatagenError, match="datagen fingerprint has written"):
        read_fingerprints([tmp_path / "text"])


@pytest.fixture(scope="module")
def photographs() -> list[Image.Image]:
    """Pictures with corners; those of noise have few."""
    return [image for _, image in zip(range(10), pictures_of(None), strict=False)]


@pytest.mark.parametrize("name", [*FREE_CROPS, "mirrored", "centre, 27 % less", "grey"])
def test_a_crop_from_anywhere_is_known_by_its_features(name: str, photographs: list[Image.Image]) -> None:
    inside = photographs[:5]
    index = FeatureIndex(
        [(number, features_of(each)) for number, image in enumerate(inside) for each in (image, ImageOps.mirror(image))]
    )
    for number, image in enumerate(photographs):
        owner, agreeing = index.match(features_of(ALTERATIONS[name](image)))
        if number < len(inside):
            assert (owner, agreeing >= INLIERS) == (number, True), (number, owner, agreeing)
        else:
            assert agreeing < INLIERS


def test_a_set_is_searched_for_crops_where_fingerprints_have_features(
    photographs: list[Image.Image], tmp_path: Path
) -> None:
    source, benchmark = tmp_path / "source", tmp_path / "benchmark"
    source.mkdir()
    benchmark.mkdir()
    for number, image in enumerate(photographs[:3]):
        image.save(benchmark / f"{number}.jpg", quality=90)
    ALTERATIONS[FREE_CROPS[1]](photographs[2]).save(source / "crop.jpg", quality=80)
    photographs[8].save(source / "other.jpg")
    (source / "broken.jpg").write_bytes(b"no picture")
    file = tmp_path / "heron.fingerprints"
    with without_ray():
        CliRunner().invoke(app, ["fingerprint", str(benchmark), "--out", str(file), "--features"])
        arguments = ["survey", str(source), "--out", str(tmp_path / "out"), "--against", str(file)]
        told = CliRunner().invoke(app, arguments)
    assert "1 pictures are in a benchmark, of 3" in " ".join(told.output.split())
    (row,) = pq.read_table(tmp_path / "out" / "overlaps.parquet").to_pylist()
    assert (row["key"], row["reference"], row["by"]) == ("crop.jpg", "2.jpg", "a crop")
