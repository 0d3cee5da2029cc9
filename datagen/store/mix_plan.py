"""The plan of a run with a mix: which images serve which purpose, decided round by round and kept in `mix.json`.

Every image has a number of its own, from the recipe's seed and its id. A round names parts, and for each purpose the
numbers up to which it takes images; an image serves the first purpose that any round has taken it for. What is decided
once stays decided: the same images serve the same purposes after any kill, on any number of machines.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import orjson
import xxhash
from pydantic import BaseModel, ConfigDict, ValidationError

from datagen.files.reading import reading
from datagen.files.writing import write_json

NOT_NEEDED = "not_needed"
"""Names the finding on an image that no purpose has taken: no call was made for it."""
OVER_QUOTA = "over_quota"
"""Names the finding on a row that was made, and is more than the mix asks for."""


def number_of(seed: int, row_id: str) -> int:
    """Return the number of an image, of 63 bits, by which it is drawn."""
    return xxhash.xxh3_64_intdigest(f"{seed}/{row_id}/mix".encode()) >> 1


class Bound(NamedTuple):
    """A purpose, and the number under which images are taken for it, where no purpose before it has taken them."""

    purpose: str
    under: int


class Round(BaseModel):
    """What was decided at once.

    Attributes:
        parts: the numbers of the parts that it is about.
        bounds: the purposes in their order.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    parts: tuple[int, ...]
    bounds: tuple[Bound, ...]

    def purpose_of(self, number: int) -> str:
        """Return the purpose that takes the image with this number; empty where none does."""
        return next((bound.purpose for bound in self.bounds if number < bound.under), "")


class MixPlan(BaseModel):
    """All rounds so far."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rounds: tuple[Round, ...] = ()

    def purpose_of(self, part: int, number: int) -> str:
        """Return the purpose of an image; empty where no round has taken it."""
        return next(filter(None, (found.purpose_of(number) for found in self._of_part.get(part, ()))), "")

    @property
    def parts(self) -> range:
        """The parts that any round is about, which are the first ones of the index."""
        return range(max((number for found in self.rounds for number in found.parts), default=-1) + 1)

    @cached_property
    def _of_part(self) -> dict[int, list[Round]]:
        found: dict[int, list[Round]] = {}
        for each in self.rounds:
            for number in each.parts:
                found.setdefault(number, []).append(each)
        return found

    def then(self, parts: Sequence[int], bounds: Sequence[Bound]) -> "MixPlan":
        """Return the plan with one round more."""
        return MixPlan(rounds=(*self.rounds, Round(parts=tuple(parts), bounds=tuple(bounds))))

    def write(self, path: Path) -> None:
        """Write the plan to a file that appears by rename."""
        write_json(path, self.model_dump())


def read_plan(path: Path) -> MixPlan:
    """Return the plan of a run; an empty one if there is none yet.

    Raises:
        DatagenError: the file is damaged.
    """
    if not path.exists():
        return MixPlan()
    with reading(path, "Put it back from a copy; without one the run cannot go on, and --fresh starts it anew."):
        try:
            return MixPlan.model_validate(orjson.loads(path.read_bytes()))
        except ValidationError as error:
            raise ValueError(str(error.errors()[0]["msg"])) from error
