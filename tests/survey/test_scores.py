"""A run that surveys first: what the policy drops by the whole set costs no call, and a looser one makes it later."""

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from PIL import ExifTags, Image, ImageOps

from datagen.errors import DatagenError
from datagen.recipe import Images, SourceSettings
from datagen.survey.fingerprints import make_fingerprints
from tests.conftest import FakeServer, MakeRecipe
from tests.killing import Killed, killed_after
from tests.pipeline.test_growing import asked
from tests.survey.test_measures import noise
from tests.without_ray import run_here, shard_digests


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Eight pictures, near copies of two, and a copy of one that a benchmark has."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(8):
        noise(seed=number).save(folder / f"{number}.png")
    noise(seed=2).resize((200, 150)).save(folder / "small 2.jpg", quality=60)
    (folder / "again 4.png").write_bytes((folder / "4.png").read_bytes())
    ImageOps.mirror(noise(seed=50)).save(folder / "mirrored.jpg", quality=70)
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 broken")
    return folder


@pytest.fixture
def fingerprints(tmp_path: Path) -> Path:
    folder = tmp_path / "benchmark"
    folder.mkdir()
    noise(seed=50).save(folder / "50.png")
    make_fingerprints(SourceSettings(path=str(folder)), Images(), "mine", tmp_path / "mine.fingerprints")
    return tmp_path / "mine.fingerprints"


@pytest.fixture
def policies(tmp_path: Path) -> dict[str, str]:
    bounds = {
        "both": [{"score": "duplicate", "at_most": 0}, {"score": "benchmark_overlap", "at_most": 0.84}],
        "overlap": [{"score": "benchmark_overlap", "at_most": 0.84}],
    }
    for name, rules in bounds.items():
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump({"name": name, "rules": rules}), encoding="utf-8")
    return {name: str(tmp_path / f"{name}.yaml") for name in bounds}


def rows(out: Path) -> dict[str, dict[str, Any]]:
    return {row["key"]: row for path in shard_digests(out) for row in pq.read_table(out / path).to_pylist()}


def test_duplicates_and_pictures_of_a_benchmark_make_no_call(
    photos: Path,
    fingerprints: Path,
    policies: dict[str, str],
    fake_server: FakeServer,
    make_recipe: MakeRecipe,
    tmp_path: Path,
) -> None:
    survey = {"duplicates": 6, "benchmarks": [str(fingerprints)]}
    recipe = make_recipe(photos, fake_server.endpoint, survey=survey, policy=policies["both"], output__part_rows=4)
    manifest = run_here(recipe, tmp_path / "out")
    found = rows(tmp_path / "out")
    dropped = {key: row for key, row in found.items() if row["state"] == "dropped"}
    assert manifest["counts"] == {"inputs": 12, "kept": 8, "dropped": 3, "failed": 1}
    assert all(not row["calls"] for row in dropped.values())
    assert asked(fake_server) == 8 * 3
    reasons = {key: row["findings"][0]["evidence"] for key, row in dropped.items()}
    assert "mine: 50.png, by mirrored" in reasons.pop("mirrored.jpg")
    pairs = [{"2.png", "small 2.jpg"}, {"4.png", "again 4.png"}]
    for key, reason in reasons.items():
        (pair,) = [pair for pair in pairs if key in pair]
        (other,) = pair - {key}
        assert reason.endswith(other)
    assert {score["name"] for row in found.values() for score in row["scores"]} == {"duplicate", "benchmark_overlap"}
    run_here(recipe.model_copy(update={"policy": policies["overlap"]}), tmp_path / "out")
    assert asked(fake_server) == 10 * 3  # the two duplicates alone
    assert Counter(row["state"] for row in rows(tmp_path / "out").values())["kept"] == 10


