"""Faults of servers: what can pass leaves no trace, what cannot fails the rows that it befalls, and nothing else."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks.faults import CASES, Case
from datagen.errors import DatagenError
from datagen.recipe import Recipe
from tests.conftest import FakeServer, MakeRecipe, free_port, write_pictures
from tests.without_ray import run_here, shard_digests, states

pytestmark = pytest.mark.ray

IMAGES = 24
IN_FLIGHT = 8


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "pictures", IMAGES)


def recipe_for(make_recipe: MakeRecipe, images: Path, *endpoints: str, **changes: Any) -> Recipe:
    usual = {"stages__1__repeat": 1, "engines__vlm__timeout": 1, "engines__vlm__patience": 4, "workers": 1}
    return make_recipe(images, *endpoints, **{**usual, "in_flight": IN_FLIGHT, **changes})


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_fault_of_requests_passes_or_fails_the_rows_that_it_befalls(
    case: Case, images: Path, fake_server: FakeServer, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    recipe = recipe_for(make_recipe, images, fake_server.endpoint, stop_when__alike=0)
    fake_server.fail(vars(case.fault))
    manifest = run_here(recipe, tmp_path / "out")
    requests = fake_server.statistics()["by_seed"]
    met = {seed: count for seed, count in requests.items() if case.fault.befalls(seed, 1)}
    assert met
    assert max(met.values()) == case.tries
    if not case.failure:
        fake_server.fail()
        run_here(recipe, tmp_path / "undisturbed")
        assert shard_digests(tmp_path / "out") == shard_digests(tmp_path / "undisturbed")
        return
    assert list(manifest["failures"]) == [case.failure]
    assert manifest["counts"]["failed"] <= len(met)
    assert manifest["counts"]["inputs"] == IMAGES == len(states(tmp_path / "out"))


def test_a_server_that_restarts_in_mid_run_leaves_no_trace(
    images: Path, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    log = tmp_path / "requests.log"
    server = FakeServer(latency=0.1, log=log)
    recipe = recipe_for(make_recipe, images, server.endpoint)
    servers = [server]

    def restart() -> None:
        while server.statistics()["requests"] < IMAGES // 2:
            time.sleep(0.02)
        server.stop()
        time.sleep(0.5)
        servers.append(FakeServer(latency=0.1, port=server.port, log=log))

    thread = threading.Thread(target=restart)
    thread.start()
    try:
        run_here(recipe, tmp_path / "out")
        thread.join()
        counts = servers[-1].statistics()["by_seed"]
        run_here(recipe, tmp_path / "undisturbed")
    finally:
        thread.join()
        for each in servers:
            each.stop()
    assert len(servers) == 2
    assert shard_digests(tmp_path / "out") == shard_digests(tmp_path / "undisturbed")
    assert sum(count - 1 for count in counts.values()) <= IN_FLIGHT
    assert len(counts) == 2 * IMAGES


def test_the_work_of_an_endpoint_that_dies_moves_to_the_other(
    images: Path, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    dying, staying = FakeServer(latency=0.1), FakeServer(latency=0.1)
    recipe = recipe_for(make_recipe, images, dying.endpoint, staying.endpoint)

    def die() -> None:
        while dying.statistics()["requests"] < IMAGES // 4:
            time.sleep(0.02)
        dying.stop()

    thread = threading.Thread(target=die)
    thread.start()
    try:
        run_here(recipe, tmp_path / "out")
        thread.join()
        counts = staying.statistics()["by_seed"]
        assert set(counts.values()) == {1}
        assert len(counts) > IMAGES
        alone = recipe_for(make_recipe, images, staying.endpoint)
        run_here(alone, tmp_path / "undisturbed")
    finally:
        thread.join()
        dying.stop()
        staying.stop()
    assert shard_digests(tmp_path / "out") == shard_digests(tmp_path / "undisturbed")


def test_a_run_whose_endpoints_are_gone_stops_with_a_sentence_and_goes_on_when_they_are_back(
    images: Path, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    log = tmp_path / "requests.log"
    server = FakeServer(latency=0.1, log=log)
    recipe = recipe_for(make_recipe, images, server.endpoint)

    def die() -> None:
        while server.statistics()["requests"] < IMAGES // 2:
            time.sleep(0.02)
        server.stop()

    thread = threading.Thread(target=die)
    thread.start()
    with pytest.raises(DatagenError, match=r"No endpoint .* has answered for 4 s .*run the same command"):
        run_here(recipe, tmp_path / "out")
    thread.join()
    again = FakeServer(latency=0.1, port=server.port, log=log)
    try:
        assert run_here(recipe, tmp_path / "out")["counts"]["failed"] == 0
        counts = again.statistics()["by_seed"]
        run_here(recipe, tmp_path / "undisturbed")
    finally:
        again.stop()
    assert shard_digests(tmp_path / "out") == shard_digests(tmp_path / "undisturbed")
    assert sum(count > 1 for count in counts.values()) <= IN_FLIGHT * 2


@pytest.mark.parametrize(
    ("fault", "last"),
    [
        ({"kind": "closed", "status": 401}, "HTTP 401: "),
        ({"kind": "status", "status": 429}, "HTTP 429: "),
        ({"kind": "reset"}, ""),
        ({"kind": "no_choices"}, "the response is not a chat completion"),
    ],
)
def test_a_server_that_refuses_everything_stops_the_run_and_costs_no_row(
    fault: dict[str, Any], last: str, images: Path, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    server = FakeServer(latency=0.1)
    recipe = recipe_for(make_recipe, images, server.endpoint)

    def revoke() -> None:
        while server.statistics()["requests"] < IMAGES // 2:
            time.sleep(0.02)
        server.fail(fault)

    thread = threading.Thread(target=revoke)
    thread.start()
    try:
        with pytest.raises(DatagenError, match=rf"No endpoint .* last: {last}.*run the same command"):
            run_here(recipe, tmp_path / "out")
        thread.join()
        server.fail()
        assert run_here(recipe, tmp_path / "out")["counts"]["failed"] == 0
        run_here(recipe, tmp_path / "undisturbed")
    finally:
        thread.join()
        server.stop()
    assert shard_digests(tmp_path / "out") == shard_digests(tmp_path / "undisturbed")


def test_rows_that_always_break_their_connection_fail_when_they_are_the_last_ones_left(
    images: Path, fake_server: FakeServer, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    recipe = recipe_for(make_recipe, images, fake_server.endpoint, engines__vlm__patience=1)
    fake_server.fail({"kind": "reset", "share": 0.1})
    manifest = run_here(recipe, tmp_path / "out")
    assert list(manifest["failures"]) == ["http_error"]
    assert 0 < manifest["counts"]["failed"] < IMAGES == manifest["counts"]["inputs"]
    fake_server.fail()
    assert run_here(recipe, tmp_path / "out", retry_failed=True)["counts"]["failed"] == 0


def test_nothing_is_written_when_no_endpoint_answers_at_the_start(
    images: Path, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    recipe = recipe_for(make_recipe, images, f"http://127.0.0.1:{free_port()}/v1")
    with pytest.raises(DatagenError, match="does not answer"):
        run_here(recipe, tmp_path / "out")
    assert not list((tmp_path / "out" / "parts").glob("part-*"))
