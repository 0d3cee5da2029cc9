"""Putting many requests to a model: one client, a limit in flight, and answers kept so that none is paid twice."""

import asyncio
import hashlib
import json
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Self

import aiohttp
import orjson
import stamina.instrumentation

from datagen.access import base_url
from datagen.engines.openai import ChatClient
from datagen.engines.wire.chat import ServerRefusedError, request_completion
from datagen.engines.wire.endpoints import check_endpoints
from datagen.errors import DatagenError
from datagen.event_loops import run_to_end
from datagen.failures import Failure

_ASKING_SECONDS = 60.0

ShowProgress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""Takes a title and a total; yields what is told of finished steps."""


class ModelServer(NamedTuple):
    """A model and how to reach it.

    Attributes:
        endpoints: base URLs; none means that vLLM serves the model here.
        model: its name.
        key: the API key.
        in_flight: requests at once.
        request: further fields of every request, such as chat_template_kwargs.
        key_environment: the variable that the key was read from, for messages.
    """

    endpoints: tuple[str, ...]
    model: str
    key: str | None
    in_flight: int
    request: Mapping[str, Any] = MappingProxyType({})
    key_environment: str = ""


class AnswerJournal:
    """Answers by the digest of what was asked, appended to a file of JSON lines as they come.

    A last line that a killed run left unfinished is passed over.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.answers: dict[str, Any] = {}

    def __enter__(self) -> Self:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = self._read() if self._path.exists() else False
            self._file = self._path.open("a", encoding="utf-8")
            if unfinished:
                self._file.write("\n")
        except OSError as error:
            raise DatagenError(f"The journal {self._path} cannot be written: {error.strerror}.") from error
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, key: str, answer: Any) -> None:
        """Keep an answer."""
        try:
            self._file.write(json.dumps({"key": key, "answer": answer}, ensure_ascii=False) + "\n")
            self._file.flush()
        except OSError as error:
            raise DatagenError(
                f"The journal {self._path} cannot be written: {error.strerror}. Free some space and run the same "
                "command again: the answers before are kept."
            ) from error
        self.answers[key] = answer

    def _read(self) -> bool:
        """Read the answers, and return whether the file ends within a line."""
        text = self._path.read_text(encoding="utf-8", errors="replace")
        for line in text.split("\n"):  # str.splitlines() would cut an answer at U+2028
            try:
                entry = json.loads(line)
                self.answers[entry["key"]] = entry["answer"]
            except (ValueError, LookupError, TypeError, RecursionError):
                continue
        return bool(text) and not text.endswith("\n")


def request_key(*parts: Any) -> str:
    """Return the digest of what makes a request this request (model, messages, sampling, seed, …)."""
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False, sort_keys=True).encode()).hexdigest()[:32]


def run_all(
    server: ModelServer,
    tasks: Callable[[ChatClient], Iterable[Coroutine[Any, Any, None]]],
    advance: Callable[[int], None],
) -> None:
    """Run coroutines against a server, at most `server.in_flight` at once; the first error stops them all.

    Args:
        server: where to ask; its model must be known, see `checked`.
        tasks: returns the coroutines, given the client.
        advance: told of finished coroutines.
    """
    stamina.instrumentation.set_on_retry_hooks(())  # retries are not said one by one

    async def run() -> None:
        async with ChatClient(server.model, server.endpoints, server.key, extra_body=server.request) as client:
            waiting = iter(tasks(client))

            async def work() -> None:
                for task in waiting:
                    await task
                    advance(1)

            workers = [asyncio.create_task(work()) for _ in range(server.in_flight)]
            try:
                await asyncio.gather(*workers)
            finally:
                for worker in workers:
                    worker.cancel()
                await asyncio.gather(*workers, return_exceptions=True)
                for task in waiting:
                    task.close()

    run_to_end(run())


def checked(server: ModelServer) -> ModelServer:
    """Return the server with the name of its model, once all endpoints have answered.

    Raises:
        DatagenError: an endpoint does not answer, or does not serve the model.
    """
    try:
        endpoints = tuple(map(base_url, server.endpoints))
    except ValueError as error:
        raise DatagenError(f"--endpoint: {error}.") from error
    model = run_to_end(check_endpoints(server.model, endpoints, server.key))
    found = server._replace(endpoints=endpoints, model=model)
    run_to_end(_refuse_wrong_key(found))
    return found


async def _refuse_wrong_key(server: ModelServer) -> None:
    """Ask every endpoint for one token, since some list their models to everybody.

    Raises:
        DatagenError: the key is missing or wrong.
    """
    body = {"model": server.model, "messages": [{"role": "user", "content": "花"}], "max_tokens": 1}
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {server.key}"} if server.key else {})
    async with aiohttp.ClientSession(headers=headers) as session:
        for endpoint in server.endpoints:
            try:
                await request_completion(
                    session, endpoint, orjson.dumps(body), max_tokens=1, key=server.key, seconds=_ASKING_SECONDS
                )
            except ServerRefusedError as error:
                if error.status in (401, 403):
                    named = (
                        f"the key in {server.key_environment}" if server.key_environment else "requests without a key"
                    )
                    raise DatagenError(
                        f"The endpoint {endpoint} does not take {named} ({error}). Put its API key into an environment "
                        "variable, and name the variable with --api-key-env."
                    ) from error
            except (Failure, aiohttp.ClientError, TimeoutError):
                continue  # whether it answers is asked of every request
