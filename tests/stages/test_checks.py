"""Checks measure before the first call, the policy alone decides, and what it drops costs nothing until it passes."""

import io
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageFilter

from datagen.errors import DatagenError
from datagen.inspection.recutting import recut
from datagen.pictures.picture import prepare
from datagen.recipe import Images
from datagen.stages.checks import sharpness, short_side
from filters import load_policy
from tests.conftest import FakeServer, MakeRecipe, picture
from tests.without_ray import run_here, shard_digests, without_ray

CALLS_AN_IMAGE = 3


def encoded(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def policy_file(folder: Path, at_least: float) -> str:
    path = folder / f"sharp_{at_least}.yaml"
    path.write_text(
        f"name: sharp\nrules:\n  - rule: question_in_answer\n  - {{score: sharpness, at_least: {at_least}}}\n",
        encoding="utf-8",
    )
    return str(path)


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Six sharp pictures, and four of one colour."""
    folder = tmp_path / "mixed"
    folder.mkdir()
    for number in range(10):
        flat = Image.new("RGB", (64, 64), (number, 20, 30))
        data = encoded(flat) if number >= 6 else encoded(Image.effect_noise((64, 64), 90).convert("RGB"))
        (folder / f"{number}.png").write_bytes(data)
    return folder


def rows_of(out: Path) -> dict[str, dict[str, Any]]:
    shards = [path for folder in ("train", "dropped", "failed") for path in (out / folder).glob("*.parquet")]
    return {row["key"]: row for path in shards for row in pq.read_table(path).to_pylist()}


@pytest.mark.slow
def test_blur_lowers_the_sharpness_and_one_colour_has_none() -> None:
    sharp = Image.open(io.BytesIO(picture(1, (640, 480), "PNG")))
    noisy = Image.effect_noise((640, 480), 90)
    found = [
        sharpness.check(prepare(encoded(image.convert("RGB")), Images()))
        for image in (noisy, noisy.filter(ImageFilter.GaussianBlur(4)), Image.new("L", (640, 480), 7), sharp)
    ]
    assert found[0] > found[1] > found[2] == 0
    assert sharpness.check(prepare(encoded(noisy.resize((1280, 960)).convert("RGB")), Images())) < found[0]


def test_the_short_side_is_that_of_the_published_picture() -> None:
    assert short_side.check(prepare(picture(1, (96, 64)), Images())) == 64


def test_a_row_that_a_check_drops_makes_no_call_and_is_kept_with_its_picture_and_score(
    mixed: Path, fake_server: FakeServer, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    recipe = make_recipe(mixed, fake_server.endpoint, checks=["sharpness"], policy=policy_file(tmp_path, 40))
    counts = run_here(recipe, tmp_path / "out")["counts"]
    assert fake_server.statistics()["requests"] == 6 * CALLS_AN_IMAGE
    assert counts["dropped"] >= 4
    flat = [row for key, row in rows_of(tmp_path / "out").items() if key >= "6"]
    assert len(flat) == 4
    for row in flat:
        assert (row["state"], row["messages"], row["calls"]) == ("dropped", [], [])
        assert [score["name"] for score in row["scores"]] == ["sharpness"]
        assert len(row["images"]) == len(row["pictures"]) == 1
        assert [finding["rule"] for finding in row["findings"]] == ["sharpness"]
        assert row["findings"][0]["message"] is None


@pytest.mark.slow
def test_a_later_policy_that_lets_rows_pass_sends_only_those(
    mixed: Path, fake_server: FakeServer, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    strict, loose = policy_file(tmp_path, 40), policy_file(tmp_path, 0)
    recipe = make_recipe(mixed, fake_server.endpoint, checks=["sharpness"], policy=strict)
    run_here(recipe, tmp_path / "out")
    paid = fake_server.statistics()["requests"]
    said = io.StringIO()
    run_here(recipe.model_copy(update={"policy": loose}), tmp_path / "out", said=said)
    assert "4 images that a check had dropped pass now" in said.getvalue()
    assert fake_server.statistics()["requests"] == paid + 4 * CALLS_AN_IMAGE
    assert all(row["calls"] for row in rows_of(tmp_path / "out").values())
    run_here(recipe.model_copy(update={"policy": loose}), tmp_path / "fresh")
    assert shard_digests(tmp_path / "fresh") == shard_digests(tmp_path / "out")


@pytest.mark.slow
def test_another_threshold_on_a_finished_run_makes_no_call_and_the_shards_of_a_run_by_it(
    mixed: Path, fake_server: FakeServer, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    loose, strict = policy_file(tmp_path, 0), policy_file(tmp_path, 40)
    recipe = make_recipe(mixed, fake_server.endpoint, checks=["sharpness"], policy=loose)
    run_here(recipe, tmp_path / "out")
    paid = fake_server.statistics()["requests"]
    with without_ray():
        recut(tmp_path / "out", load_policy(strict), tmp_path / "recut")
    run_here(recipe.model_copy(update={"policy": strict}), tmp_path / "out")
    assert fake_server.statistics()["requests"] == paid
    assert shard_digests(tmp_path / "recut") == shard_digests(tmp_path / "out")


def test_rows_without_answers_stay_dropped_whatever_a_recut_lets_pass(
    mixed: Path, fake_server: FakeServer, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    recipe = make_recipe(mixed, fake_server.endpoint, checks=["sharpness"], policy=policy_file(tmp_path, 40))
    run_here(recipe, tmp_path / "out")
    with without_ray():
        recut(tmp_path / "out", load_policy(policy_file(tmp_path, 0)), tmp_path / "recut")
    flat = [row for key, row in rows_of(tmp_path / "recut").items() if key >= "6"]
    assert [row["state"] for row in flat] == ["dropped"] * 4
    assert {finding["rule"] for row in flat for finding in row["findings"]} == {"not_made"}


def test_a_check_of_ones_own_goes_by_its_dotted_name(
    mixed: Path,
    fake_server: FakeServer,
    make_recipe: MakeRecipe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "my_checks.py").write_text("def width(picture):\n    return picture.width\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    recipe = make_recipe(mixed, fake_server.endpoint, checks=["my_checks:width"], source__limit=1)
    run_here(recipe, tmp_path / "out")
    (row,) = rows_of(tmp_path / "out").values()
    assert [(score["name"], score["value"]) for score in row["scores"]] == [("my_checks:width", 64)]


def test_a_check_that_raises_fails_its_row_alone(
    mixed: Path,
    fake_server: FakeServer,
    make_recipe: MakeRecipe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "bad_checks.py").write_text(
        "def check(picture):\n    return 1 / (picture.width - 64)\n", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(tmp_path)
    (mixed / "0.png").write_bytes(picture(1, (90, 64), "PNG"))
    recipe = make_recipe(mixed, fake_server.endpoint, checks=["bad_checks:check"], source__limit=3)
    manifest = run_here(recipe, tmp_path / "out")
    assert manifest["failures"] == {"check_error": 2}
    assert "ZeroDivisionError" in rows_of(tmp_path / "out")["1.png"]["error"]["message"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"checks": ["sharpnes"]}, "did you mean 'sharpness'"),
        ({"checks": ["sharpness", "sharpness"]}, "stands there twice"),
        ({"checks": ["no.such:check"]}, "no.such"),
        ({}, "asks for the score sharpness, which nothing in the recipe makes"),
    ],
)
def test_names_that_stand_for_nothing_are_refused_before_anything_is_paid(
    mixed: Path,
    fake_server: FakeServer,
    make_recipe: MakeRecipe,
    tmp_path: Path,
    changes: dict[str, Any],
    words: str,
) -> None:
    with pytest.raises(DatagenError, match=words):
        run_here(
            make_recipe(mixed, fake_server.endpoint, policy=policy_file(tmp_path, 40), **changes), tmp_path / "out"
        )
    assert not (tmp_path / "out").exists()
    assert fake_server.statistics()["requests"] == 0
