"""Making what is missing of a run: phase by phase, and round by round where there is a mix."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from rich.console import Console

from datagen.engines.servers.serving import Endpoints, Served, served
from datagen.executors import executor
from datagen.pipeline.local_worker import make_parts_here
from datagen.pipeline.mixing import Mixing
from datagen.pipeline.phases import Phase, forget
from datagen.pipeline.stopping import StoppedRunError, check_going, counts_alike, failed_by
from datagen.pipeline.worker import Job
from datagen.progress import Progress, ProgressLine
from datagen.recipe import Recipe
from datagen.sources import open_source
from datagen.store.index import Index
from datagen.store.journal import part_path, rows_under_way
from datagen.store.parts import states_of, states_under_way
from datagen.store.policies import CarriedPolicy
from datagen.store.reopening import reopen, reopen_for
from datagen.store.run_directory import RunDirectory
from filters import Policy


class Made(NamedTuple):
    """What the workers did, and how long it took."""

    progress: Sequence[Progress] = ()
    seconds: float = 0.0

    def and_then(self, later: "Made") -> "Made":
        """Return this and what was made after it."""
        return Made([*self.progress, *later.progress], self.seconds + later.seconds)


def make(
    recipe: Recipe,
    directory: RunDirectory,
    policy: Policy,
    index: Index,
    planned: Sequence[Phase],
    console: Console,
    *,
    resumed: bool,
) -> Made:
    """Make the parts that are not complete, and with a mix as many more as it needs.

    Raises:
        DatagenError: the run cannot go on; what is done is kept.
    """
    mixing = Mixing(recipe, directory, index, console) if recipe.mix else None
    numbers = mixing.next_parts() if mixing else directory.unsealed(index)
    if not numbers:
        return Made()
    source = index.read_as(recipe.source, recipe.images.max_bytes)
    open_source(source, recipe.images.max_bytes)  # one that is gone stops the run, and fails no row
    directory.note_uncut()
    recipe = recipe.model_copy(update={"source": source})
    made = Made()
    while numbers:
        making = _Making(recipe, directory, policy, index, console, mixing)
        if resumed:
            making.say_what_is_done(numbers)
        made = made.and_then(making.all_phases(planned, numbers))
        resumed, numbers = False, mixing.next_parts() if mixing else []
    return made


@dataclass(frozen=True)
class _Making:
    """What all phases of a run have in common."""

    recipe: Recipe
    directory: RunDirectory
    policy: Policy
    index: Index
    console: Console
    mixing: Mixing | None

    def say_what_is_done(self, numbers: Sequence[int]) -> None:
        """Tell how many images of an earlier session are done."""
        before = self._done(numbers).total()
        self.console.print(f"Going on: {before:,} of {self.index.count:,} images are in complete parts.")

    def all_phases(self, planned: Sequence[Phase], numbers: Sequence[int]) -> Made:
        """Make parts, one phase after the other."""
        for number in numbers if len(planned) > 1 else ():
            missing = {listed.position for listed in self.index.part(number)}
            missing.difference_update(row.position for row in rows_under_way(self.directory.parts, number))
            for phase in planned[:-1]:
                reopen_for(phase.parts, number, missing)
        made = Made()
        for phase in planned:
            if left := phase.unmade(numbers):
                if not phase.is_last:
                    self.console.print(f"The engine {phase.engines[0]} works first, on all images.", markup=False)
                done = self._phase(phase, left, further=len(planned) == 1)
                made = made.and_then(done) if phase.is_last else made
        forget(planned)
        return made

    def _phase(self, phase: Phase, numbers: Sequence[int], *, further: bool) -> Made:
        """Put the stages of a phase to its engines, for the parts that it has not completed.

        Args:
            phase: the stages.
            numbers: of the parts.
            further: whether the rounds of a mix that come after are made as well, while the servers are there.
        """
        phase.parts.mkdir(exist_ok=True)
        used = {name: self.recipe.engines[name] for name in phase.engines}
        made = Made()
        with served(self.recipe.model_copy(update={"engines": used}), self.directory.path, self.console) as engines:
            while numbers:
                made = made.and_then(self._parts(phase, numbers, engines))
                numbers = self.mixing.next_parts() if self.mixing and further else []
        return made

    def _parts(self, phase: Phase, numbers: Sequence[int], engines: Served) -> Made:
        """Make parts by the engines of a phase."""
        made_from = self.recipe.model_copy(update={"engines": {**self.recipe.engines, **engines.recipe.engines}})
        plan = self.directory.mix_plan if self.mixing else None
        survey = self.directory.survey if self.recipe.survey else None
        job = Job(made_from, CarriedPolicy.of(self.policy), self.directory.index, phase, engines.keys, plan, survey)
        before = self._done(numbers)
        images = self.index.images(self.directory.needed(self.index))
        under_way = sum((states_under_way(phase.parts, number) for number in numbers), before)
        made, left = under_way.total() - under_way["failed"], images - under_way.total()
        alike = counts_alike(self.recipe.stop_when, made, left)

        def check(workers: Sequence[Progress]) -> Endpoints:
            check_going(self.recipe.stop_when, workers, alike=alike)
            return engines.look(sum(worker.states.total() for worker in workers))

        with ProgressLine(self.console, images, before) as line:
            started = time.monotonic()
            try:
                if executor() == "local":
                    progress = make_parts_here(job, numbers, line, check)
                else:
                    from datagen.pipeline.workers import make_parts  # with Ray, which small work does without

                    progress = make_parts(job, numbers, self.recipe.workers, line, check)
            except StoppedRunError as stopped:
                self.directory.wait_for_workers(self.console)
                for number in numbers if stopped.undone else ():
                    reopen(phase.parts, number, partial(failed_by, reason=stopped.undone))
                raise
            return Made(progress, time.monotonic() - started)

    def _done(self, numbers: Sequence[int]) -> Counter[str]:
        """Count the rows of the complete parts by state."""
        sealed = sorted(set(self.directory.needed(self.index)).difference(numbers))
        return states_of(part_path(self.directory.parts, number) for number in sealed)
