"""The chat client against servers at fault: what is tried again, what is not, where a conversation goes on, and when a
run stops."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from aiohttp import web

from datagen.engine import client as client_module
from datagen.engine.client import ChatClient, Completion, EndpointsGoneError
from datagen.engine.retrying import retry_after_seconds
from datagen.errors import DatagenError
from datagen.failures import Failure
from prompts import Sampling

KEY = "sk-very-secret-key"
MESSAGES = [{"role": "user", "content": "何の花ですか？"}]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Clock:
    """A clock that waits move on, so that patience is tested without waiting."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []
        self._changed = asyncio.Condition()

    async def wait(self, seconds: float) -> None:
        self.now += seconds
        self.waits.append(seconds)
        async with self._changed:
            self._changed.notify_all()

    async def waited(self, times: int) -> None:
        """Return when somebody has waited so often."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.waits) >= times)

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    sleep = asyncio.sleep

    async def pass_at_once(seconds: float, *arguments: Any) -> None:
        if seconds > 0:
            await clock.wait(seconds)
        await sleep(0, *arguments)

    monkeypatch.setattr(asyncio, "sleep", pass_at_once)
    monkeypatch.setattr(client_module, "time", clock)
    return clock


def completion(text: Any = "桜です。", **changes: Any) -> dict[str, Any]:
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return {"choices": [choice], "usage": {"prompt_tokens": 12, "completion_tokens": 3}, **changes}


class Server:
    """An endpoint that answers as it is told, one handler after the other, the last one for ever."""

    def __init__(self, *handlers: Handler) -> None:
        self.handlers = list(handlers) or [answer()]
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[Any] = []
        self.models = LISTED
        self.health = answer(b"")
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def respond(self, request: web.Request) -> web.StreamResponse:
        self.bodies.append(orjson.loads(await request.read()))
        self.headers.append(request.headers)
        handler = self.handlers[min(len(self.bodies), len(self.handlers)) - 1]
        return await handler(request)

    async def list_models(self, request: web.Request) -> web.StreamResponse:
        return await self.models(request)

    async def say_health(self, request: web.Request) -> web.StreamResponse:
        return await self.health(request)


def answer(document: Any = None, status: int = 200, headers: dict[str, str] | None = None) -> Handler:
    body = document if isinstance(document, bytes) else orjson.dumps(completion() if document is None else document)

    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(body=body, status=status, headers=headers)

    return handler


LISTED = answer({"data": [{"id": "m"}]})


async def reset(request: web.Request) -> web.StreamResponse:
    """Break the connection before an answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


@asynccontextmanager
async def serving(server: Server, port: int = 0) -> AsyncIterator[Server]:
    application = web.Application()
    application.router.add_post("/v1/chat/completions", server.respond)
    application.router.add_get("/v1/models", server.list_models)
    application.router.add_get("/health", server.say_health)
    runner = web.AppRunner(application, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, reuse_address=True).start()
    server.port = runner.addresses[0][1]
    try:
        yield server
    finally:
        await runner.cleanup()


async def ask(client: ChatClient, conversation: Any = None, **options: Any) -> Completion:
    if conversation is None:
        async with client.conversation() as conversation:
            return await ask(client, conversation, **options)
    return await client.complete(conversation, MESSAGES, sampling=Sampling(), seed=7, **options)


def outcome_of(*handlers: Handler, **options: Any) -> tuple[Completion | Failure, Server, ChatClient]:
    """Ask one server once."""

    async def run() -> tuple[Completion | Failure, Server, ChatClient]:
        async with (
            serving(Server(*handlers)) as server,
            ChatClient("m", [server.url], **{"key": KEY, "patience": 30.0, **options}) as client,
        ):
            try:
                return await ask(client), server, client
            except Failure as failure:
                return failure, server, client

    outcome, server, client = asyncio.run(run())
    assert KEY not in str(outcome)
    return outcome, server, client


def failure_of(*handlers: Handler, **options: Any) -> tuple[Failure, Server]:
    outcome, server, _ = outcome_of(*handlers, **options)
    assert isinstance(outcome, Failure)
    return outcome, server


def test_an_answer_is_read_and_the_request_holds_what_was_asked() -> None:
    async def run() -> None:
        async with serving(Server()) as server, ChatClient("m", [server.url], KEY) as client:
            first = await ask(client, schema={"type": "object"})
            await ask(client, choices=["桜", "梅"])
            assert first == Completion("桜です。", "stop", 12, 3)
            assert client.retries == 0
            body, choice = server.bodies
            assert {name: body[name] for name in ("model", "messages", "seed")} == {
                "model": "m", "messages": MESSAGES, "seed": 7,
            }  # fmt: skip
            assert {name: body[name] for name in Sampling.model_fields} == Sampling().model_dump()
            assert body["response_format"]["json_schema"]["schema"] == {"type": "object"}
            assert choice["structured_outputs"] == {"choice": ["桜", "梅"]}
            assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
            assert server.headers[0]["Content-Type"] == "application/json"

    asyncio.run(run())


