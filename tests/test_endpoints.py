"""What endpoints say that they serve, before a run starts."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from aiohttp import web

from datagen.engine.endpoints import check_endpoints
from datagen.errors import DatagenError

KEY = "sk-very-secret-key"


def dead_endpoint() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/v1"


@asynccontextmanager
async def listing(document: Any, status: int = 200) -> AsyncIterator[str]:
    body = document if isinstance(document, bytes) else orjson.dumps(document)

    async def models(_: web.Request) -> web.Response:
        return web.Response(body=body, status=status)

    application = web.Application()
    application.router.add_get("/v1/models", models)
    runner = web.AppRunner(application, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


def checked(model: str, document: Any, status: int = 200) -> str:
    async def run() -> str:
        async with listing(document, status) as endpoint:
            return await check_endpoints(model, [endpoint], KEY)

    return asyncio.run(run())


def test_endpoints_are_checked_before_the_start() -> None:
    one, two = {"data": [{"id": "a"}]}, {"data": [{"id": "a"}, {"id": "b"}]}
    assert checked("", one) == "a"
    assert checked("b", two) == "b"
    with pytest.raises(DatagenError, match=r"serves several models; name one of: a, b \(--model\)"):
        checked("", two)
    with pytest.raises(DatagenError, match="does not serve the model 'c'; name one of: a"):
        checked("c", one)


@pytest.mark.parametrize("document", [b"<html>", b"", {}, {"data": None}, {"data": [{}]}, {"data": ["x"]}, []])
def test_an_endpoint_of_another_kind_is_a_sentence(document: Any) -> None:
    with pytest.raises(DatagenError, match=r"is no OpenAI-compatible server; its address ends in /v1\."):
        checked("m", document)


def test_a_closed_or_locked_endpoint_is_a_sentence_without_the_key() -> None:
    with pytest.raises(DatagenError, match="answered HTTP 401 to /models; check the address") as locked:
        checked("m", {"error": KEY}, 401)
    with pytest.raises(DatagenError, match="does not answer") as closed:
        asyncio.run(check_endpoints("m", [dead_endpoint()], KEY))
    assert KEY not in str(locked.value) + str(closed.value)
