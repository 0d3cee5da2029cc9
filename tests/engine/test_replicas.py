"""The chat client and its endpoints: where a conversation goes on, and when a run stops."""

import asyncio

import orjson
import pytest
from aiohttp import web

from datagen.engine.client import ChatClient, Completion, EndpointsGoneError
from datagen.errors import DatagenError
from datagen.failures import Failure
from prompts import Sampling
from tests.engine.chat_server import (
    KEY,
    LISTED,
    MESSAGES,
    Clock,
    Server,
    answer,
    ask,
    dead_endpoint,
    outcome_of,
    reset,
    serving,
)

pytestmark = pytest.mark.usefixtures("clock")


# Connections that break


def test_a_reset_connection_is_tried_again() -> None:
    outcome, server, _ = outcome_of(reset, answer())
    assert isinstance(outcome, Completion)
    assert len(server.bodies) == 2


def test_a_body_that_is_cut_short_is_tried_again() -> None:
    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b'{"choices"')
        assert request.transport is not None
        request.transport.close()
        return response

    outcome, server, _ = outcome_of(cut, answer())
    assert isinstance(outcome, Completion)
    assert len(server.bodies) == 2


@pytest.mark.parametrize("fault", ["refused", "reset"])
def test_a_conversation_moves_to_the_other_endpoint_and_stays_there(fault: str) -> None:
    async def run() -> None:
        async with serving(Server(reset)) as resetting, serving(Server()) as good:
            bad = resetting.url if fault == "reset" else dead_endpoint()
            async with ChatClient("m", [bad, good.url]) as client, client.conversation() as conversation:
                assert conversation.replica.url == bad
                for _ in range(3):
                    await ask(client, conversation)
                assert conversation.replica.url == good.url
                assert len(good.bodies) == 3
                assert [replica.conversations for replica in client._replicas] == [0, 1]
            assert [replica.conversations for replica in client._replicas] == [0, 0]

    asyncio.run(run())


def test_conversations_share_the_endpoints_evenly_and_avoid_a_dead_one_until_it_is_back(clock: Clock) -> None:
    async def run() -> None:
        good, other = Server(), Server()
        async with serving(good):
            async with serving(other):
                port = other.port
            async with ChatClient("m", [f"http://127.0.0.1:{port}/v1", good.url]) as client:
                await asyncio.gather(*(ask(client) for _ in range(6)))
                assert len(good.bodies) == 6
                async with client.conversation() as one, client.conversation() as two:
                    assert {one.replica.url, two.replica.url} == {good.url}
                async with serving(other, port):
                    clock.now += 60
                    async with (
                        client.conversation() as first,
                        client.conversation() as second,
                        client.conversation() as third,
                        client.conversation() as fourth,
                    ):
                        places = [place.replica.url for place in (first, second, third, fourth)]
                        assert sorted(places) == sorted([good.url, other.url] * 2)
                        for place in (first, second, third, fourth):
                            await ask(client, place)
                assert len(other.bodies) == 2

    asyncio.run(run())


def test_a_server_that_hangs_is_left_after_three_tries() -> None:
    async def run() -> None:
        released = asyncio.Event()

        async def hang(_: web.Request) -> web.StreamResponse:
            await released.wait()
            return web.Response()

        async with serving(Server(hang)) as server, ChatClient("m", [server.url], timeout=0.05) as client:
            with pytest.raises(Failure) as caught:
                await ask(client)
            released.set()
            assert caught.value.failure_class == "timeout"
            assert "0.05 s, 3 times" in caught.value.message
            assert len(server.bodies) == 3

    asyncio.run(run())


def test_a_conversation_leaves_an_endpoint_that_hangs_for_one_that_answers() -> None:
    async def run() -> None:
        released = asyncio.Event()

        async def hang(_: web.Request) -> web.StreamResponse:
            await released.wait()
            return web.Response()

        async with (
            serving(Server(hang)) as hanging,
            serving(Server()) as good,
            ChatClient("m", [hanging.url, good.url], timeout=0.3) as client,
            client.conversation() as conversation,
        ):
            assert (await ask(client, conversation)).text == "桜です。"
            released.set()
            assert conversation.replica.url == good.url
            assert len(hanging.bodies) == 1

    asyncio.run(run())


