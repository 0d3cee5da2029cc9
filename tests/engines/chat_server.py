"""A chat server that answers as it is told, a clock that waits move on, and ways to ask."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
from aiohttp import web

from datagen.engines.openai import ChatClient
from datagen.engines.wire.chat import Completion
from datagen.failures import Failure
from prompts import Sampling
from tests.conftest import free_port

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


def completion(text: Any = "桜です。", **changes: Any) -> dict[str, Any]:
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return {"choices": [choice], "usage": {"prompt_tokens": 12, "completion_tokens": 3}, **changes}


class Server:
    """An endpoint that answers as it is told, one handler after the other, the last one for ever.

    Requests without a seed, by which the client finds out whether it answers at all, are told apart.
    """

    def __init__(self, *handlers: Handler) -> None:
        self.handlers = list(handlers) or [answer()]
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[Any] = []
        self.models = LISTED
        self.short = answer()
        self.short_requests = 0
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def respond(self, request: web.Request) -> web.StreamResponse:
        body = orjson.loads(await request.read())
        if "seed" not in body:
            self.short_requests += 1
            return await self.short(request)
        self.bodies.append(body)
        self.headers.append(request.headers)
        handler = self.handlers[min(len(self.bodies), len(self.handlers)) - 1]
        return await handler(request)

    async def list_models(self, request: web.Request) -> web.StreamResponse:
        return await self.models(request)


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
    runner = web.AppRunner(application, shutdown_timeout=0, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, reuse_address=True).start()
    server.port = runner.addresses[0][1]
    try:
        yield server
    finally:
        await runner.cleanup()


async def ask(client: ChatClient, conversation: Any = None, **options: Any) -> Completion:
    if conversation is None:
        async with client.lease() as conversation:
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


def dead_endpoint() -> str:
    return f"http://127.0.0.1:{free_port()}/v1"
