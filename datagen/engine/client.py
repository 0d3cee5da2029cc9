"""The chat client: requests over HTTP to one or several replicas of a model.

What can pass is tried again with jitter and a cap (refused and broken connections, time limits, 408, 409, 425, 429,
5xx), and a response that is no chat completion is asked for once more; all else is not. A status other than 2xx is
never a result. All turns of one image go to one replica, so that its prefix and encoder caches hit; when the replica
dies its conversations move to another one. A refusal is the row's own fault only as long as the endpoint still lists
the model for this key; where it does not, the endpoint is as good as gone.
"""

import math
import random
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

import aiohttp
import orjson
import stamina

from datagen.engine.endpoints import serves
from datagen.engine.retrying import retry_after_seconds
from datagen.errors import DatagenError
from datagen.failures import Failure
from prompts import Sampling

ChatMessage = Mapping[str, Any]
"""One message as the chat API takes it; parts may hold `orjson.Fragment`s, which are spliced in as they are."""

_PASSING_STATUSES = frozenset({408, 409, 425, 429})
_DOUBTFUL_STATUSES = frozenset({401, 403, 404})
_HTTP_TRIES = 6
_TIMEOUT_TRIES = 3
_BAD_RESPONSE_TRIES = 2
_MOST_TOKENS = 2**31 - 1
_DOWN_SECONDS = 5.0


class EndpointsGoneError(DatagenError):
    """No replica of an engine has answered for the engine's `patience`; the run stops and can be resumed."""


class Completion(NamedTuple):
    """One answer. The token counts are 0 when the server reports none."""

    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int


class _ServerRefusedError(Exception):
    """A response with a status other than 2xx."""

    def __init__(self, status: int, excerpt: str, retry_after: float | None) -> None:
        super().__init__(f"HTTP {status}: {excerpt}")
        self.status = status
        self.retry_after = retry_after

    @property
    def passing(self) -> bool:
        return self.status in _PASSING_STATUSES or self.status >= 500

    @property
    def doubtful(self) -> bool:
        """Whether it may be about the endpoint (its key, its model, its engine) and not about the request."""
        return self.status in _DOUBTFUL_STATUSES or self.status >= 500


class _OutOfServiceError(aiohttp.ClientError):
    """An endpoint refuses a request and does not list the model either; to be treated as a broken connection."""


@dataclass(eq=False)
class Replica:
    """One endpoint with the number of conversations it holds and the time until which it is avoided."""

    url: str
    conversations: int = 0
    down_until: float = 0.0


