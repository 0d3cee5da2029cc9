"""Promise: pictures are fetched once, never from private addresses; dead links are noted and not asked again."""

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from datagen.jicvqa.benchmark.stored import load_benchmark
from tests.jicvqa.conftest import SMALL, command, picture, rows_of, serving, write_csv

DEAD = {3, 11}


def picture_server(requests: list[Any], broken: set[int]) -> web.Application:
    async def fetch(request: web.Request) -> web.Response:
        number = int(request.match_info["number"])
        requests.append(number)
        if number in DEAD:
            return web.Response(status=404)
        return web.Response(status=418) if number in broken else web.Response(body=picture(number))

    application = web.Application()
    application.add_routes([web.get("/{number}.jpg", fetch)])
    return application


def table_at(address: str, path: Path) -> Path:
    rows = [row.model_copy(update={"url": f"{address}/{row.number}.jpg"}) for row in rows_of(SMALL)]
    return write_csv(path, rows)


@pytest.fixture
def broken() -> set[int]:
    """Numbers that cannot be reached just now."""
    return set()


@pytest.mark.slow
def test_pictures_come_once_and_dead_links_are_recorded(
    tmp_path: Path, distractors_file: Path, broken: set[int]
) -> None:
    requests: list[Any] = []
    with serving(picture_server(requests, broken), requests) as served:
        table = table_at(served.address, tmp_path / "t.csv")
        arguments = ("--images", table, "--distractors", distractors_file, "--out", tmp_path / "b", "--download")
        arguments += ("--allow-private-host", "127.0.0.1", "--cache", tmp_path / "cache")
        assert command("build", *arguments).code == 0
        assert sorted(requests) == list(range(48))
        assert command("build", *arguments, "--overwrite").code == 0
        assert len(requests) == 48
        assert command("build", *arguments, "--overwrite", "--retry-dead").code == 0
        assert sorted(requests[48:]) == sorted(DEAD)
    benchmark = load_benchmark(tmp_path / "b")
    assert len(benchmark.questions) == 46
    assert benchmark.pictures is not None
    lost = [json.loads(line) for line in (tmp_path / "b" / "lost.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {entry["reason"] for entry in lost} == {"HTTP 404"}
    assert len(lost) == 2


def test_what_cannot_be_reached_now_stops_the_build_and_is_asked_again(
    tmp_path: Path, distractors_file: Path, broken: set[int]
) -> None:
    requests: list[Any] = []
    broken |= {5, 6}
    with serving(picture_server(requests, broken), requests) as served:
        table = table_at(served.address, tmp_path / "t.csv")
        arguments = ("--images", table, "--distractors", distractors_file, "--out", tmp_path / "b", "--download")
        arguments += ("--allow-private-host", "127.0.0.1", "--cache", tmp_path / "cache")
        outcome = command("build", *arguments)
        assert outcome.code == 2
        assert "2 pictures could not be reached" in outcome.error
        assert not (tmp_path / "b").exists()
        broken.clear()
        requests.clear()
        assert command("build", *arguments).code == 0
        assert sorted(requests) == [5, 6]


def test_private_addresses_are_never_asked(tmp_path: Path, distractors_file: Path, broken: set[int]) -> None:
    requests: list[Any] = []
    with serving(picture_server(requests, broken), requests) as served:
        table = table_at(served.address, tmp_path / "t.csv")
        arguments = ("--images", table, "--distractors", distractors_file, "--out", tmp_path / "b", "--download")
        outcome = command("build", *arguments)
    assert outcome.code == 2
    assert "private" in outcome.error
    assert requests == []
