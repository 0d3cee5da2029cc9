"""Meeting a mix: rounds of images, until as many rows were kept for every purpose as the recipe asks for.

A round takes so many images for each purpose as its missing rows need at the rate at which rows of it were kept so far;
the next one sees what came of it. So the mix is met whatever is dropped or fails, few images are made in vain, and
every decision follows from rows that are on disk. Rows beyond a quota are cut as dropped, see `datagen.store.quotas`.
"""

from collections import Counter
from collections.abc import Mapping
from itertools import accumulate
from math import ceil
from typing import NamedTuple

import numpy as np
from rich.console import Console

from datagen.recipe import Mix, Recipe
from datagen.store.index import Index
from datagen.store.mix_plan import NOT_NEEDED, Bound, MixPlan, number_of
from datagen.store.parts import read_part, sealed_parts
from datagen.store.reopening import reopen
from datagen.store.run_directory import RunDirectory

_FIRST_SHARE = 8
"""Of a mix without numbers, an eighth of the parts is the first round, and half of what is left each of the next."""


class Tally(NamedTuple):
    """What has come of the images that were taken, by purpose."""

    taken: Counter[str]
    kept: Counter[str]

    def rate(self, purpose: str) -> float:
        """Return the share of kept rows, one kept row added to be on the careful side; 1 where nothing is known."""
        return (self.kept[purpose] + 1) / (self.taken[purpose] + 1)


class Mixing:
    """The rounds of one run.

    Args:
        recipe: with a mix.
        directory: of the run.
        index: its images.
        console: where rounds are told.
    """

    def __init__(self, recipe: Recipe, directory: RunDirectory, index: Index, console: Console) -> None:
        assert recipe.mix is not None
        self._mix: Mix = recipe.mix
        self._seed = recipe.seed
        self._directory = directory
        self._index = index
        self._console = console

    def next_parts(self) -> list[int]:
        """Return the parts that are to be made: of the round under way, or of a new one; none when there is no more.

        Raises:
            DatagenError: a part or the plan is damaged.
        """
        plan = self._directory.mix_plan
        self._reopen(plan)
        if plan.rounds and (numbers := self._directory.unsealed(self._index)):
            return numbers
        planned = self._planned(plan)
        if planned is None:
            return []
        planned.write(self._directory.mix_file)
        self._reopen(planned)
        wanted = sum(self._free(number, plan) - self._free(number, planned) for number in planned.rounds[-1].parts)
        self._console.print(f"Round {len(planned.rounds)} of the mix: {wanted:,} images.", markup=False)
        return self._directory.unsealed(self._index)

    def _reopen(self, plan: MixPlan) -> None:
        """Make rows undone that no purpose had needed, and that one has taken since."""
        for number in plan.rounds[-1].parts if plan.rounds else ():
            reopen(
                self._directory.parts,
                number,
                lambda row, part=number: (  # type: ignore[misc]  # the loop's part, not the last one
                    any(finding.rule == NOT_NEEDED for finding in row.findings)
                    and plan.purpose_of(part, number_of(self._seed, row.id)) != ""
                ),
            )

    def _planned(self, plan: MixPlan) -> MixPlan | None:
        """Return the plan with the next round; nothing when the mix is met, or no image is left."""
        tally = self._tally()
        free = {number: self._free(number, plan) for number in range(self._index.parts)}
        left = sum(free.values())
        wanted = self._wanted(tally, left)
        total = sum(wanted.values())
        if not left or not total:
            return None
        parts: list[int] = []
        for number, count in free.items():
            if count:
                parts.append(number)
                total -= count
            if total <= 0:
                break
        numbers = np.sort(np.concatenate([self._free_numbers(number, plan) for number in parts]))
        return plan.then(parts, bounds_of(wanted, numbers))

    def _wanted(self, tally: Tally, left: int) -> dict[str, int]:
        """Return how many images the next round takes for each purpose."""
        if quotas := self._mix.quotas():
            missing = {purpose: quota - tally.kept[purpose] for purpose, quota in quotas.items()}
            wanted = {purpose: ceil(rows / tally.rate(purpose)) for purpose, rows in missing.items() if rows > 0}
            return limited(wanted, left)
        size = max(self._index.count // _FIRST_SHARE, 1) if not tally.taken else max(left // 2, 1)
        part = self._index.count // self._index.parts
        return by_shares(self._mix.shares, tally, left, left if size < part else size)

    def _tally(self) -> Tally:
        tally = Tally(Counter(), Counter())
        for path in sealed_parts(self._directory.parts):
            rows = read_part(path, ["task", "state", "findings"]).to_pylist()
            for row in rows:
                if not any(finding["rule"] == NOT_NEEDED for finding in row["findings"]):
                    tally.taken[row["task"]] += 1
                    tally.kept[row["task"]] += row["state"] == "kept"
        return tally

    def _free(self, number: int, plan: MixPlan) -> int:
        return len(self._free_numbers(number, plan)) if number in plan.parts else self._index.size(number)

    def _free_numbers(self, number: int, plan: MixPlan) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
        """Return the numbers of the images of a part that no purpose has taken."""
        ids = self._index.names(number).column("id").to_pylist()
        numbers = [number_of(self._seed, str(each)) for each in ids]
        return np.array([each for each in numbers if not plan.purpose_of(number, each)], np.int64)


def limited(wanted: Mapping[str, int], most: int) -> dict[str, int]:
    """Return numbers that together are no more than `most`, in the same proportions.

    >>> limited({"a": 30, "b": 60}, 30), limited({"a": 1}, 30)
    ({'a': 10, 'b': 20}, {'a': 1})
    """
    total = sum(wanted.values())
    return dict(wanted) if total <= most else spread({name: count / total for name, count in wanted.items()}, most)


def spread(shares: Mapping[str, float], total: int) -> dict[str, int]:
    """Return whole numbers in proportion to shares that add up to a total (largest remainders).

    >>> spread({"a": 0.5, "b": 0.25, "c": 0.25}, 5)
    {'a': 3, 'b': 1, 'c': 1}
    """
    whole = sum(shares.values())
    exact = {name: total * share / whole for name, share in shares.items()}
    counts = {name: int(value) for name, value in exact.items()}
    order = sorted(shares, key=lambda name: (counts[name] - exact[name], name))
    for name in order[: total - sum(counts.values())]:
        counts[name] += 1
    return counts


def by_shares(shares: Mapping[str, float], tally: Tally, left: int, size: int) -> dict[str, int]:
    """Return how many of `size` images each purpose gets, so that all `left` ones would end in the shares.

    The number of kept rows that can be had is found by halving: so many that the images which they need are those left.
    """
    low, high = 0.0, float(tally.kept.total() + left + 1)
    for _ in range(64):
        middle = (low + high) / 2
        if sum(_needed(shares, tally, middle).values()) <= left:
            low = middle
        else:
            high = middle
    needed = _needed(shares, tally, low)
    return spread(needed if sum(needed.values()) else shares, min(size, left))


def _needed(shares: Mapping[str, float], tally: Tally, rows: float) -> dict[str, float]:
    return {
        purpose: max(0.0, share * rows - tally.kept[purpose]) / tally.rate(purpose) for purpose, share in shares.items()
    }


def bounds_of(wanted: Mapping[str, int], numbers: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> list[Bound]:
    """Return the bounds by which exactly so many images are taken, of those with these numbers (sorted)."""
    ends = list(accumulate(wanted.values()))
    over = int(numbers[-1]) + 1
    return [
        Bound(purpose, int(numbers[end]) if end < len(numbers) else over)
        for (purpose, count), end in zip(wanted.items(), ends, strict=True)
        if count
    ]
