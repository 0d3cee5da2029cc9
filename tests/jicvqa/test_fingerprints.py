"""A build says which pictures it has to whoever makes training data, without a picture being shown."""

import json
from pathlib import Path

import pyarrow.parquet as pq
from rich.console import Console
from typer.testing import CliRunner

from datagen.cli import app
from datagen.recipe import Images, SourceSettings
from datagen.survey.overlaps import find_overlaps, read_fingerprints
from datagen.survey.survey import survey
from tests.jicvqa.conftest import SMALL, command, picture, rows_of
from tests.survey.test_measures import noise
from tests.without_ray import without_ray


def test_a_survey_finds_the_pictures_of_a_build_by_photo_and_by_file(small_build: Path, tmp_path: Path) -> None:
    rows = rows_of(SMALL)
    source = tmp_path / "source"
    source.mkdir()
    noise(seed=5).save(source / f"{rows[0].id}_0123456789_b.jpg")  # an edit, by the photo's id alone
    (source / "renamed.jpg").write_bytes(picture(rows[1].number))
    noise(seed=6).save(source / "other.png")
    arguments = ["survey", source, "--out", tmp_path / "out", "--against", small_build / "jicvqa.fingerprints"]
    with without_ray():
        told = CliRunner().invoke(app, list(map(str, arguments)))
    assert "2 pictures are in a benchmark, of 48" in " ".join(told.output.split())
    found = {row["key"]: row for row in pq.read_table(tmp_path / "out" / "overlaps.parquet").to_pylist()}
    assert {row["benchmark"] for row in found.values()} == {"JIC-VQA"}
    assert {row["reference"]: row["by"] for row in found.values()} == {rows[0].id: "photo id", rows[1].id: "file"}


def test_the_file_stands_in_the_list_of_the_build_and_names_no_class(small_build: Path) -> None:
    assert "jicvqa.fingerprints" in json.loads((small_build / "build.json").read_text(encoding="utf-8"))["files"]
    rows = pq.read_table(small_build / "jicvqa.fingerprints").to_pylist()
    assert [row["key"] for row in rows] == [row["photo"] for row in rows]  # the ids of this table are Flickr's
    assert not any(name in str(rows) for names in SMALL.values() for name in names)


def test_pictures_that_are_named_by_their_bytes_keep_the_photo_of_their_file(
    distractors_file: Path, tmp_path: Path, quiet: Console
) -> None:
    for row in rows_of(SMALL):
        folder = tmp_path / "photos" / row.category
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{row.id}.jpg").write_bytes(picture(row.number))
    out = tmp_path / "build"
    made = command("build", "--images", tmp_path / "photos", "--distractors", distractors_file, "--out", out)
    assert made.code == 0, made.error
    references = read_fingerprints([out / "jicvqa.fingerprints"])
    assert set(references.photos) == {row.id for row in rows_of(SMALL)}
    assert not set(references.photos) & {key for _, key in references.names}
    with without_ray():
        directory = survey(SourceSettings(path=str(tmp_path / "photos")), Images(), tmp_path / "survey", quiet)
    assert find_overlaps(directory.table, references, directory.overlaps) == len(rows_of(SMALL))


def test_a_build_without_pictures_has_no_fingerprints(
    small_table: Path, distractors_file: Path, tmp_path: Path
) -> None:
    arguments = ("--images", small_table, "--distractors", distractors_file, "--out", tmp_path / "build")
    assert command("build", *arguments, "--without-pictures").code == 0
    assert not (tmp_path / "build" / "jicvqa.fingerprints").exists()
