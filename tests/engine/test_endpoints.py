"""What endpoints say that they serve, before a run starts."""

import asyncio
from typing import Any

import pytest

from datagen.engine.endpoints import check_endpoints
from datagen.errors import DatagenError
from tests.engine.chat_server import KEY, Server, answer, dead_endpoint, serving


def checked(model: str, document: Any, status: int = 200) -> str:
    async def run() -> str:
        server = Server()
        server.models = answer(document, status)
        async with serving(server):
            return await check_endpoints(model, [server.url], KEY)

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