@dataclass
class Conversation:
    """A place in a replica's queue, held for all turns of one image."""

    replica: Replica


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
        retries: how many errors have been met so far.
    """

    model: str
    endpoints: Sequence[str]
    key: str | None = None
    timeout: float = 180.0
    patience: float = 120.0
    retries: int = field(default=0, init=False)
    _replicas: list[Replica] = field(init=False)
    _session: aiohttp.ClientSession = field(init=False)
    _last_sign_of_life: float = field(init=False)

    async def __aenter__(self) -> Self:
        self._replicas = [Replica(url) for url in self.endpoints]
        self._last_sign_of_life = time.monotonic()
        headers = {"Content-Type": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        self._session = aiohttp.ClientSession(
            # Servers close idle connections after 5 s (uvicorn); being first avoids writing into a closed one.
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=4),
            timeout=aiohttp.ClientTimeout(total=self.timeout, sock_connect=10),
            headers=headers,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    @asynccontextmanager
    async def conversation(self) -> AsyncIterator[Conversation]:
        """Hold a place at the least busy replica for all turns of one image."""
        conversation = Conversation(self._least_busy())
        conversation.replica.conversations += 1
        try:
            yield conversation
        finally:
            conversation.replica.conversations -= 1

    async def complete(
        self,
        conversation: Conversation,
        messages: Sequence[ChatMessage],
        *,
        sampling: Sampling,
        seed: int,
        schema: Mapping[str, Any] | None = None,
        choices: Sequence[str] | None = None,
    ) -> Completion:
        """Ask for one answer.

        Args:
            conversation: the place at a replica, from `conversation()`.
            messages: the chat so far.
            sampling: temperature, top_p and max_tokens.
            seed: makes the draw repeatable on the server.
            schema: a JSON schema that the answer is held to.
            choices: the only answers allowed (a vLLM extension).

        Raises:
            Failure: this request cannot be answered (`http_error`, `timeout`, `bad_response`).
            EndpointsGoneError: no replica answers any more.
        """
        body: dict[str, Any] = {"model": self.model, "messages": messages, "seed": seed, **sampling.model_dump()}
        if schema is not None:
            named = {"name": "answer", "schema": schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": named}
        if choices is not None:
            body["structured_outputs"] = {"choice": list(choices)}
        payload = orjson.dumps(body)
        try:
            async for attempt in stamina.retry_context(
                on=_Retrying(self, conversation).decide, attempts=None, timeout=None, wait_initial=0.2, wait_max=8.0
            ):
                with attempt:
                    return await self._post(conversation.replica, payload)
        except _ServerRefusedError as error:
            raise Failure("http_error", str(error)) from error
        except aiohttp.ClientError as error:
            if self.silence < self.patience:
                raise Failure(
                    "http_error",
                    "the connection broke again and again, while other requests were answered",
                ) from error
            remedy = (
                "See to its key, its model and its health"
                if isinstance(error, _OutOfServiceError)
                else "Start it again"
            )
            raise EndpointsGoneError(
                f"No endpoint of the model {self.model} has answered for {self.patience:g} s "
                f"({', '.join(self.endpoints)}; last: {self._redacted(str(error)) or type(error).__name__}). "
                f"{remedy} and run the same command: what is done is kept."
            ) from error
        except TimeoutError as error:
            raise Failure("timeout", f"no answer within {self.timeout:g} s, {_TIMEOUT_TRIES} times") from error
        raise AssertionError("the retry loop neither returned nor raised")

    @property
    def silence(self) -> float:
        """The seconds since a replica last answered anything."""
        return time.monotonic() - self._last_sign_of_life

    async def _post(self, replica: Replica, payload: bytes) -> Completion:
        address = f"{replica.url}/chat/completions"
        async with self._session.post(address, data=payload, allow_redirects=False) as response:
            content = await response.read()
            if not 200 <= response.status < 300:
                excerpt = self._redacted(" ".join(content.decode("utf-8", "replace").split()))[:300]
                retry_after = retry_after_seconds(response.headers.get("Retry-After"))
                refusal = _ServerRefusedError(response.status, excerpt, retry_after)
                if refusal.doubtful and not await serves(replica.url, self.model, self.key):
                    raise _OutOfServiceError(str(refusal)) from refusal
                self._last_sign_of_life = time.monotonic()
                raise refusal
        self._last_sign_of_life = time.monotonic()
        return _read_completion(content)

    def _least_busy(self) -> Replica:
        now = time.monotonic()
        return min(self._replicas, key=lambda replica: (max(replica.down_until - now, 0.0), replica.conversations))

    def move(self, conversation: Conversation) -> None:
        """Avoid a replica that broke a connection for a while, and continue its conversation elsewhere."""
        conversation.replica.down_until = time.monotonic() + _DOWN_SECONDS
        conversation.replica.conversations -= 1
        conversation.replica = self._least_busy()
        conversation.replica.conversations += 1

    def _redacted(self, text: str) -> str:
        return text.replace(self.key, "***") if self.key else text


class _Retrying:
    """What decides, for one request, whether an error is worth another try, and after how many seconds."""

    def __init__(self, client: ChatClient, conversation: Conversation) -> None:
        self._client = client
        self._conversation = conversation
        self._refused = 0
        self._timeouts = 0
        self._bad_responses = 0
        self._broken_since = math.inf

    def decide(self, error: Exception) -> bool | float:
        self._client.retries += 1
        if isinstance(error, _ServerRefusedError):
            self._refused += 1
            if not error.passing or self._refused >= _HTTP_TRIES:
                return False
            return True if error.retry_after is None else error.retry_after + random.uniform(0, 0.5)
        if isinstance(error, Failure):
            self._bad_responses += 1
            return self._bad_responses < _BAD_RESPONSE_TRIES
        if isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ConnectionTimeoutError):
            self._timeouts += 1
            self._client.move(self._conversation)
            return self._timeouts < _TIMEOUT_TRIES
        if isinstance(error, aiohttp.ClientError):
            now = time.monotonic()
            self._broken_since = min(self._broken_since, now)
            self._client.move(self._conversation)
            broken = now - self._broken_since
            return min(broken, self._client.silence) < self._client.patience and broken < 2 * self._client.patience
        return False


def _read_completion(content: bytes) -> Completion:
    try:
        document = orjson.loads(content)
        choice = document["choices"][0]
        text, finish_reason = choice["message"]["content"] or "", choice.get("finish_reason") or ""
        usage = document.get("usage") or {}
        prompt_tokens, completion_tokens = (
            int(usage.get(name) or 0) for name in ("prompt_tokens", "completion_tokens")
        )
    except (orjson.JSONDecodeError, LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise Failure("bad_response", f"the response is not a chat completion ({type(error).__name__})") from error
    if not isinstance(text, str) or not isinstance(finish_reason, str):
        raise Failure("bad_response", "the response is not a chat completion (its answer is no text)")
    if not 0 <= prompt_tokens <= _MOST_TOKENS or not 0 <= completion_tokens <= _MOST_TOKENS:
        raise Failure("bad_response", "the response is not a chat completion (its token counts are impossible)")
    return Completion(text, finish_reason, prompt_tokens, completion_tokens)
