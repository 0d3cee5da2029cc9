"""The Ray worker: it makes the rows of one part after another, hundreds of images in conversation at once."""

import asyncio
import gc
import logging
import socket
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import stamina.instrumentation

from datagen.errors import DatagenError
from datagen.executors.software import check_software, software
from datagen.pipeline.phases import Phase
from datagen.pipeline.row_maker import Known, RowMaker
from datagen.pipeline.stopping import reason_of
from datagen.progress import UNNEEDED, Progress
from datagen.recipe import Recipe
from datagen.records import SHRUNK
from datagen.store.earlier import EarlierRows
from datagen.store.index import Index, IndexEntry
from datagen.store.journal import Journal, is_sealed, rows_under_way
from datagen.store.mix_plan import MixPlan, number_of
from datagen.store.policies import CarriedPolicy
from datagen.survey.scores import read_scores

PARTS_AT_ONCE = 3
"""So that the slowest image of one part holds up no other."""
_THREADS = 2
_LOCK_TRIES = 60
_MOST_REASONS = 100
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """All that a worker has to know.

    Attributes:
        recipe: with its prompts, and with the endpoints of every engine filled in.
        policy: by which rows are judged.
        index: the index of the run.
        phase: the stages that are put, and the folders of parts.
        keys: API keys by engine.
        plan: of a mix: which image serves which purpose; none without a mix.
        survey: the folder of the survey of all pictures; none without one.
        software: of the driver; a worker that has another one makes no rows.
    """

    recipe: Recipe
    policy: CarriedPolicy
    index: Path
    phase: Phase
    keys: dict[str, str | None] = field(default_factory=dict, repr=False)
    plan: MixPlan | None = None
    survey: Path | None = None
    software: dict[str, str] = field(default_factory=software)


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
        self._reasons: Counter[str] = Counter()
        self._rules: Counter[str] = Counter()
        self._shrunk = 0
        self._prompt_tokens = 0
        self._completion_tokens = 0

    async def open(self) -> tuple[Index, RowMaker]:
        """Make ready, once, on the machine where Ray has placed the worker.

        Raises:
            DatagenError: something that the work needs is missing or another one on this machine.
        """
        async with self._opening:
            if self._index is None or self._maker is None:
                check_machine(self._job)
                asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS))
                maker = RowMaker(self._job.recipe, self._job.policy, self._job.keys, self._job.phase)
                self._index, self._maker = Index(self._job.index), await maker.__aenter__()
        return self._index, self._maker

    async def ready(self) -> None:
        """Make ready, and return when that is done; see `open`."""
        await self.open()
        gc.freeze()  # what is loaded stays as long as this process, and need not be looked through again and again

    async def close(self) -> None:
        """Let go of connections and files."""
        if self._maker is not None:
            await self._maker.__aexit__()

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
        phase = self._job.phase
        known = read_scores(self._job.survey, number) if self._job.survey and phase.earlier is None else {}
        with journal, nullcontext() if phase.earlier is None else EarlierRows(phase.earlier, number) as earlier:
            done = journal.done
            if not phase.is_last:
                done |= {row.position for row in rows_under_way(phase.final, number)}
            try:
                async with asyncio.TaskGroup() as group:
                    for listed in index.part(number):
                        if listed.position not in done:
                            await self._slots.acquire()
                            purpose = self._purpose(number, listed)
                            group.create_task(
                                self._make_row(maker, listed, journal, earlier, Known(purpose, known.get(listed.id)))
                            )
            except* DatagenError as errors:
                raise errors.exceptions[0] from None
            await asyncio.to_thread(journal.seal)
        return number

    def _purpose(self, part: int, listed: IndexEntry) -> str | None:
        """Return what an image serves in the mix: empty if nothing; none without a mix."""
        plan = self._job.plan
        return None if plan is None else plan.purpose_of(part, number_of(self._job.recipe.seed, listed.id))

    async def _journal(self, number: int) -> Journal | None:
        """Open a part that is not complete; a worker that Ray has given up may hold on to it for a moment."""
        for attempt in range(_LOCK_TRIES):
            if is_sealed(self._job.phase.parts, number):
                return None
            try:
                return Journal(self._job.phase.parts, number)
            except DatagenError as error:
                if not isinstance(error.__cause__, BlockingIOError) or attempt == _LOCK_TRIES - 1:
                    raise
            await asyncio.sleep(1)
        raise AssertionError("the last try neither returned nor raised")

    async def _make_row(
        self, maker: RowMaker, listed: IndexEntry, journal: Journal, earlier: EarlierRows | None, known: Known
    ) -> None:
        if known.purpose == "":
            journal.append(maker.unneeded(listed), listed.position)
            self._slots.release()
            self._states[UNNEEDED] += 1
            return
        try:
            before = None if earlier is None else earlier[listed.position]
            row, pictures = await maker.make(listed, before, known)
            journal.append(row, listed.position, pictures)
        finally:
            self._slots.release()
        self._states[row.state] += 1
        if row.error is not None and (before is None or before[0].error is None):
            self._reasons[reason_of(row.error) if len(self._reasons) < _MOST_REASONS else row.error.class_] += 1
        if row.state == "dropped":
            self._rules.update({finding.rule for finding in row.findings})
        self._shrunk += any(score.name == SHRUNK for score in row.scores)
        self._prompt_tokens += sum(call.prompt_tokens for call in row.calls)
        self._completion_tokens += sum(call.completion_tokens for call in row.calls)

    async def serve_from(self, endpoints: Mapping[str, Sequence[str]]) -> None:
        """Take in where engines are served now, by their names."""
        _, maker = await self.open()
        for name, urls in endpoints.items():
            engine: Any = maker.engines[name]
            engine.serve_from(urls)

    async def progress(self) -> Progress:
        """Return what has been done since the worker started."""
        retries = sum(engine.retries for engine in self._maker.engines.values()) if self._maker else 0
        return Progress(
            Counter(self._states),
            self._prompt_tokens,
            self._completion_tokens,
            retries,
            Counter(self._reasons),
            Counter(self._rules),
            self._shrunk,
        )


def check_machine(job: Job) -> None:
    """Make sure that this machine sees the run and has the driver's software.

    Raises:
        DatagenError: it does not.
    """
    if not job.index.exists():
        raise DatagenError(
            f"{job.index} is not there on {socket.gethostname()}, where Ray has placed a worker. Put --out on a file "
            "system that all machines see, at the same path."
        )
    check_software(job.software)
