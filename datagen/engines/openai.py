"""The chat client: requests over HTTP to one or several replicas of a model.

Whose fault a fault is, is asked and not guessed. What speaks of the request (400, 413, 422) fails it at once. Any other
fault counts as the request's own only if its replica answers something else right after it: another request, or one of
the same shape about a plain picture. So many of them, and the request has failed. All other faults are the endpoint's:
requests wait, with jitter and a cap, until any replica answers again, and when none has for `patience`, the run stops.

All turns of one image go to one replica, so that its prefix and encoder caches hit, and a vLLM server gets the bytes of
a picture once; when the replica does not answer its leases fail over to another one. A status other than 2xx is never a
result.
"""

import asyncio
import math
import random
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import aiohttp
import stamina

from datagen.engine_settings import EngineSettings
from datagen.engines import ChatMessage
from datagen.engines.wire.chat import Completion, ServerRefusedError, request_completion
from datagen.engines.wire.endpoints import answers_like, takes_names
from datagen.engines.wire.replicas import Replica, ReplicaLease, Replicas
from datagen.engines.wire.request import ChatRequest
from datagen.errors import DatagenError
from datagen.failures import Failure
from prompts import Sampling

_FIRST_WAIT = 0.2
_SEND_BYTES = 1 << 20
_PASSING_TRIES = 6
_REFUSAL_TRIES = 2
"""And not one: an endpoint may be back between a refusal and the question whether it answers."""
_TIMEOUT_TRIES = 3
_BAD_RESPONSE_TRIES = 2
_Fault = ServerRefusedError | aiohttp.ClientError | TimeoutError | Failure


class EndpointsGoneError(DatagenError):
    """No replica of an engine has answered for the engine's `patience`; the run stops and can be resumed."""


class _OnceMoreError(Exception):
    """A request is to be made again, after the seconds that the server asks for if it does."""

    def __init__(self, seconds: float | None) -> None:
        super().__init__()
        self.seconds = seconds


