"""What the tests of JIC-VQA share: tables, pictures, a command line, and servers that answer as a test tells them."""

import asyncio
import csv
import io
import random
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from aiohttp import web
from PIL import Image
from typer.testing import CliRunner

from datagen.errors import DatagenError
from datagen.jicvqa.benchmark.labelled import ImageRow
from datagen.jicvqa.classes.lists import load_classes, shipped_images_per_subset
from datagen.jicvqa.commands import app


class Outcome(NamedTuple):
    """How a command ended: its exit code as datagen gives it, what it printed, and its error message."""

    code: int
    output: str
    error: str


def command(*arguments: object) -> Outcome:
    """Run `datagen jicvqa …`."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if isinstance(result.exception, DatagenError):
        return Outcome(2, result.output, str(result.exception))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Outcome(result.exit_code, result.output, "")


def uneven_counts(seed: int = 0) -> dict[str, dict[str, int]]:
    """Return uneven class counts with the real subset counts, no class having over a quarter."""
    draw = random.Random(seed)
    counts = {}
    for name, total in shipped_images_per_subset().items():
        names = load_classes().subsets[name].names
        weights = [draw.uniform(0.4, 1.8) for _ in names]
        own = [int(total * weight / sum(weights)) for weight in weights]
        own[own.index(min(own))] += total - sum(own)
        assert 4 * max(own) <= total
        counts[name] = dict(zip(names, own, strict=True))
    return counts


def rows_of(counts: Mapping[str, Mapping[str, int]], seed: int = 0) -> list[ImageRow]:
    """Return a table in random order, with Flickr-like ids."""
    categories = [name for own in counts.values() for name, count in own.items() for _ in range(count)]
    random.Random(seed).shuffle(categories)
    return [
        ImageRow(
            number=number,
            id=str(10**10 + 7 * number),
            category=name,
            url=f"https://example.org/{number}.jpg",
            license="CC BY 4.0",
            license_url="https://creativecommons.org/licenses/by/4.0/",
        )
        for number, name in enumerate(categories)
    ]


def write_csv(path: Path, rows: list[ImageRow]) -> Path:
    """Write a table in the form of the recruit data set."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "license", "license_url", "url", "category"])
        writer.writerows((row.id, row.license, row.license_url, row.url, row.category) for row in rows)
    return path


def picture(seed: int) -> bytes:
    """Return a small JPEG that is another one for every seed."""
    draw = random.Random(seed)
    image = Image.new("RGB", (8, 6))
    image.putdata([tuple(draw.randrange(256) for _ in range(3)) for _ in range(48)])
    encoded = io.BytesIO()
    image.resize((64, 48)).save(encoded, "JPEG")
    return encoded.getvalue()


def write_parquet(path: Path, rows: list[ImageRow]) -> Path:
    """Write a table with embedded pictures."""
    records = [
        {
            "id": int(row.id),
            "category": row.category,
            "url": row.url,
            "license": row.license,
            "license_url": row.license_url,
            "image": {"bytes": picture(row.number), "path": None},
        }
        for row in rows
    ]
    pq.write_table(pa.Table.from_pylist(records), path, row_group_size=50)
    return path


SMALL = {
    "jaflower30": {"桜": 6, "梅": 6, "バラ": 6, "ユリ": 4, "ラン": 3, "スズラン": 3},
    "jafacility20": {"駅": 4, "空港": 4, "橋": 4, "公園": 4, "学校": 4},
}
"""Counts of a table that is quick to build."""


@pytest.fixture
def small_table(tmp_path: Path) -> Path:
    """A Parquet table with 48 pictures of eleven classes."""
    return write_parquet(tmp_path / "small.parquet", rows_of(SMALL))


@pytest.fixture(scope="session")
def distractors_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default distractors file."""
    path = tmp_path_factory.mktemp("distractors") / "distractors.json"
    assert command("distractors", "--out", path).code == 0
    return path


@pytest.fixture
def small_build(tmp_path: Path, small_table: Path, distractors_file: Path) -> Path:
    """A build of the small table."""
    out = tmp_path / "build"
    assert command("build", "--images", small_table, "--distractors", distractors_file, "--out", out).code == 0
    return out


class Served(NamedTuple):
    """A running server: its address without a path, and the requests that it got."""

    address: str
    requests: list[Any]

    @property
    def endpoint(self) -> str:
        return f"{self.address}/v1"


@contextmanager
def serving(application: web.Application, requests: list[Any]) -> Iterator[Served]:
    """Serve an application on this machine, in a thread."""
    loop, ready, port = asyncio.new_event_loop(), threading.Event(), [0]

    async def start() -> web.AppRunner:
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port[0] = runner.addresses[0][1]
        ready.set()
        return runner

    def run() -> None:
        runner = loop.run_until_complete(start())
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    ready.wait(10)
    try:
        yield Served(f"http://127.0.0.1:{port[0]}", requests)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


@contextmanager
def model_server(answer: Callable[[dict[str, Any]], str | int | dict[str, Any]], key: str = "") -> Iterator[Served]:
    """Serve a chat model that answers as told: a text, an HTTP status, or a message with its finish reason.

    A key is asked for with every chat.
    """
    requests: list[Any] = []

    async def chat(request: web.Request) -> web.Response:
        document = orjson.loads(await request.read())
        if key and request.headers.get("Authorization") != f"Bearer {key}":
            return web.Response(status=401, text="Incorrect API key provided")
        if document["max_tokens"] == 1:  # whether the key is taken
            text: str | int | dict[str, Any] = "花"
        else:
            requests.append(document)
            text = answer(document)
        if isinstance(text, int):
            return web.Response(status=text, text="no")
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        if isinstance(text, dict):
            choice |= {"message": {"role": "assistant", **text["message"]}, "finish_reason": text["finish_reason"]}
        return web.json_response({"choices": [choice]})

    async def models(_: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": "told", "object": "model"}]})

    application = web.Application(client_max_size=1 << 26)
    application.add_routes([web.post("/v1/chat/completions", chat), web.get("/v1/models", models)])
    with serving(application, requests) as served:
        yield served
