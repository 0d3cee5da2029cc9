"""The Ray worker: it makes the rows of one part after another, hundreds of images in conversation at once."""

import asyncio
import logging
import socket
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import stamina.instrumentation

from datagen.engines.openai import ChatClient
from datagen.errors import DatagenError
from datagen.executors.software import check_software, software
from datagen.failures import Failure
from datagen.pictures.picture import Picture, prepare
from datagen.progress import Progress
from datagen.recipe import Recipe
from datagen.records import ErrorRecord, FindingRecord, Row
from datagen.sources import open_source
from datagen.stages.runner import Dialogue, Interviewer
from datagen.store.index import Index, Listed
from datagen.store.journal import Journal, is_sealed
from datagen.store.policies import CarriedPolicy

PARTS_AT_ONCE = 3
"""So that the slowest image of one part holds up no other."""
_THREADS = 2
_LOCK_TRIES = 60
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """All that a worker has to know.

    Attributes:
        recipe: with its prompts, and with the endpoints of every engine filled in.
        policy: by which rows are judged.
        index: the index of the run.
        parts: the folder of its parts.
        keys: API keys by engine.
        software: of the driver; a worker that has another one makes no rows.
    """

    recipe: Recipe
    policy: CarriedPolicy
    index: Path
    parts: Path
    keys: dict[str, str | None] = field(default_factory=dict, repr=False)
    software: dict[str, str] = field(default_factory=software)


class RowMaker:
    """Makes one row of one image: read, check, converse, judge. Use it as an asynchronous context manager."""

    def __init__(self, recipe: Recipe, policy: CarriedPolicy, keys: dict[str, str | None]) -> None:
        self._recipe = recipe
        self._policy = policy.load()
        self._source = open_source(recipe.source, recipe.images.max_bytes)
        self.clients = {
            name: ChatClient(engine.model, engine.endpoints, keys.get(name), engine.timeout, engine.patience)
            for name, engine in recipe.engines.items()
        }
        self._interviewer = Interviewer(recipe, self.clients)
        self._open = AsyncExitStack()

    async def __aenter__(self) -> "RowMaker":
        for client in self.clients.values():
            await self._open.enter_async_context(client)
        self._open.push_async_callback(self._source.close)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    async def make(self, listed: Listed) -> tuple[Row, Picture | None]:
        """Return the finished row, in whichever state, with its picture if it has one.

        Raises:
            DatagenError: something is wrong that is not about this image.
        """
        dialogue = Dialogue()
        picture: Picture | None = None
        error: ErrorRecord | None = None
        try:
            data = await self._source.read(listed.entry)
            picture = await asyncio.to_thread(self._prepared, data)
            await self._interviewer.converse(listed.id, picture, dialogue)
        except Failure as failure:
            error = _record(failure)
        except DatagenError:
            raise
        except Exception as defect:  # one bad row never stops a job
            _LOG.exception("The image %s failed in a way that is a defect of datagen", listed.entry.key)
            error = _record(Failure("internal", f"{type(defect).__name__}: {defect}"))
        return self._row(listed, picture, dialogue, error), picture

    def _prepared(self, data: bytes) -> Picture:
        picture = prepare(data, self._recipe.images)
        _ = picture.sha256, picture.data_url  # worked out here, and not in the event loop
        return picture

    def _row(self, listed: Listed, picture: Picture | None, dialogue: Dialogue, error: ErrorRecord | None) -> Row:
        row = Row(
            id=listed.id,
            key=listed.entry.key,
            source=self._recipe.source.name,
            url=listed.entry.url,
            license=listed.entry.license or self._recipe.source.license,
            task=self._recipe.task,
            caption=dialogue.caption,
            messages=dialogue.messages,
            state="failed" if error else "kept",
            error=error,
            calls=dialogue.calls,
        )
        if picture is not None:
            row.sha256, row.phash = picture.sha256, picture.phash
            row.width, row.height = picture.width, picture.height
        if error is None:
            messages = [{"role": message.role, "content": message.content} for message in row.messages]
            verdict = self._policy.judge([{"messages": messages, "caption": row.caption}])[0]
            row.state = "failed" if verdict.error else "kept" if verdict.kept else "dropped"
            row.error = _record(Failure("rule_error", verdict.error)) if verdict.error else None
            row.findings = [FindingRecord(**finding._asdict()) for finding in verdict.findings]
        return row