def test_a_survey_that_was_killed_goes_on_and_ends_in_the_same_bytes(
    photos: Path, policies: dict[str, str], fake_server: FakeServer, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    from datagen.survey import survey as surveying

    (tmp_path / "duplicates.yaml").write_text(
        yaml.safe_dump({"name": "d", "rules": [{"score": "duplicate", "at_most": 0}]}), encoding="utf-8"
    )
    policy = str(tmp_path / "duplicates.yaml")
    recipe = make_recipe(photos, fake_server.endpoint, survey={"duplicates": 6}, policy=policy, output__part_rows=4)
    run_here(recipe, tmp_path / "expected")
    with pytest.raises(Killed), killed_after(1, [surveying], "write_part"):
        run_here(recipe, tmp_path / "out")
    run_here(recipe, tmp_path / "out")
    assert shard_digests(tmp_path / "out") == shard_digests(tmp_path / "expected")


def test_photographs_taken_elsewhere_make_no_call_and_those_that_do_not_say_pass(
    fake_server: FakeServer, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    folder = tmp_path / "travel"
    folder.mkdir()
    for name, place in {"tokyo": (35.66, 139.75), "paris": (48.86, 2.29), "unknown": None}.items():
        exif = Image.Exif()
        if place:
            north, east = ((float(int(value)), (value % 1) * 60, 0.0) for value in place)
            exif.get_ifd(ExifTags.IFD.GPSInfo).update({1: "N", 2: north, 3: "E", 4: east})
        noise(seed=len(name)).save(folder / f"{name}.jpg", exif=exif)
    policy = tmp_path / "japan.yaml"
    policy.write_text(yaml.safe_dump({"name": "japan", "rules": [{"score": "in_japan", "at_least": 1}]}))
    recipe = make_recipe(folder, fake_server.endpoint, survey={"places": True}, policy=str(policy))
    run_here(recipe, tmp_path / "out")
    found = rows(tmp_path / "out")
    assert {key: row["state"] for key, row in found.items()} == {
        "tokyo.jpg": "kept", "paris.jpg": "dropped", "unknown.jpg": "kept"
    }  # fmt: skip
    assert not found["paris.jpg"]["calls"]
    assert found["paris.jpg"]["findings"][0]["evidence"].startswith("in_japan 0, at least 1 is asked: FR, ")
    assert not found["unknown.jpg"]["scores"]


def test_the_coordinates_of_a_table_come_before_those_of_the_camera(
    fake_server: FakeServer, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.GPSInfo).update({1: "N", 2: (48.0, 51.0, 0.0), 3: "E", 4: (2.0, 17.0, 0.0)})
    for number in range(4):
        noise(seed=number).save(tmp_path / f"{number}.jpg", exif=exif if number < 3 else Image.Exif())
    places = ["35.66,139.75", ",", "north,2000", "0,0"]
    lines = [f"{number}.jpg,{place}" for number, place in enumerate(places)]
    (tmp_path / "photos.csv").write_text("\n".join(["path,latitude,longitude", *lines]), encoding="utf-8")
    policy = tmp_path / "japan.yaml"
    policy.write_text(yaml.safe_dump({"name": "japan", "rules": [{"score": "in_japan", "at_least": 1}]}))
    recipe = make_recipe(tmp_path / "photos.csv", fake_server.endpoint, survey={"places": True}, policy=str(policy))
    run_here(recipe, tmp_path / "out")
    assert {key: row["state"] for key, row in rows(tmp_path / "out").items()} == {
        "0.jpg": "kept",  # Paris by the camera, and Tokyo by the table
        "1.jpg": "dropped",
        "2.jpg": "dropped",
        "3.jpg": "kept",  # neither says where
    }


def test_other_fingerprints_are_another_run(
    photos: Path,
    fingerprints: Path,
    policies: dict[str, str],
    fake_server: FakeServer,
    make_recipe: MakeRecipe,
    tmp_path: Path,
) -> None:
    def recipe(**changes: Any) -> Any:
        return make_recipe(
            photos,
            fake_server.endpoint,
            survey={"benchmarks": [str(fingerprints)]},
            policy=policies["overlap"],
            **changes,
        )

    run_here(recipe(), tmp_path / "out")
    other = tmp_path / "other"
    other.mkdir()
    noise(seed=51).save(other / "51.png")
    make_fingerprints(SourceSettings(path=str(other)), Images(), "mine", fingerprints)
    with pytest.raises(DatagenError, match=r"survey\.benchmarks\.0 was"):
        run_here(recipe(), tmp_path / "out")


def test_a_policy_that_asks_for_what_no_survey_finds_is_refused(
    photos: Path, policies: dict[str, str], fake_server: FakeServer, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    with pytest.raises(DatagenError, match="asks for the score"):
        run_here(make_recipe(photos, fake_server.endpoint, policy=policies["both"]), tmp_path / "out")
    only = make_recipe(photos, fake_server.endpoint, policy=policies["both"], survey={"duplicates": 6})
    with pytest.raises(DatagenError, match="asks for the score benchmark_overlap"):
        run_here(only, tmp_path / "out")
    with pytest.raises(DatagenError, match="it looks for nothing"):
        make_recipe(photos, fake_server.endpoint, survey={})
