"""The Ray workers of a run: every part that is not sealed goes to one of them.

Ray Core and not Ray Data: the unit of work is a part with a journal of its own, which the next worker continues; Ray
Data would run a block of rows again from its beginning, and pay for its answers twice. The driver waits for no single
worker: parts go to those that Ray has placed, and the parts of one that is lost, with its process or its machine, go to
the others.
"""

import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from datagen.engines.servers.serving import Endpoints
from datagen.errors import DatagenError
from datagen.executors.ray_tasks import call_on_every_machine, cpus, free_cpus, last_line, result_of, start_ray
from datagen.pipeline.local_worker import Check
from datagen.pipeline.worker import PARTS_AT_ONCE, Job, Worker, check_machine
from datagen.progress import Progress, ProgressLine

MOST_WORKERS = 4
"""Unless the recipe says otherwise: more would only queue at the server, up to its time limit."""
CPUS_A_WORKER = 0.5
_LOOK_SECONDS = 0.5
_GOODBYE_SECONDS = 10.0
_NOTICE_SECONDS = 20.0
_PLACE_SECONDS = 600.0
_SILENT_SECONDS = 300.0
_MOST_DEATHS = 10


def make_parts(
    job: Job,
    numbers: Sequence[int],
    workers: int | None,
    line: ProgressLine,
    check: Check,
) -> list[Progress]:
    """Make parts with workers until all are sealed, and return what each worker did.

    Args:
        job: what the workers have to know.
        numbers: of the parts.
        workers: how many; none means one a CPU, at most `MOST_WORKERS`.
        line: where progress is shown.
        check: called every now and then with what the workers have done; returns where the engines are served that may
            move, and raises when the work cannot go on.

    Raises:
        DatagenError: the run cannot go on; what is done is in the parts' journals.
    """
    start_ray()
    call_on_every_machine(check_machine, job)  # before anything is paid for
    room = max(1, int(cpus() / CPUS_A_WORKER))
    if workers and min(workers, len(numbers)) > room:
        line.say(f"{workers} workers were asked for, and Ray's {cpus():g} CPUs have room for {room}: {room} start.")
    size = min(workers or min(int(cpus()), MOST_WORKERS), room, len(numbers))
    started = _Workers(job, numbers, size, line)
    try:
        while not started.finished:
            started.step()
            started.tell(check(started.progress()))
            line.show(started.progress())
        started.ask_progress(wait=True)
        check(started.progress())
        return started.progress()
    finally:
        started.dismiss()


@dataclass(eq=False)
class _Member:
    """A worker: the call that opens it, the parts that it is at, and what it was last heard to have done."""

    actor: Any
    opening: Any
    ready: bool = False
    parts: dict[Any, int] = field(default_factory=dict)
    asked: Any = None
    asked_at: float = 0.0
    told: Endpoints | None = None
    progress: Progress = field(default_factory=lambda: Progress(Counter()))

    @property
    def calls(self) -> list[Any]:
        """The calls whose end is waited for."""
        return [*self.parts] if self.ready else [self.opening]

    @property
    def silence(self) -> float:
        """The seconds for which it has not told its progress, though it was asked."""
        return time.monotonic() - self.asked_at if self.asked is not None else 0.0