def test_all_endpoints_gone_stops_the_run_when_patience_is_over(clock: Clock) -> None:
    async def run() -> None:
        endpoints = [dead_endpoint(), dead_endpoint()]
        async with ChatClient("m", endpoints, KEY, patience=30) as client:
            clock.now += 1000  # a long time without requests is no silence of the server's
            began = clock.now
            with pytest.raises(EndpointsGoneError) as caught:
                await ask(client)
            assert 30 <= clock.now - began < 60
            message = str(caught.value)
            assert all(endpoint in message for endpoint in endpoints)
            assert "for 30 s" in message
            assert "run the same command: what is done is kept." in message
            assert KEY not in message
            assert isinstance(caught.value, DatagenError)
            assert client.retries > 2

    asyncio.run(run())


def test_an_endpoint_that_comes_back_within_patience_goes_on(clock: Clock) -> None:
    async def run() -> None:
        server = Server()
        async with serving(server):
            port = server.port
        async with ChatClient("m", [f"http://127.0.0.1:{port}/v1"], patience=1000) as client:
            waiting = asyncio.create_task(ask(client))
            await clock.waited(5)
            async with serving(server, port):
                assert (await waiting).text == "桜です。"

    asyncio.run(run())


def test_one_request_that_breaks_every_connection_fails_alone(clock: Clock) -> None:
    """A poisoned image must neither stop the run nor be asked about for ever while others are answered."""

    async def run() -> None:
        async def poisoned(request: web.Request) -> web.StreamResponse:
            if orjson.loads(await request.read())["seed"] == 7:
                return await reset(request)
            return await answer()(request)

        async with serving(Server(poisoned)) as server, ChatClient("m", [server.url], patience=30) as client:
            poison = asyncio.create_task(ask(client))
            answered = 0
            async with client.conversation() as conversation:
                while not poison.done():
                    await client.complete(conversation, MESSAGES, sampling=Sampling(), seed=8)
                    answered += 1
            with pytest.raises(Failure) as caught:
                await poison
            assert caught.value.failure_class == "http_error"
            assert "while other requests were answered" in caught.value.message
            assert answered > 5

    asyncio.run(run())


# An endpoint out of service


def out_of_service(status: int) -> Server:
    """An endpoint that refuses requests and does not list its model: its key was revoked, its model is unloaded."""
    server = Server(answer({"error": KEY}, status))
    server.models = answer({"error": KEY}, status)
    return server


@pytest.mark.parametrize("status", [401, 403, 404, 500, 503])
def test_refusals_of_everything_stop_the_run_and_fail_no_row(status: int, clock: Clock) -> None:
    async def run() -> None:
        async with (
            serving(out_of_service(status)) as server,
            ChatClient("m", [server.url], KEY, patience=30) as client,
        ):
            began = clock.now
            with pytest.raises(EndpointsGoneError) as caught:
                await ask(client)
            assert 30 <= clock.now - began < 60
            assert f"last: HTTP {status}" in str(caught.value)
            assert KEY not in str(caught.value)

    asyncio.run(run())


def test_a_dead_engine_behind_a_live_server_stops_the_run(clock: Clock) -> None:
    """vLLM's server still lists its model then, but says on /health that it is not well."""

    async def run() -> None:
        server = Server(answer({}, 500))
        server.health = answer({}, 503)
        async with serving(server), ChatClient("m", [server.url], patience=30) as client:
            with pytest.raises(EndpointsGoneError, match="last: HTTP 500"):
                await ask(client)

    asyncio.run(run())


def test_an_endpoint_that_lists_its_model_again_goes_on(clock: Clock) -> None:
    async def run() -> None:
        async with serving(out_of_service(503)) as server, ChatClient("m", [server.url], patience=1000) as client:
            waiting = asyncio.create_task(ask(client))
            await clock.waited(4)
            server.handlers, server.models = [answer()], LISTED
            assert (await waiting).text == "桜です。"

    asyncio.run(run())


def test_the_work_of_an_endpoint_out_of_service_goes_to_the_others() -> None:
    async def run() -> None:
        async with (
            serving(out_of_service(401)) as locked,
            serving(Server()) as server,
            ChatClient("m", [locked.url, server.url], patience=30) as client,
        ):
            answers = await asyncio.gather(*(ask(client) for _ in range(8)))
            assert {one.text for one in answers} == {"桜です。"}
            assert locked.bodies

    asyncio.run(run())