def _record(failure: Failure) -> ErrorRecord:
    return ErrorRecord(class_=failure.failure_class, message=failure.message)


class Worker:
    """Makes parts; an asynchronous Ray actor that has `PARTS_AT_ONCE` of them under way."""

    def __init__(self, job: Job) -> None:
        # Nothing here can fail: Ray tells what a constructor raises as the death of its process.
        stamina.instrumentation.set_on_retry_hooks(())  # retries are counted, not logged one by one
        self._job = job
        self._index: Index | None = None
        self._maker: RowMaker | None = None
        self._opening = asyncio.Lock()
        self._slots = asyncio.Semaphore(job.recipe.in_flight)
        self._states: Counter[str] = Counter()
        self._prompt_tokens = 0
        self._completion_tokens = 0

    async def open(self) -> tuple[Index, RowMaker]:
        """Make ready, once, on the machine where Ray has placed the worker.

        Raises:
            DatagenError: something that the work needs is missing or another one on this machine.
        """
        async with self._opening:
            if self._index is None or self._maker is None:
                self._check_machine()
                asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS))
                maker = RowMaker(self._job.recipe, self._job.policy, self._job.keys)
                self._index, self._maker = Index(self._job.index), await maker.__aenter__()
        return self._index, self._maker

    async def ready(self) -> None:
        """Make ready, and return when that is done; see `open`."""
        await self.open()

    async def close(self) -> None:
        """Let go of connections and files."""
        if self._maker is not None:
            await self._maker.__aexit__()

    def _check_machine(self) -> None:
        index = self._job.index
        if not index.exists():
            raise DatagenError(
                f"{index} is not there on {socket.gethostname()}, where Ray has placed a worker. Put --out on a file "
                "system that all machines see, at the same path."
            )
        check_software(self._job.software)

    async def make_part(self, number: int) -> int:
        """Make what is missing of a part and seal it; return its number.

        A part whose worker was lost at the last moment may be complete already.

        Raises:
            DatagenError: the run cannot go on; what is done is in the part's journal.
        """
        index, maker = await self.open()
        journal = await self._journal(number)
        if journal is None:
            return number
        with journal:
            done = journal.done
            try:
                async with asyncio.TaskGroup() as group:
                    for listed in index.part(number):
                        if listed.position not in done:
                            await self._slots.acquire()
                            group.create_task(self._make_row(maker, listed, journal))
            except* DatagenError as errors:
                raise errors.exceptions[0] from None
            await asyncio.to_thread(journal.seal)
        return number

    async def _journal(self, number: int) -> Journal | None:
        """Open a part that is not complete; a worker that Ray has given up may hold on to it for a moment."""
        for attempt in range(_LOCK_TRIES):
            if is_sealed(self._job.parts, number):
                return None
            try:
                return Journal(self._job.parts, number)
            except DatagenError as error:
                if not isinstance(error.__cause__, BlockingIOError) or attempt == _LOCK_TRIES - 1:
                    raise
            await asyncio.sleep(1)
        raise AssertionError("the last try neither returned nor raised")

    async def _make_row(self, maker: RowMaker, listed: Listed, journal: Journal) -> None:
        try:
            row, picture = await maker.make(listed)
            journal.append(row, listed.position, picture)
        finally:
            self._slots.release()
        self._states[row.state] += 1
        self._prompt_tokens += sum(call.prompt_tokens for call in row.calls)
        self._completion_tokens += sum(call.completion_tokens for call in row.calls)

    async def progress(self) -> Progress:
        """Return what has been done since the worker started."""
        retries = sum(client.retries for client in self._maker.clients.values()) if self._maker else 0
        return Progress(Counter(self._states), self._prompt_tokens, self._completion_tokens, retries)
