"""A run that goes on is the run that was started: the same images, the same prompts, the same models."""

import io
import pickle
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from datagen.cli import app
from datagen.errors import DatagenError, NothingMadeError
from datagen.pipeline import making
from datagen.pipeline import run as pipeline
from tests.conftest import FakeServer, MakeRecipe, free_port, picture
from tests.without_ray import run_here, shard_digests, states, without_ray


def test_prompts_are_those_that_the_recipe_was_read_with(
    pictures: Path, fake_server: FakeServer, make_recipe: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = Path(__file__).parents[2] / "prompts" / "question_answer.yaml"
    prompt = tmp_path / "mine.yaml"
    prompt.write_text(shipped.read_text(encoding="utf-8"), encoding="utf-8")
    recipe = make_recipe(pictures, fake_server.endpoint, stages__1__prompt=str(prompt), source__limit=20)
    make_parts = making.make_parts_here

    def edited_meanwhile(*arguments: Any) -> Any:
        prompt.write_text("not a prompt at all", encoding="utf-8")
        return make_parts(*arguments)

    monkeypatch.setattr(making, "make_parts_here", edited_meanwhile)
    manifest = run_here(recipe, tmp_path / "out")
    digest = recipe.prompt(recipe.stages[1]).digest
    assert manifest["recipe"]["stages"][1]["prompt_digest"] == digest
    assert "internal" not in manifest["failures"]


def test_a_prompt_travels_with_the_recipe_to_other_processes(
    pictures: Path, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    recipe = make_recipe(pictures, "http://127.0.0.1:9/v1")
    prompt = recipe.prompt(recipe.stages[0])
    prompt.render(turn=1, focus="", caption="", turns=[])
    assert pickle.loads(pickle.dumps(recipe)).prompt(recipe.stages[0]) == prompt


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"engines__vlm__weights": "other/model"}, 'engines.vlm.weights was null, now "other/model"'),
        ({"engines__vlm__server__args": ["--dtype", "float16"]}, 'server_args was [], now ["--dtype","float16"]'),
    ],
)
def test_other_weights_or_server_arguments_are_another_run(
    change: dict[str, Any],
    told: str,
    pictures: Path,
    fake_server: FakeServer,
    make_recipe: MakeRecipe,
    tmp_path: Path,
) -> None:
    run_here(make_recipe(pictures, fake_server.endpoint, source__limit=3), tmp_path / "out")
    other = make_recipe(pictures, fake_server.endpoint, source__limit=3, **change)
    with pytest.raises(DatagenError) as refused:
        run_here(other, tmp_path / "out")
    assert told in str(refused.value)


def test_what_a_manifest_says_of_weights_is_no_path(
    pictures: Path, fake_server: FakeServer, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    folder = tmp_path / "weights" / "of-mine"
    folder.mkdir(parents=True)
    recipe = make_recipe(pictures, fake_server.endpoint, engines__vlm__weights=str(folder), source__limit=3)
    manifest = run_here(recipe, tmp_path / "out")
    assert manifest["recipe"]["engines"]["vlm"]["weights"] == "of-mine"
    assert str(tmp_path) not in (tmp_path / "out" / "manifest.json").read_text(encoding="utf-8")


def test_a_dead_endpoint_is_found_before_the_source_is_listed_or_an_old_run_thrown_away(
    pictures: Path, fake_server: FakeServer, make_recipe: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    dead = make_recipe(pictures, f"http://127.0.0.1:{free_port()}/v1", source__limit=3)
    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "_list", lambda *_: pytest.fail("the source was listed"))
        with pytest.raises(DatagenError, match="does not answer"):
            run_here(dead, out)
    assert not (out / "index.parquet").exists()
    run_here(make_recipe(pictures, fake_server.endpoint, source__limit=3), out)
    before = shard_digests(out)
    with pytest.raises(DatagenError, match="does not answer"):
        run_here(dead, out, fresh=True)
    assert shard_digests(out) == before
    run_here(dead, out)  # all is done, and nobody need be asked


def test_a_run_that_goes_on_says_that_new_images_are_not_in_it(
    pictures: Path, fake_server: FakeServer, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    recipe = make_recipe(pictures, fake_server.endpoint)
    first, second = io.StringIO(), io.StringIO()
    run_here(recipe, tmp_path / "out", said=first)
    assert "What was added" not in first.getvalue()
    (pictures / "new.jpg").write_bytes(picture(1234))
    run_here(recipe, tmp_path / "out", said=second)
    assert "43 images. What was added to it since is not in this run; --relist takes it in." in second.getvalue()
    assert "new.jpg" not in states(tmp_path / "out")


def test_a_run_whose_every_row_failed_does_not_exit_with_zero(
    fake_server: FakeServer, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    (tmp_path / "pictures").mkdir()
    for number in range(3):
        (tmp_path / "pictures" / f"{number}.jpg").write_bytes(b"no picture")
    make_recipe(tmp_path / "pictures", fake_server.endpoint)
    command = ["run", str(tmp_path / "recipe.yaml"), "--out", str(tmp_path / "out"), "--images"]
    command += [str(tmp_path / "pictures"), "--endpoint", fake_server.endpoint]
    with without_ray():
        result = CliRunner().invoke(app, command)
    assert isinstance(result.exception, NothingMadeError)
    assert result.exception.exit_code == 1
    assert "All 3 inputs failed (3 not_an_image)" in str(result.exception)
    assert set(states(tmp_path / "out").values()) == {"failed"}
