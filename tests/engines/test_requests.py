"""What is sent: fields and headers that a model needs, and a picture's bytes no more often than a server needs them."""

import asyncio
from typing import Any

import orjson
import pytest
from aiohttp import web

from datagen.engine_settings import EngineSettings
from datagen.engines.openai import ChatClient, EndpointsGoneError
from datagen.engines.wire.chat import Completion
from datagen.engines.wire.endpoints import check_chat
from datagen.engines.wire.request import image_part
from datagen.errors import DatagenError
from datagen.failures import Failure
from datagen.pictures.picture import prepare
from datagen.recipe import Images
from prompts import Sampling
from tests.conftest import TinyServer, picture
from tests.engines.chat_server import Server, answer, ask, completion, outcome_of, serving

PICTURE = prepare(picture(3), Images())
SHOWN = [
    {"role": "user", "content": [image_part(PICTURE.data_url, PICTURE.sha256), {"type": "text", "text": "何ですか？"}]}
]
VLLM = answer({"data": [{"id": "m", "owned_by": "vllm"}]})
FORGOTTEN = answer(
    {"error": {"message": "Cache miss for image at index 0 but data is not provided.", "code": 400}}, 400
)


def image_of(body: dict[str, Any]) -> dict[str, Any]:
    part: dict[str, Any] = body["messages"][0]["content"][0]
    return part


async def ask_about_the_picture(client: ChatClient, lease: Any, seed: int) -> Completion:
    return await client.complete(lease, SHOWN, sampling=Sampling(), seed=seed)


async def turns(server: Server, count: int) -> ChatClient:
    async with ChatClient("m", [server.url]) as client, client.lease() as lease:
        for seed in range(count):
            assert (await ask_about_the_picture(client, lease, seed)).text == "桜です。"
    return client


def test_vllm_gets_the_bytes_of_a_picture_once_a_conversation() -> None:
    async def run() -> None:
        async with serving(Server()) as server:
            server.models = VLLM
            await turns(server, 3)
            first, *others = map(image_of, server.bodies)
            assert first["image_url"]["url"] == orjson.loads(orjson.dumps(PICTURE.data_url))
            assert first["uuid"] == PICTURE.sha256
            named = {"type": "image_url", "image_url": None, "uuid": PICTURE.sha256}
            assert others == [named, named]

    asyncio.run(run())


def test_a_server_that_has_forgotten_a_picture_is_sent_it_again() -> None:
    async def run() -> None:
        async with serving(Server(answer(), FORGOTTEN, answer())) as server:
            server.models = VLLM
            client = await turns(server, 3)
            assert [bool(image_of(body)["image_url"]) for body in server.bodies] == [True, False, True, True]
            assert client.retries == 0

    asyncio.run(run())


def test_other_servers_get_no_field_that_they_may_not_know() -> None:
    async def run() -> None:
        async with serving(Server()) as server:
            await turns(server, 2)
            assert ["uuid" in image_of(body) for body in server.bodies] == [False, False]

    asyncio.run(run())


def test_another_replica_gets_the_bytes_again() -> None:
    async def run() -> None:
        async with serving(Server()) as one, serving(Server()) as other:
            one.models = other.models = VLLM
            async with ChatClient("m", [one.url]) as client, client.lease() as lease:
                await ask_about_the_picture(client, lease, 1)
                client.serve_from([other.url])
                await ask_about_the_picture(client, lease, 2)
                await ask_about_the_picture(client, lease, 3)
            assert len(one.bodies) == 1
            assert [bool(image_of(body)["image_url"]) for body in other.bodies] == [True, False]

    asyncio.run(run())


def test_requests_wait_while_there_is_no_replica_and_lose_no_patience() -> None:
    async def run() -> None:
        async with serving(Server()) as server, ChatClient("m", [], patience=0.1) as client:
            asked = asyncio.create_task(ask(client))
            await asyncio.sleep(0.3)
            assert not asked.done()
            client.serve_from([server.url])
            assert (await asked).text == "桜です。"

    asyncio.run(run())


@pytest.mark.vllm
def test_a_real_vllm_answers_alike_with_the_bytes_and_with_the_name(tiny_server: TinyServer) -> None:
    async def run() -> list[str]:
        greedy = Sampling(temperature=0.0, max_tokens=24)
        said = []
        async with ChatClient(tiny_server.model, [tiny_server.url]) as client:
            async with client.lease() as lease:
                said += [(await client.complete(lease, SHOWN, sampling=greedy, seed=1)).text for _ in range(3)]
                assert lease.replica.takes_names
                assert lease.seen == {PICTURE.sha256}
            async with client.lease() as lease:
                lease.replica.takes_names = False
                said.append((await client.complete(lease, SHOWN, sampling=greedy, seed=1)).text)
                lease.replica.takes_names = True
                lease.seen = frozenset({"never seen"})
                other = [{"role": "user", "content": [image_part(PICTURE.data_url, "never seen")]}]
                said.append((await client.complete(lease, other, sampling=greedy, seed=1)).text)
        return said

    first, *others, never_seen = asyncio.run(run())
    assert first
    assert set(others) == {first}
    assert never_seen


# An endpoint that seems well