@dataclass
class ChatClient:
    """A client of one engine.

    Use it as an asynchronous context manager, inside one event loop.

    Attributes:
        model: the name sent with every request.
        endpoints: base URLs, `http://host:port/v1`.
        key: the API key, sent as a bearer token and shown nowhere.
        timeout: seconds for one answer.
        patience: seconds without an answer from any replica after which `EndpointsGoneError` is raised. A request whose
            connections alone break has twice as long.
        extra_body: fields that are put into every request beside those of datagen.
        headers: of every request, beside those of datagen.
        structured: whether answers are held to the schema that is asked for.
        retries: how many errors have been met so far.
    """

    needs_server: ClassVar[bool] = True

    model: str
    endpoints: Sequence[str]
    key: str | None = None
    timeout: float = 180.0
    patience: float = 120.0
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    structured: bool = True
    retries: int = field(default=0, init=False)
    _replicas: Replicas = field(init=False)
    _session: aiohttp.ClientSession = field(init=False)

    @classmethod
    def of(cls, engine: EngineSettings, key: str | None) -> Self:
        """Return the client of an engine whose endpoints are known."""
        return cls(
            engine.model,
            engine.endpoints,
            key,
            engine.timeout,
            engine.patience,
            engine.extra_body,
            engine.headers,
            engine.structured_outputs,
        )

    async def __aenter__(self) -> Self:
        self._replicas = Replicas(self.endpoints)
        headers = {**self.headers, "Content-Type": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        self._session = aiohttp.ClientSession(
            # Servers close idle connections after 5 s (uvicorn); being first avoids writing into a closed one.
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=4, socket_factory=_socket),
            timeout=aiohttp.ClientTimeout(total=self.timeout, sock_connect=10),
            headers=headers,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    def serve_from(self, endpoints: Sequence[str]) -> None:
        """Take in where the replicas are now; while there are none, requests wait, and no patience is lost."""
        self.endpoints = tuple(endpoints)
        self._replicas.become(self.endpoints)

    @asynccontextmanager
    async def lease(self) -> AsyncIterator[ReplicaLease]:
        """Hold the least busy replica for all turns of one sample."""
        lease = await self._replicas.lease()
        try:
            yield lease
        finally:
            self._replicas.release(lease)

    async def complete(
        self,
        lease: ReplicaLease,
        messages: Sequence[ChatMessage],
        *,
        sampling: Sampling,
        seed: int,
        schema: Mapping[str, Any] | None = None,
        choices: Sequence[str] | None = None,
    ) -> Completion:
        """Ask for one answer.

        Args:
            lease: from `lease()`.
            messages: the chat so far; a picture's part may have its name as `uuid`.
            sampling: temperature, top_p and max_tokens.
            seed: makes the draw repeatable on the server.
            schema: a JSON schema that the answer is held to.
            choices: the only answers allowed (a vLLM extension).

        Raises:
            Failure: this request cannot be answered (`http_error`, `timeout`, `bad_response`).
            EndpointsGoneError: no replica answers any more.
        """
        request = ChatRequest(self._body(sampling, schema, choices), messages, seed)
        faults = _Faults(self, lease, request)
        try:
            return await self._tried(lease, request, faults)
        except _OnceMoreError as first:
            # Nearly all requests are answered at once, and need none of what follows.
            seconds = _once_more(first)
            await asyncio.sleep(random.uniform(0, 2 * _FIRST_WAIT) if seconds is True else seconds)
        async for attempt in stamina.retry_context(
            on=_once_more, attempts=None, timeout=None, wait_initial=2 * _FIRST_WAIT, wait_max=8.0
        ):
            with attempt:
                return await self._tried(lease, request, faults)
        raise AssertionError("the retry loop neither returned nor raised")

    async def _tried(self, lease: ReplicaLease, request: ChatRequest, faults: "_Faults") -> Completion:
        """Ask once, and return the answer or raise what becomes of the request."""
        replica, began = await self._replicas.hold(lease), time.monotonic()
        try:
            completion = await self._ask(lease, request)
        except (ServerRefusedError, aiohttp.ClientError, TimeoutError, Failure) as fault:
            raise await faults.outcome(fault, began) from fault
        replica.well()
        return completion

    def _body(
        self, sampling: Sampling, schema: Mapping[str, Any] | None, choices: Sequence[str] | None
    ) -> dict[str, Any]:
        """Return what a request asks for, without its messages."""
        body: dict[str, Any] = {**self.extra_body, "model": self.model, **dict(sampling)}
        if schema is not None and self.structured:
            named = {"name": "answer", "schema": schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": named}
        if choices is not None and self.structured:
            body["structured_outputs"] = {"choice": list(choices)}
        return body

    async def _ask(self, lease: ReplicaLease, request: ChatRequest) -> Completion:
        """Ask once; a picture that the replica has seen is named, and sent again if it has forgotten it."""
        replica = lease.replica
        if not request.names or not await self._takes_names(replica):
            return await self._post(replica, request.without_names, request)
        if request.names <= lease.seen:
            try:
                return await self._post(replica, request.without_bytes, request)
            except ServerRefusedError as refusal:
                if not refusal.of_the_request:
                    raise
                replica.takes_names = False  # it has no room for pictures; or the request has another fault
                return await self._post(replica, request.without_names, request)
        completion = await self._post(replica, request.whole, request)
        lease.seen |= request.names
        return completion

    async def _post(self, replica: Replica, payload: bytes, request: ChatRequest) -> Completion:
        return await request_completion(
            self._session, replica.url, payload, max_tokens=request.body["max_tokens"], key=self.key
        )

    async def _takes_names(self, replica: Replica) -> bool:
        """Whether a replica takes pictures by their names; it is asked once."""
        if replica.takes_names is None:
            async with replica.asking:
                if replica.takes_names is None:
                    replica.takes_names = await takes_names(self._session, replica.url)
        return replica.takes_names

    @property
    def heard(self) -> float:
        """When a replica last answered anything, or others took their place."""
        return max(self._replicas.answered, self._replicas.changed)

    async def answers(self, replica: Replica, since: float, request: ChatRequest) -> bool:
        """Whether a replica has answered anything since a moment; when it has not, it is asked something like it."""
        called = time.monotonic()
        async with replica.asking:
            # Whoever waited here while another asked takes that answer.
            if replica.answered < since and replica.asked <= called:
                if await answers_like(self._session, replica.url, request.control, request.body["max_tokens"]):
                    replica.well()
                replica.asked = time.monotonic()
        return replica.answered >= since

    async def any_answers(self, since: float, request: ChatRequest) -> bool:
        """Whether any replica has answered since a moment; when none has, each is asked."""
        return self._replicas.answered >= since or any(
            await asyncio.gather(*(self.answers(replica, since, request) for replica in self._replicas.all))
        )

    def fail_over(self, lease: ReplicaLease) -> None:
        """Avoid a replica that does not answer for a while, and continue elsewhere."""
        self._replicas.fail_over(lease)

    @property
    def changed(self) -> float:
        """When the replicas were last others than before."""
        return self._replicas.changed

    def gone(self, fault: _Fault) -> EndpointsGoneError:
        """Return what stops the run."""
        return EndpointsGoneError(
            f"No endpoint of the model {self.model} has answered for {self.patience:g} s "
            f"({', '.join(self.endpoints)}; last: {self._redacted(str(fault)) or type(fault).__name__}). "
            f"{_remedy(fault)} and run the same command: what is done is kept."
        )

    def _redacted(self, text: str) -> str:
        return text.replace(self.key, "***") if self.key else text


class _Faults:
    """What has befallen one request so far, and what becomes of it."""

    def __init__(self, client: ChatClient, lease: ReplicaLease, request: ChatRequest) -> None:
        self._client = client
        self._lease = lease
        self._request = request
        self._own: Counter[str] = Counter()
        self._since = math.inf

    async def outcome(self, fault: _Fault, began: float) -> _OnceMoreError | Failure | EndpointsGoneError:
        """Return the error that decides after a try that began at a moment: once more, the row's end, or the run's."""
        client, request = self._client, self._request
        client.retries += 1
        failure, tries = self._failure(fault)
        if isinstance(fault, ServerRefusedError) and fault.of_the_request:
            return failure
        once_more = _OnceMoreError(fault.retry_after if isinstance(fault, ServerRefusedError) else None)
        now = time.monotonic()
        self._since = min(self._since, now)
        if tries is not None and await client.answers(self._lease.replica, began, request):
            self._own[failure.failure_class] += 1
            if isinstance(fault, TimeoutError):
                client.fail_over(self._lease)
            return failure if self._own[failure.failure_class] >= tries else once_more
        client.fail_over(self._lease)
        now = time.monotonic()
        waited = now - max(self._since, client.changed)
        alone = isinstance(fault, aiohttp.ClientError) and waited >= 2 * client.patience
        if min(waited, now - client.heard) < client.patience and not alone:
            return once_more
        if not await client.any_answers(began, request):
            return client.gone(fault) if now - client.heard >= client.patience else once_more
        return failure if tries is None else once_more

    def _failure(self, fault: _Fault) -> tuple[Failure, int | None]:
        """Return how a row fails by a fault, and by how many of them that are its own; None where patience decides."""
        client = self._client
        if isinstance(fault, Failure):
            return Failure(fault.failure_class, fault.message), _BAD_RESPONSE_TRIES
        if isinstance(fault, ServerRefusedError):
            tries = None if fault.busy else _PASSING_TRIES if fault.passing else _REFUSAL_TRIES
            return Failure("http_error", str(fault)), tries
        if isinstance(fault, aiohttp.ClientError):
            message = "the connection broke again and again, while other requests were answered"
            return Failure("http_error", message), None
        return Failure("timeout", f"no answer within {client.timeout:g} s, {_TIMEOUT_TRIES} times"), _TIMEOUT_TRIES


def _socket(address: Any) -> socket.socket:
    """Return a socket whose buffer takes a request with a picture at once, which costs fewer calls and copies."""
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BYTES)
    return made


def _once_more(error: Exception) -> bool | float:
    """Say whether a request is made again, and after how many seconds."""
    if not isinstance(error, _OnceMoreError):
        return False
    return True if error.seconds is None else error.seconds + random.uniform(0, 0.5)


def _remedy(fault: _Fault) -> str:
    if isinstance(fault, ServerRefusedError):
        if fault.busy:
            return "It takes no requests; wait until it does, or send fewer at once (in_flight)"
        return "See to its key, its model and its health"
    if isinstance(fault, Failure):
        return "See to what answers at that address"
    if isinstance(fault, aiohttp.ClientError):
        return "Start it again"
    return "See to its health, or raise timeout or send fewer requests at once (in_flight),"