# Statuses


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
def test_what_cannot_pass_is_never_retried_and_never_a_result(status: int) -> None:
    failure, server = failure_of(answer(completion("a result?"), status))
    assert failure.failure_class == "http_error"
    assert failure.message.startswith(f"HTTP {status}: ")
    assert len(server.bodies) == 1


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again_and_succeeds(status: int) -> None:
    outcome, server, client = outcome_of(answer({}, status), answer({}, status), answer())
    assert isinstance(outcome, Completion)
    assert len(server.bodies) == 3
    assert client.retries == 2
    assert server.bodies[0] == server.bodies[2]


@pytest.mark.parametrize("status", [429, 500])
def test_what_stays_ends_after_six_tries(status: int) -> None:
    failure, server = failure_of(answer(completion("a result?"), status))
    assert failure.failure_class == "http_error"
    assert len(server.bodies) == 6


def test_retry_after_is_honoured(clock: Clock) -> None:
    outcome_of(answer({}, 429, {"Retry-After": "21"}), answer())
    assert len(clock.waits) == 1
    assert 21 <= clock.waits[0] < 22


def test_retry_after_in_all_its_forms(monkeypatch: pytest.MonkeyPatch) -> None:
    class Fixed:
        @staticmethod
        def time() -> float:
            return 784111777.0  # Sun, 06 Nov 1994 08:49:37 GMT

    monkeypatch.setattr("datagen.engine.retrying.time", Fixed)
    wanted = {
        "Sun, 06 Nov 1994 08:49:47 GMT": 10.0, "Sun, 06 Nov 1994 08:00:00 GMT": 0.0,
        "Fri, 31 Dec 9999 23:59:59 GMT": 60.0, "0": 0.0, " 5 ": 5.0, "9" * 400: 60.0,
        "": None, "nan": None, "inf": None, "-1": None, "soon": None, "５": None,
    }  # fmt: skip
    assert {header: retry_after_seconds(header) for header in wanted} == wanted
    assert retry_after_seconds(None) is None


def test_the_key_is_shown_in_no_error() -> None:
    long = b" " * 20 + b"x" * (300 - 8) + KEY.encode() * 3  # an excerpt that would be cut in the middle of the key
    for status in (400, 500):
        for body in (f"invalid key {KEY}!".encode(), long, orjson.dumps({"error": {"message": KEY}})):
            failure, _ = failure_of(answer(body, status))
            for part in (KEY, KEY[:8], KEY[4:12]):
                assert part not in failure.message
            assert failure.message.startswith(f"HTTP {status}")


# Responses


@pytest.mark.parametrize(
    "document",
    [
        b"", b"not json", b"<html>busy</html>", b'{"choices": [{"message": {"content": "cut', b"null", b"[]", b"5",
        b"\xff\xfe", {}, {"choices": []}, {"choices": None}, {"choices": [{}]}, {"choices": [{"message": None}]},
        {"choices": [{"text": "x"}]}, completion(["a", "list"]), completion(5), completion({"a": 1}),
        completion(usage=[1]), completion(usage={"prompt_tokens": "many"}), completion(usage={"prompt_tokens": 10**12}),
        completion(usage={"completion_tokens": -1}), {"error": {"message": "in a 200"}},
        {"choices": [{"message": {"content": "x"}, "finish_reason": 5}]}, {"choices": {"0": 1}}, {"choices": "x"},
    ],
)  # fmt: skip
def test_what_is_no_chat_completion_is_asked_for_once_more_and_then_a_failure(document: Any) -> None:
    failure, server = failure_of(answer(document))
    assert failure.failure_class == "bad_response"
    assert "not a chat completion" in failure.message
    assert len(server.bodies) == 2
    outcome, _, _ = outcome_of(answer(document), answer())
    assert isinstance(outcome, Completion)


@pytest.mark.parametrize(
    ("document", "wanted"),
    [
        (completion(None), Completion("", "stop", 12, 3)),
        (completion("x", usage=None), Completion("x", "stop", 0, 0)),
        ({"choices": [{"message": {"content": "x"}}]}, Completion("x", "", 0, 0)),
        (completion("x", usage={"prompt_tokens": None}), Completion("x", "stop", 0, 0)),
    ],
)
def test_what_may_be_missing_is_empty(document: Any, wanted: Completion) -> None:
    outcome, server, _ = outcome_of(answer(document))
    assert outcome == wanted
    assert len(server.bodies) == 1


# Connections


def dead_endpoint() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/v1"


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


def test_the_client_takes_its_key_and_its_pictures_to_no_other_host() -> None:
    async def run() -> None:
        async with serving(Server()) as other:
            redirect = answer(b"", 307, {"Location": f"{other.url}/chat/completions"})
            async with serving(Server(redirect)) as first, ChatClient("m", [first.url], KEY) as client:
                with pytest.raises(Failure, match="HTTP 307"):
                    await ask(client)
            assert other.bodies == []

    asyncio.run(run())
