"""Engines that work one after the other: the GPUs of the first go to the second when all its stages are done.

A run has one phase, or, with `one_after_the_other`, one for each engine. What a phase has made of a row waits in parts
like those of the run, in a folder below them; the next phase takes it up where it was left, and it goes when the row's
part is complete. Each phase is resumed as a run is: a finished stage of a row is not paid for again.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from datagen.recipe import Recipe
from datagen.store.journal import is_sealed


@dataclass(frozen=True)
class Phase:
    """The stages that are put in one go.

    Attributes:
        stages: their numbers in the recipe.
        engines: that answer them.
        parts: the folder that it writes to.
        earlier: the folder of the phase before; None for the first, which reads the source.
        final: the folder of the last one, whose rows are done.
    """

    stages: range
    engines: tuple[str, ...]
    parts: Path
    earlier: Path | None
    final: Path

    @property
    def is_last(self) -> bool:
        """Whether its rows are judged and done."""
        return self.parts == self.final

    def unmade(self, numbers: Sequence[int]) -> list[int]:
        """Return those of the parts that this phase has not completed."""
        return [number for number in numbers if not is_sealed(self.parts, number)]


def phases(recipe: Recipe, parts: Path) -> list[Phase]:
    """Return the phases of a recipe that writes its rows to a folder of parts."""
    if not recipe.one_after_the_other:
        return [Phase(range(len(recipe.stages)), tuple(recipe.engines), parts, None, parts)]
    grouped = [
        list(group) for _, group in groupby(range(len(recipe.stages)), lambda number: recipe.stages[number].engine)
    ]
    folders = [parts / f"phase-{number}" for number in range(1, len(grouped))]
    return [
        Phase(range(stages[0], stages[-1] + 1), (recipe.stages[stages[0]].engine,), into, earlier, parts)
        for stages, into, earlier in zip(grouped, [*folders, parts], [None, *folders], strict=True)
    ]


def forget(made: Sequence[Phase]) -> None:
    """Throw away what the phases before the last one have left; all rows are done."""
    for phase in made[:-1]:
        shutil.rmtree(phase.parts, ignore_errors=True)
