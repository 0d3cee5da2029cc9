"""Engines that work one after the other: the same rows, nothing paid twice, and one engine's GPUs for all of them."""

import io
from pathlib import Path
from typing import Any

import pytest

from datagen.engines import openai
from datagen.errors import DatagenError
from datagen.pipeline.phases import phases
from datagen.recipe import Recipe
from tests.conftest import FakeServer, MakeRecipe, write_pictures
from tests.without_ray import run_here, shard_digests, states

IMAGES = 24


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = write_pictures(tmp_path / "pictures", IMAGES)
    (folder / "broken.jpg").write_bytes(b"<html>404</html>")
    return folder


def recipe_for(make_recipe: MakeRecipe, images: Path, server: FakeServer, **changes: Any) -> Recipe:
    engine = {"model": "fake-vlm", "endpoints": [server.endpoint]}
    stages = [
        {"prompt": "caption", "engine": "vlm"},
        {"prompt": "dialogue_from_caption", "engine": "llm"},
    ]
    usual = {"engines": {"vlm": engine, "llm": {**engine, "vision": False}}, "stages": stages, "workers": 1}
    return make_recipe(images, **{"engines__vlm__endpoints": [server.endpoint], **usual, **changes})


def test_consecutive_stages_of_one_engine_are_one_phase(
    make_recipe: MakeRecipe, images: Path, fake_server: FakeServer
) -> None:
    both = recipe_for(make_recipe, images, fake_server)
    assert [phase.engines for phase in phases(both, Path("parts"))] == [("vlm", "llm")]
    first, last = phases(both.model_copy(update={"one_after_the_other": True}), Path("parts"))
    assert (first.engines, first.stages, first.parts) == (("vlm",), range(1), Path("parts/phase-1"))
    assert (last.engines, last.stages, last.parts, last.earlier) == (("llm",), range(1, 2), Path("parts"), first.parts)


def test_the_rows_are_those_of_engines_that_work_side_by_side(
    make_recipe: MakeRecipe, images: Path, fake_server: FakeServer, tmp_path: Path
) -> None:
    manifest = run_here(recipe_for(make_recipe, images, fake_server), tmp_path / "side_by_side")
    said = io.StringIO()
    run_here(recipe_for(make_recipe, images, fake_server, one_after_the_other=True), tmp_path / "out", said=said)
    assert shard_digests(tmp_path / "out") == shard_digests(tmp_path / "side_by_side")
    assert manifest["counts"]["inputs"] == IMAGES + 1
    assert set(fake_server.statistics()["by_seed"].values()) == {2}
    assert "The engine vlm works first" in said.getvalue()
    assert not list((tmp_path / "out" / "parts").glob("phase-*"))


@pytest.mark.parametrize("calls", [10, IMAGES, IMAGES + 10])
def test_a_run_that_stops_in_any_phase_goes_on_and_pays_nothing_twice(
    calls: int,
    make_recipe: MakeRecipe,
    images: Path,
    fake_server: FakeServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe = recipe_for(make_recipe, images, fake_server, one_after_the_other=True, in_flight=1)
    made = 0
    complete = openai.ChatClient.complete

    async def until(*arguments: Any, **options: Any) -> Any:
        nonlocal made
        made += 1
        if made > calls:
            raise DatagenError("the power went")
        return await complete(*arguments, **options)

    monkeypatch.setattr(openai.ChatClient, "complete", until)
    with pytest.raises(DatagenError, match="the power went"):
        run_here(recipe, tmp_path / "out")
    monkeypatch.setattr(openai.ChatClient, "complete", complete)
    run_here(recipe, tmp_path / "out")
    assert set(fake_server.statistics()["by_seed"].values()) == {1}
    run_here(recipe.model_copy(update={"one_after_the_other": False}), tmp_path / "undisturbed")
    assert shard_digests(tmp_path / "out") == shard_digests(tmp_path / "undisturbed")


def test_rows_that_failed_in_either_phase_are_tried_again(
    make_recipe: MakeRecipe, images: Path, fake_server: FakeServer, tmp_path: Path
) -> None:
    recipe = recipe_for(make_recipe, images, fake_server, one_after_the_other=True)
    fake_server.fail({"kind": "status", "status": 400, "share": 0.3})
    failed = run_here(recipe, tmp_path / "out")["counts"]["failed"]
    assert failed > 3
    fake_server.fail()
    assert run_here(recipe, tmp_path / "out", retry_failed=True)["counts"]["failed"] == 1
    assert len(states(tmp_path / "out")) == IMAGES + 1
    run_here(recipe, tmp_path / "undisturbed")
    assert shard_digests(tmp_path / "out") == shard_digests(tmp_path / "undisturbed")


def test_a_row_that_a_check_drops_reaches_neither_engine_until_a_policy_lets_it_pass(
    make_recipe: MakeRecipe, images: Path, fake_server: FakeServer, tmp_path: Path
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("rules: [{score: short_side, at_least: 1000}]", encoding="utf-8")
    recipe = recipe_for(
        make_recipe, images, fake_server, one_after_the_other=True, checks=["short_side"], policy=str(policy)
    )
    assert run_here(recipe, tmp_path / "out")["counts"]["dropped"] == IMAGES
    assert fake_server.statistics()["requests"] == 0
    passing = recipe.model_copy(update={"policy": "standard"})
    assert run_here(passing, tmp_path / "out")["counts"]["failed"] == 1
    assert fake_server.statistics()["requests"] == 2 * IMAGES
