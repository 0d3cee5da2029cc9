"""What endpoints say that they serve, before a run starts."""

import asyncio
from typing import Any

import pytest

from datagen.engines.wire.endpoints import check_endpoints
from datagen.errors import DatagenError
from tests.engines.chat_server import KEY, Server, answer, dead_endpoint, serving


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


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize(
    ("location", "advice"),
    [
        ("https://gateway.example/v1/models", "name https://gateway.example/v1 instead"),
        ("/api/v1/models", "/api/v1 instead"),
        ("https://user:pa55@gateway.example/v1/models?token=pa55", "name https://gateway.example/v1 instead"),
        ("http://[", "name its own address"),
    ],
)
def test_an_endpoint_that_redirects_is_refused_at_once_and_the_right_one_named(
    status: int, location: str, advice: str
) -> None:
    async def run() -> None:
        server = Server()
        server.models = answer(b"", status, {"Location": location})
        async with serving(server):
            await check_endpoints("m", [server.url], KEY)

    with pytest.raises(DatagenError, match=rf"redirects requests \(HTTP {status}\)") as caught:
        asyncio.run(run())
    assert advice in str(caught.value)
    assert "pa55" not in str(caught.value)


def test_a_list_of_models_without_end_is_a_sentence() -> None:
    with pytest.raises(DatagenError, match="is no OpenAI-compatible server"):
        checked("m", b" " * (17 << 20))


def test_a_few_of_many_models_are_named() -> None:
    with pytest.raises(DatagenError, match=r"name one of: m0, .*, m19, … \(--model\)"):
        checked("x", {"data": [{"id": f"m{number}"} for number in range(5000)]})
