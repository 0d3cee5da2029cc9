"""The recipes run as they lie there, and `datagen init` makes them a user's own."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from datagen.cli import app
from datagen.errors import DatagenError
from datagen.recipe import Recipe
from datagen.recipe_file import load_recipe
from datagen.shipped_recipes import begun, shipped_recipes
from datagen.stages.step import check_names
from datagen.store.policies import read_policy
from tests.conftest import ROOT
from tests.without_ray import run_here

NAMES = ["ocr_dialogue", "photo_dialogue", "short_answers", "translated_dialogue", "visual_question_answering"]


def test_there_is_one_of_each_set_of_the_paper_and_of_the_mix() -> None:
    assert list(shipped_recipes()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_is_whole_as_it_lies_there_and_as_a_users_own(name: str, tmp_path: Path) -> None:
    shipped = load_recipe(shipped_recipes()[name])
    assert Path(shipped.source.path).exists()
    check_names(shipped, read_policy(shipped.policy))
    path = tmp_path / "own.yaml"
    path.write_text(begun(name), encoding="utf-8")
    own = load_recipe(path)
    assert not any(word in begun(name) for word in ("init:", "tiny", "stand_in", "stand-in", "../"))
    assert all(engine.model.startswith("Qwen/") and engine.weights is None for engine in own.engines.values())
    assert (own.stages, own.policy, own.mix, own.task) == (shipped.stages, shipped.policy, shipped.mix, shipped.task)


@pytest.mark.parametrize("name", NAMES)
def test_a_model_on_the_command_line_takes_the_place_of_all_that_stands_in(name: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(
        app,
        ["run", str(shipped_recipes()[name]), "--out", str(tmp_path / "out"), "--endpoint", "http://127.0.0.1:9/v1",
         "--model", "mine"],
    )  # fmt: skip
    assert isinstance(result.exception, DatagenError)
    assert "http://127.0.0.1:9/v1 does not answer" in str(result.exception)


def test_init_writes_a_file_and_overwrites_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "photo_dialogue" in CliRunner().invoke(app, ["init"]).output
    assert "datagen preview photo_dialogue.yaml" in CliRunner().invoke(app, ["init", "photo_dialogue"]).output
    (tmp_path / "photo_dialogue.yaml").write_text("mine", encoding="utf-8")
    again = CliRunner().invoke(app, ["init", "photo_dialogue"])
    assert "photo_dialogue.yaml is there already" in str(again.exception)
    assert (tmp_path / "photo_dialogue.yaml").read_text(encoding="utf-8") == "mine"
    unknown = CliRunner().invoke(app, ["init", "foto_dialogue"])
    assert "did you mean 'photo_dialogue'?" in str(unknown.exception)


def test_a_dialogue_of_a_caption_is_written_by_the_stand_in(tiny_server: Any, tmp_path: Path) -> None:
    recipe = load_recipe(
        ROOT / "examples" / "recipes" / "photo_dialogue.yaml",
        ["source.limit=4"],
        {"engines.vlm.endpoints": [tiny_server.url], "engines.vlm.model": tiny_server.model},
    )
    manifest = run_here(recipe, tmp_path / "out")
    assert manifest["counts"]["failed"] == 0
    assert manifest["counts"]["kept"] + manifest["counts"]["dropped"] == 4


def test_the_page_of_recipes_shows_a_mix_that_is_one(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    source = {"source": {"path": "."}, "engines": {"vlm": {"model": "m"}}}
    recipe = Recipe.model_validate({**source, **yaml.safe_load(block)})
    assert recipe.mix is not None
    assert recipe.mix.purposes == ("description", "counting")
    assert {f"{name}.yaml" for name in NAMES} == set(re.findall(r"examples/recipes/(\w+\.yaml)", page))