def test_an_endpoint_that_answers_one_token_and_nothing_else_stops_the_run_and_fails_no_row() -> None:
    async def hang(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(60)
        return web.Response()

    async def one_token(request: web.Request) -> web.StreamResponse:
        body = orjson.loads(await request.read())
        return await (answer()(request) if body["max_tokens"] == 1 else hang(request))

    async def run() -> list[object]:
        async with serving(Server(hang)) as server:
            server.short = one_token
            async with ChatClient("m", [server.url], timeout=0.2, patience=0.5) as client:
                return await asyncio.gather(*(ask(client) for _ in range(8)), return_exceptions=True)

    ended = asyncio.run(run())
    assert {type(error) for error in ended} == {EndpointsGoneError}


def test_an_endpoint_that_answers_texts_and_no_picture_stops_the_run() -> None:
    async def texts_alone(request: web.Request) -> web.StreamResponse:
        body = orjson.loads(await request.read())
        content = body["messages"][0]["content"]
        shown = not isinstance(content, str) and any(part["type"] == "image_url" for part in content)
        return await (answer({"error": "vision tower"}, 500) if shown else answer())(request)

    async def run() -> None:
        async with serving(Server(texts_alone)) as server:
            server.short = texts_alone
            async with ChatClient("m", [server.url], patience=0.5) as client, client.lease() as lease:
                assert (await ask(client, lease)).text == "桜です。"
                await asyncio.sleep(0.6)
                with pytest.raises(EndpointsGoneError, match="HTTP 500"):
                    await ask_about_the_picture(client, lease, 1)

    asyncio.run(run())


def test_one_picture_that_no_server_can_take_fails_alone() -> None:
    async def run() -> None:
        async with (
            serving(Server(answer({"error": "this one"}, 500))) as server,
            ChatClient("m", [server.url]) as client,
            client.lease() as lease,
        ):
            with pytest.raises(Failure, match="HTTP 500"):
                await ask_about_the_picture(client, lease, 1)

    asyncio.run(run())


def test_a_sick_endpoint_gets_one_conversation_at_a_time_until_it_has_answered() -> None:
    async def run() -> None:
        async def hang(_: web.Request) -> web.StreamResponse:
            await asyncio.sleep(60)
            return web.Response()

        async with serving(Server(hang)) as sick, serving(Server()) as good:
            sick.short = hang
            async with ChatClient("m", [sick.url, good.url], timeout=0.2) as client:
                await asyncio.gather(*(ask(client) for _ in range(8)))
                before = len(sick.bodies)
                for replica in client._replicas.all:
                    replica.down_until = 0.0
                await asyncio.gather(*(ask(client) for _ in range(8)))
                assert len(sick.bodies) <= before + 1
                assert len(good.bodies) == 16

    asyncio.run(run())


# What is checked before the start


@pytest.mark.parametrize("status", [307, 308])
def test_chat_requests_that_are_redirected_are_named_before_the_start(status: int) -> None:
    async def run() -> str:
        async with serving(
            Server(answer(b"", status, {"Location": "https://other.example/v1/chat/completions"}))
        ) as server:
            server.short = server.handlers[0]
            with pytest.raises(DatagenError) as refused:
                await check_chat("m", [server.url])
            return str(refused.value)

    said = asyncio.run(run())
    assert f"redirects requests (HTTP {status})" in said
    assert "name https://other.example/v1 instead" in said


@pytest.mark.parametrize(("status", "said"), [(401, "takes no chat requests with this key"), (404, "has no chat API")])
def test_an_endpoint_that_takes_no_chat_requests_is_named_before_the_start(status: int, said: str) -> None:
    async def run() -> None:
        async with serving(Server()) as server:
            server.short = answer({}, status)
            with pytest.raises(DatagenError, match=said):
                await check_chat("m", [server.url])

    asyncio.run(run())


def test_the_check_asks_for_no_token() -> None:
    async def run() -> None:
        bodies = []

        async def note(request: web.Request) -> web.StreamResponse:
            bodies.append(orjson.loads(await request.read()))
            return web.json_response({"error": {"message": "messages: field required"}}, status=400)

        async with serving(Server()) as server:
            server.short = note
            assert await check_chat("", [server.url]) == "m"
        assert bodies == [{}]

    asyncio.run(run())


# Fields


def test_headers_and_further_fields_are_in_every_request(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        settings = {"model": "m", "headers": {"X-Team": "vision"}, "extra_body": {"top_k": 20}}
        async with serving(Server()) as server:
            engine = EngineSettings.model_validate({**settings, "endpoints": [server.url]})
            async with ChatClient.of(engine, None) as client:
                await ask(client)
        assert server.headers[0]["X-Team"] == "vision"
        assert server.bodies[0]["top_k"] == 20

    asyncio.run(run())


def test_a_model_that_thinks_first_is_held_to_no_schema() -> None:
    async def run() -> None:
        async with serving(Server()) as server, ChatClient("m", [server.url], structured=False) as client:
            await ask(client, schema={"type": "object"})
        assert "response_format" not in server.bodies[0]

    asyncio.run(run())


def test_an_answer_in_parts_is_read() -> None:
    parts = [
        {"type": "thinking", "thinking": "花だ。"},
        {"type": "text", "text": "桜"},
        {"type": "text", "text": "です。"},
    ]
    outcome, _, _ = outcome_of(answer(completion(parts)))
    assert isinstance(outcome, Completion)
    assert outcome.text == "桜です。"
