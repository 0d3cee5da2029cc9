"""The chat client and its endpoints: where a conversation goes on, and when a run stops."""

import asyncio

import orjson
import pytest
from aiohttp import web

from datagen.engines.openai import ChatClient, EndpointsGoneError
from datagen.engines.wire.chat import Completion
from datagen.errors import DatagenError
from datagen.failures import Failure
from prompts import Sampling
from tests.engines.chat_server import (
    KEY,
    MESSAGES,
    Clock,
    Handler,
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
def test_a_lease_fails_over_to_the_other_endpoint_and_stays_there(fault: str) -> None:
    async def run() -> None:
        async with serving(Server(reset)) as resetting, serving(Server()) as good:
            bad = resetting.url if fault == "reset" else dead_endpoint()
            async with ChatClient("m", [bad, good.url]) as client, client.lease() as conversation:
                assert conversation.replica.url == bad
                for _ in range(3):
                    await ask(client, conversation)
                assert conversation.replica.url == good.url
                assert len(good.bodies) == 3
                assert [replica.leases for replica in client._replicas.all] == [0, 1]
            assert [replica.leases for replica in client._replicas.all] == [0, 0]

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
                async with client.lease() as one, client.lease() as two:
                    assert {one.replica.url, two.replica.url} == {good.url}
                async with serving(other, port):
                    clock.now += 60
                    await ask(client)  # one alone finds out that it is back
                    async with (
                        client.lease() as first,
                        client.lease() as second,
                        client.lease() as third,
                        client.lease() as fourth,
                    ):
                        places = [place.replica.url for place in (first, second, third, fourth)]
                        assert sorted(places) == sorted([good.url, other.url] * 2)
                        for place in (first, second, third, fourth):
                            await ask(client, place)
                assert len(other.bodies) == 3

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
            client.lease() as conversation,
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
            async with client.lease() as conversation:
                while not poison.done():
                    await client.complete(conversation, MESSAGES, sampling=Sampling(), seed=8)
                    answered += 1
            with pytest.raises(Failure) as caught:
                await poison
            assert caught.value.failure_class == "http_error"
            assert "while other requests were answered" in caught.value.message
            assert answered > 5

    asyncio.run(run())


# Whose fault a fault is


def refused(request_seed: int, fault: Handler) -> Handler:
    """What befalls one request alone."""

    async def handler(request: web.Request) -> web.StreamResponse:
        own = orjson.loads(await request.read())["seed"] == request_seed
        return await (fault if own else answer())(request)

    return handler


async def hang(_: web.Request) -> web.StreamResponse:
    await asyncio.get_running_loop().create_future()
    raise AssertionError


FAULTS = {
    **{f"HTTP {status}": answer({"error": KEY}, status) for status in (401, 402, 403, 404, 408, 429, 500, 502, 503)},
    "HTTP 308": answer(b"", 308, {"Location": "http://elsewhere/v1/chat/completions"}),
    "an error": answer({"error": {"message": KEY}}),
    "disconnected": reset,
    "not a chat completion": answer(b"<html>Sign in</html>"),
    "over 1,": answer(b" " * (2 << 20)),
    "TimeoutError": hang,
}


def to_everything(fault: Handler) -> Server:
    """An endpoint that lists its model and refuses every request."""
    server = Server(fault)
    server.short = fault
    return server


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_what_all_requests_get_stops_the_run_when_patience_is_over_and_fails_no_row(name: str, clock: Clock) -> None:
    async def run() -> None:
        async with (
            serving(to_everything(FAULTS[name])) as server,
            ChatClient("m", [server.url], KEY, patience=30, timeout=0.1) as client,
        ):
            began = clock.now
            with pytest.raises(
                EndpointsGoneError, match=r"has answered for 30 s .*run the same command: what is d"
            ) as caught:
                await ask(client)
            assert 30 <= clock.now - began < 60
            assert name in str(caught.value)
            assert KEY not in str(caught.value)
            assert "\n" not in str(caught.value)

    asyncio.run(run())


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_what_all_requests_get_for_a_while_costs_no_row(name: str, clock: Clock) -> None:
    async def run() -> None:
        async with (
            serving(to_everything(FAULTS[name])) as server,
            ChatClient("m", [server.url], KEY, patience=120, timeout=0.1) as client,
        ):
            asked = [asyncio.create_task(ask(client)) for _ in range(8)]
            while clock.now < 1000 + 75:
                await clock.waited(len(clock.waits) + 1)
            server.handlers, server.short = [answer()], answer()
            assert {one.text for one in await asyncio.gather(*asked)} == {"桜です。"}

    asyncio.run(run())


@pytest.mark.parametrize("name", FAULTS)
def test_what_befalls_the_last_request_alone_fails_it_and_does_not_stop_the_run(name: str) -> None:
    """Whose others are all done: nothing but a request of the client's own shows that the endpoint is well."""

    async def run() -> None:
        async with (
            serving(Server(FAULTS[name])) as server,
            ChatClient("m", [server.url], KEY, patience=30, timeout=0.1) as client,
        ):
            with pytest.raises(Failure) as caught:
                await ask(client)
            assert caught.value.failure_class in ("http_error", "timeout", "bad_response")
            assert server.short_requests

    asyncio.run(run())


@pytest.mark.parametrize("fault", [reset, answer({}, 429), answer({}, 500), hang])
def test_one_endpoint_that_is_well_is_enough_to_fail_the_last_request_alone(fault: Handler) -> None:
    async def run() -> None:
        async with (
            serving(Server(fault)) as well,
            ChatClient("m", [dead_endpoint(), well.url], patience=30, timeout=0.1) as client,
        ):
            with pytest.raises(Failure):
                await ask(client)

    asyncio.run(run())


def test_a_busy_endpoint_is_waited_for_as_long_as_it_answers_others(clock: Clock) -> None:
    """A limit on the rate far below what is asked: whose turn it is to be refused says nothing about the request."""

    async def run() -> None:
        async with (
            serving(Server(refused(7, answer({}, 429)))) as server,
            ChatClient("m", [server.url], patience=30) as client,
        ):
            put_off = asyncio.create_task(ask(client))
            async with client.lease() as conversation:
                while clock.now < 1000 + 300:
                    await clock.waited(len(clock.waits) + 1)
                    await client.complete(conversation, MESSAGES, sampling=Sampling(), seed=8)
            assert not put_off.done()
            server.handlers = [answer()]
            assert (await put_off).text == "桜です。"

    asyncio.run(run())


def test_many_requests_ask_together_whether_an_endpoint_answers() -> None:
    async def run() -> None:
        all_refused = asyncio.Event()

        async def refuse(request: web.Request) -> web.StreamResponse:
            if len(server.bodies) == 32:
                all_refused.set()
            return await answer({}, 404)(request)

        async def wait(request: web.Request) -> web.StreamResponse:
            await all_refused.wait()
            return await answer()(request)

        server = Server(refuse)
        server.short = wait
        async with serving(server), ChatClient("m", [server.url], patience=1000) as client:
            outcomes = await asyncio.gather(*(ask(client) for _ in range(32)), return_exceptions=True)
            assert all(isinstance(outcome, Failure) for outcome in outcomes)
            assert len(server.bodies) == 64
            assert server.short_requests < 64

    asyncio.run(run())


def test_a_refused_request_goes_to_an_endpoint_that_answers() -> None:
    async def run() -> None:
        for status in (401, 429, 500):
            async with (
                serving(to_everything(answer({}, status))) as refusing,
                serving(Server()) as server,
                ChatClient("m", [refusing.url, server.url], patience=30) as client,
            ):
                answers = await asyncio.gather(*(ask(client) for _ in range(8)))
                assert {one.text for one in answers} == {"桜です。"}
                assert refusing.bodies

    asyncio.run(run())
