"""The distractor design: which four classes share a question, and how often each of them is the answer.

A player who does not see the picture sees nothing but the option set, so the best that any such player can expect is
to name, for every set, the member that is the answer most often: `Design.ceiling`. The `mutual` design makes all four
members the answer equally often, which holds that ceiling at one quarter; the `nearest` design (the rule of the
paper) gives each class its three most similar classes and leaves the ceiling where it falls.
"""

from collections import Counter
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt
from scipy.optimize import OptimizeResult, linprog

from datagen.jicvqa.classes.lists import CHOICES
from datagen.jicvqa.classes.similarity import Matrix, mutual, order_of
from datagen.jicvqa.distractors.candidates import OptionSet, better_sets, gain_of, neighbour_sets
from datagen.jicvqa.distractors.rounding import (
    LEFT_OVER,
    Counts,
    Programme,
    grouped,
    left_over,
    memberships,
    option_set,
    questions_per_class,
    whole,
)

_SPREAD = 0.5  # a class has at most this share of its questions in one set ...
_SPREAD_COST = 0.97  # ... unless that costs more than 3 % of the similarity
_ROUNDS = 40
_NEW_SETS = 2000


class Design(NamedTuple):
    """Option sets and how often each member is the answer.

    Attributes:
        members: (k, 4) class numbers, ascending in each row.
        answers: (k, 4) how many questions have the member as their answer; shares, not whole numbers, before rounding.
    """

    members: npt.NDArray[np.int64]
    answers: npt.NDArray[np.float64]

    @classmethod
    def of(cls, table: Counter[tuple[OptionSet, int]]) -> Self:
        """Return the design for counts of (option set, answer)."""
        sets = sorted({members for members, _ in table})
        members = np.array(sets, dtype=np.int64).reshape(-1, CHOICES)
        answers = [[table[row, member] for member in row] for row in sets]
        return cls(members, np.array(answers, dtype=np.float64).reshape(-1, CHOICES))

    @property
    def questions(self) -> float:
        """How many questions there are."""
        return float(self.answers.sum())

    @property
    def ceiling(self) -> float:
        """The accuracy of the best player who knows the answer frequencies of every option set but sees no picture."""
        return float(self.answers.max(axis=1).sum() / self.questions) if self.questions else 0.0

    @property
    def surplus(self) -> float:
        """How many questions exceed the balance of their option set."""
        return float((self.answers - self.answers.min(axis=1, keepdims=True)).sum())

    def similarity(self, similarity: Matrix) -> float:
        """Return the mean similarity of the distractors to the answer, over all questions."""
        total = 0.0
        for column in range(CHOICES):
            own = self.members[:, column]
            others = np.delete(self.members, column, axis=1)
            total += float((similarity[own[:, None], others].sum(axis=1) * self.answers[:, column]).sum())
        return total / (3 * self.questions) if self.questions else 0.0


def nearest_design(similarity: Matrix, counts: Counts) -> Design:
    """Return the rule of the paper: every class with its three most similar classes, nested names and all."""
    table: Counter[tuple[OptionSet, int]] = Counter()
    for own, count in enumerate(counts):
        if count:
            members = option_set(sorted([own, *order_of(similarity, own)[: CHOICES - 1]]))
            table[members, own] += int(count)
    return Design.of(table)


def mutual_shares(similarity: Matrix, forbidden: npt.NDArray[np.bool_]) -> Design:
    """Return the balanced design for equal class counts, in shares: every class has 1 question in all."""
    programme = _solved(mutual(similarity), forbidden, np.ones(len(similarity)))
    rounded = np.round(programme.amounts, 9)
    used = rounded > 0
    return _by_set(programme.members[used], np.repeat(rounded[used, None], CHOICES, axis=1))


def mutual_design(similarity: Matrix, forbidden: npt.NDArray[np.bool_], counts: Counts) -> Design:
    """Return the balanced design for the class counts at hand, in whole questions.

    Over all option sets without a forbidden pair, maximise the mutual similarity such that every member of a set is the
    answer equally often and every class has its questions. What cannot be balanced (the counts do not add up to a
    multiple of four, or one class has more than a quarter) is kept least, and goes to sets that then lean
    towards that class: see `Design.surplus` and `Design.ceiling`.

    Args:
        similarity: (n, n).
        forbidden: (n, n), true for pairs that must not stand together.
        counts: n whole numbers, the questions of each class.
    """
    pairwise = mutual(similarity)
    programme = _solved(pairwise, forbidden, counts.astype(np.float64))
    amounts = whole(programme, counts)
    left = counts - questions_per_class(programme.members, amounts, len(counts))
    if left.sum() > counts.sum() % CHOICES:
        unbounded = programme._replace(bounds=counts[programme.members].min(axis=1, initial=counts.max(initial=0)))
        amounts = whole(unbounded, counts)
        left = counts - questions_per_class(programme.members, amounts, len(counts))
    table: Counter[tuple[OptionSet, int]] = Counter()
    for members, amount in zip(programme.members.tolist(), amounts.tolist(), strict=True):
        for member in members if amount else ():
            table[option_set(members), member] += amount
    for members in grouped(pairwise, forbidden, left):
        for member in members:
            table[members, member] += 1
            left[member] -= 1
    for members, member in left_over(programme, amounts, left):
        table[members, member] += 1
    return Design.of(table)


def _solved(pairwise: Matrix, forbidden: npt.NDArray[np.bool_], counts: npt.NDArray[np.float64]) -> Programme:
    """Return the linear programme's solution, spread over several sets a class where that costs little."""
    free = _generated(pairwise, forbidden, counts, 1.0, neighbour_sets(pairwise, forbidden))
    spread = _generated(pairwise, forbidden, counts, _SPREAD, [option_set(row) for row in free.members.tolist()])
    dearer = spread.left_over > free.left_over + 1e-6 or spread.value < _SPREAD_COST * free.value
    return free if dearer else spread


def _generated(
    pairwise: Matrix,
    forbidden: npt.NDArray[np.bool_],
    counts: npt.NDArray[np.float64],
    share: float,
    sets: list[OptionSet],
) -> Programme:
    """Solve by column generation: solve, look for sets that beat the prices, add them, until there are none.

    Args:
        pairwise: (n, n) symmetric similarities.
        forbidden: (n, n), true for pairs that must not stand together.
        counts: the questions of each class.
        share: the largest share of its questions that a class may have in one set.
        sets: to begin with.
    """
    sets = list(sets)
    known = set(sets)
    for _ in range(_ROUNDS):
        members = np.array(sets, dtype=np.int64).reshape(-1, CHOICES)
        gains = gain_of(pairwise, members)
        bounds = share * counts[members].min(axis=1, initial=np.inf)
        result: OptimizeResult = linprog(
            np.concatenate([-gains, np.full(len(counts), LEFT_OVER)]),
            A_eq=memberships(members, len(counts)),
            b_eq=counts,
            bounds=np.column_stack([np.zeros(len(sets) + len(counts)), np.concatenate([bounds, counts])]),
            method="highs",
        )
        prices = -result.eqlin.marginals
        new = better_sets(pairwise, forbidden, prices, known)[:_NEW_SETS]
        if not new:
            break
        sets += new
        known.update(new)
    amounts = result.x[: len(members)]
    return Programme(members, gains, amounts, bounds, prices, float(result.x[len(members) :].sum()))


def _by_set(members: npt.NDArray[np.int64], answers: npt.NDArray[np.float64]) -> Design:
    order = np.lexsort(members.T[::-1])
    return Design(members[order], answers[order])
