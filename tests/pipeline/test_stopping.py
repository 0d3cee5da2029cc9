"""Runs that go wrong as a whole stop with one sentence, and what was no row's own fault fails none."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from datagen.pipeline.stopping import StoppedRunError, check_going, counts_alike
from datagen.progress import Progress
from datagen.recipe import Recipe, StopWhen
from tests.conftest import FakeServer, MakeRecipe, write_pictures
from tests.without_ray import run_here, shard_digests

IMAGES = 24


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "pictures", IMAGES)


def recipe_for(make_recipe: MakeRecipe, images: Path, server: FakeServer, **changes: Any) -> Recipe:
    return make_recipe(images, server.endpoint, **{"stages__1__repeat": 1, "workers": 1, "in_flight": 4, **changes})


def test_images_that_all_get_http_400_for_one_reason_are_one_sentence_and_no_failures(
    images: Path, fake_server: FakeServer, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    recipe = recipe_for(make_recipe, images, fake_server)
    fake_server.fail({"kind": "status", "status": 400})
    with pytest.raises(StoppedRunError) as stopped:
        run_here(recipe, tmp_path / "out")
    assert stopped.value.exit_code == 1
    said = str(stopped.value)
    assert "all failed for one reason (http_error: HTTP 400: " in said
    assert "\n" not in said
    assert not (tmp_path / "out" / "failed").exists()
    fake_server.fail()
    assert run_here(recipe, tmp_path / "out")["counts"]["failed"] == 0
    run_here(recipe, tmp_path / "undisturbed")
    assert shard_digests(tmp_path / "out") == shard_digests(tmp_path / "undisturbed")


def test_a_model_that_answers_nonsense_to_all_stops_the_run_and_fails_no_row(
    images: Path, fake_server: FakeServer, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    recipe = recipe_for(make_recipe, images, fake_server)
    fake_server.fail({"kind": "off_schema"})
    with pytest.raises(StoppedRunError, match=r"all failed for one reason \(unparsable_answer: "):
        run_here(recipe, tmp_path / "out")
    fake_server.fail()
    assert run_here(recipe, tmp_path / "out")["counts"]["failed"] == 0


def test_broken_pictures_stop_nothing(fake_server: FakeServer, make_recipe: MakeRecipe, tmp_path: Path) -> None:
    images = write_pictures(tmp_path / "pictures", 1)
    for number in range(30):
        (images / f"broken-{number:02}.jpg").write_bytes(b"<html>404</html>")
    manifest = run_here(recipe_for(make_recipe, images, fake_server), tmp_path / "out")
    assert manifest["counts"]["failed"] == 30


def test_the_few_that_fail_again_at_the_end_of_a_run_end_as_failed(
    images: Path, fake_server: FakeServer, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    recipe = recipe_for(make_recipe, images, fake_server, stop_when__alike=2)
    fake_server.fail({"kind": "status", "status": 400, "share": 0.3})
    failed = run_here(recipe, tmp_path / "out")["counts"]["failed"]
    assert failed > 2
    assert run_here(recipe, tmp_path / "out", retry_failed=True)["counts"]["failed"] == failed


def test_a_share_of_failed_rows_stops_a_run_and_what_is_done_stays(
    images: Path, fake_server: FakeServer, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    guarded = recipe_for(make_recipe, images, fake_server, stop_when__failed=0.1, stop_when__after=10)
    fake_server.fail({"kind": "status", "status": 400, "share": 0.3})
    with pytest.raises(StoppedRunError, match=r"more than stop_when.failed allows \(0.1\): \d+ × http_error"):
        run_here(guarded, tmp_path / "out")
    calls = fake_server.statistics()["requests"]
    open_ended = recipe_for(make_recipe, images, fake_server)
    assert run_here(open_ended, tmp_path / "out")["counts"]["failed"] > 2
    assert fake_server.statistics()["requests"] < 2 * calls


def progress(**states: int) -> Progress:
    rules = Counter(question_in_answer=states.get("dropped", 0))
    return Progress(Counter(states), reasons=Counter({"http_error: HTTP 400": states.get("failed", 0)}), rules=rules)


def test_a_share_of_dropped_rows_names_the_rules() -> None:
    settings = StopWhen(dropped=0.6, after=100)
    check_going(settings, [progress(kept=20, dropped=79)])
    check_going(settings, [progress(kept=40, dropped=60)])
    with pytest.raises(StoppedRunError, match=r"61 of 100 images \(61%\) were dropped.*61 × question_in_answer"):
        check_going(settings, [progress(kept=20, dropped=31), progress(kept=19, dropped=30)])


def test_rows_that_fail_alike_count_when_none_was_made_or_very_many_are_left() -> None:
    settings = StopWhen(alike=12)
    assert counts_alike(settings, made=0, left=12)
    assert not counts_alike(settings, made=1, left=100)
    assert counts_alike(settings, made=1, left=120)
    check_going(settings, [progress(failed=11)])
    check_going(settings, [progress(failed=12, kept=1)])
    check_going(StopWhen(alike=0), [progress(failed=12)])
    with pytest.raises(StoppedRunError):
        check_going(settings, [progress(failed=6), progress(failed=6)])