class _Workers:
    """The workers that are at work, those that Ray has not placed yet, and the parts that wait."""

    def __init__(self, job: Job, numbers: Sequence[int], size: int, line: ProgressLine) -> None:
        # Ray repeats nothing by itself: it would wait for as long as it takes for a machine that may never come back.
        self._actor = ray.remote(Worker).options(
            num_cpus=CPUS_A_WORKER, max_restarts=0, max_task_retries=0, max_concurrency=PARTS_AT_ONCE + 2
        )
        self._job = job
        self._line = line
        self._waiting = deque(numbers)
        self._most_parts = min(PARTS_AT_ONCE, -(-len(numbers) // size))
        self._lost: list[Progress] = []
        self._deaths = 0
        self._most_deaths = max(_MOST_DEATHS, 3 * size)  # a machine that is lost takes many workers at once
        self._made_at_death = 0
        self._alone_since = time.monotonic()
        self._notice_at = self._alone_since + _NOTICE_SECONDS
        self._members: list[_Member] = []
        for _ in range(size):
            self._hire()

    @property
    def finished(self) -> bool:
        """Whether every part is sealed."""
        return not self._waiting and not any(member.parts for member in self._members)

    def step(self) -> None:
        """Wait a moment for calls to end, and give parts to those who are free.

        Raises:
            DatagenError: a worker raised it, workers die one after another, or none is placed.
        """
        self._give()
        calls = {call: member for member in self._members for call in member.calls}
        done, _ = ray.wait(list(calls), num_returns=len(calls), timeout=0)
        if not done:
            done, _ = ray.wait(list(calls), timeout=_LOOK_SECONDS)
        for reference in done:
            member = calls[reference]
            if member in self._members:
                self._end(member, reference)
        self.ask_progress()
        for member in [member for member in self._members if member.silence > _SILENT_SECONDS]:
            self._replace(member, f"it has not answered for {member.silence:.0f} s")
        self._look_for_room()

    def _end(self, member: _Member, reference: Any) -> None:
        """Take in the end of a call."""
        try:
            result_of(reference)
        except RayTaskError:
            raise
        except RayError as error:
            self._replace(member, last_line(error))
            return
        member.parts.pop(reference, None)
        member.ready = True

    def _give(self) -> None:
        """Give parts that wait to the workers that have the fewest."""
        free = [member for member in self._members if member.ready]
        while self._waiting and free:
            member = min(free, key=lambda member: len(member.parts))
            if len(member.parts) == self._most_parts:
                return
            number = self._waiting.popleft()
            member.parts[member.actor.make_part.remote(number)] = number

    def _hire(self) -> None:
        actor: Any = self._actor.remote(self._job)
        self._members.append(_Member(actor, actor.ready.remote()))

    def _replace(self, member: _Member, reason: str) -> None:
        """Give the parts of a worker that is lost to others, and start another one in its stead.

        Raises:
            DatagenError: workers were lost again and again, and nothing was done in between.
        """
        made = sum(progress.states.total() for progress in self.progress())
        self._deaths = self._deaths + 1 if made == self._made_at_death else 1
        self._made_at_death = made
        if self._deaths >= self._most_deaths:
            raise DatagenError(
                f"{self._deaths} Ray workers ended one after the other and finished no image (the last one: {reason}). "
                "See that every machine has the same datagen and memory to spare, and look at Ray's logs; then run the "
                "same command: what is done is kept."
            )
        told = "was lost" if member.ready else "did not start"
        self._line.say(f"A worker {told} ({reason}); its images go to another one.")
        self._members.remove(member)
        self._lost.append(member.progress)
        self._waiting.extendleft(sorted(member.parts.values(), reverse=True))
        ray.kill(member.actor)
        self._hire()

    def _look_for_room(self) -> None:
        """Say so when Ray places no worker.

        Raises:
            DatagenError: it has not for `_PLACE_SECONDS`.
        """
        now = time.monotonic()
        if any(member.ready for member in self._members):
            self._alone_since, self._notice_at = now, now + _NOTICE_SECONDS
            return
        waited = now - self._alone_since
        given_up = waited >= _PLACE_SECONDS
        if not given_up and now < self._notice_at:
            return
        state = f"Ray has started no worker for {waited:.0f} s: {free_cpus():g} of its {cpus():g} CPUs are free"
        if given_up:
            raise DatagenError(
                f"{state}. See that its machines run this Python and have a CPU to spare (ray status), then run the "
                "same command: what is done is kept."
            )
        self._line.say(f"{state}. Waiting.")
        self._notice_at = now + 3 * _NOTICE_SECONDS

    def tell(self, endpoints: Endpoints) -> None:
        """Tell the workers where the engines are served, those that do not know it yet."""
        for member in self._members:
            if member.ready and member.told != endpoints:
                member.told = endpoints
                member.actor.serve_from.remote(endpoints)

    def ask_progress(self, *, wait: bool = False) -> None:
        """Hear from the workers what they have done; with `wait`, for a moment, else what has come in."""
        for member in self._members:
            if member.ready and member.asked is None:
                member.asked, member.asked_at = member.actor.progress.remote(), time.monotonic()
        asked = {member.asked: member for member in self._members if member.asked is not None}
        if not asked:
            return
        told, _ = ray.wait(list(asked), num_returns=len(asked), timeout=_GOODBYE_SECONDS if wait else 0)
        for reference in told:
            asked[reference].asked = None
            try:
                asked[reference].progress = result_of(reference)
            except RayTaskError:
                raise
            except RayError:
                continue  # it is lost; the end of its parts says so

    def progress(self) -> list[Progress]:
        """Return what each worker was last heard to have done, with those that are lost."""
        return [*self._lost, *(member.progress for member in self._members)]

    def dismiss(self) -> None:
        """End the workers; calls under way are cancelled, close their journals, and lose what a kill would lose."""
        calls = [reference for member in self._members for reference in member.parts]
        for reference in calls:
            ray.cancel(reference)
        if calls:
            ray.wait(calls, num_returns=len(calls), timeout=_GOODBYE_SECONDS)
        for member in self._members:
            ray.kill(member.actor)
