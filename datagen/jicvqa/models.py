"""Putting many requests to a model: one client, a limit in flight, and answers kept so that none is paid twice."""

import asyncio
import hashlib
import json
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple, Self

from datagen.access import base_url
from datagen.engines.openai import ChatClient
from datagen.engines.wire.endpoints import check_endpoints
from datagen.errors import DatagenError
from datagen.event_loops import run_to_end
from datagen.stages.frames import without_thinking
from prompts import Sampling

ShowProgress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""Takes a title and a total; yields what is told of finished steps."""


class ModelServer(NamedTuple):
    """A model and how to reach it: base URLs, the model's name, the API key, and requests in flight at once."""

    endpoints: tuple[str, ...]
    model: str
    key: str | None
    in_flight: int


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

    async def run() -> None:
        async with ChatClient(server.model, server.endpoints, server.key) as client:
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
    return server._replace(endpoints=endpoints, model=model)


async def choose(
    client: ChatClient, text: str, choices: Sequence[str], sampling: Sampling, seed: int, tries: int = 3
) -> str:
    """Ask for one of a few names, by guided choice; a server that ignores the guide is asked again.

    Raises:
        OutsideTheListError: no answer was one of the names.
        Failure: the request could not be answered.
    """
    messages: list[Mapping[str, Any]] = [{"role": "user", "content": text}]
    answer = ""
    async with client.lease() as conversation:
        for attempt in range(tries):
            completion = await client.complete(
                conversation, messages, sampling=sampling, seed=seed + attempt, choices=choices
            )
            answer = without_thinking(completion.text)
            if answer in choices:
                return answer
    raise OutsideTheListError(answer)


class OutsideTheListError(Exception):
    """A model kept answering with a name that was not offered."""

    def __init__(self, answer: str) -> None:
        super().__init__(answer)
        self.answer = answer
