"""From shares to whole questions: the linear programme's solution rounded, and what is left over put into sets."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csc_matrix, hstack, identity, vstack

from datagen.jicvqa.classes.lists import CHOICES
from datagen.jicvqa.classes.similarity import Matrix
from datagen.jicvqa.distractors.candidates import OptionSet

Counts = npt.NDArray[np.int64]

LEFT_OVER = 100.0
"""The cost of a question outside the balance; far above the 12 that a set of equals can gain."""

_MOST_SETS = 12_000
_NEAR_A_CLASS = 4
_LESS = 2
_NODES, _FEW_NODES = 500, 50


class Programme(NamedTuple):
    """A solved linear programme: sets with their gains, amounts and upper bounds, and the prices of the classes."""

    members: npt.NDArray[np.int64]
    gains: npt.NDArray[np.float64]
    amounts: npt.NDArray[np.float64]
    bounds: npt.NDArray[np.float64]
    prices: npt.NDArray[np.float64]
    left_over: float

    @property
    def value(self) -> float:
        """The similarity that the amounts have in all."""
        return float(self.gains @ self.amounts)


def whole(programme: Programme, counts: Counts) -> Counts:
    """Round to whole numbers with an integer programme.

    Over all generated sets where they are few enough, otherwise over those that the linear programme uses or comes
    near to using, the whole parts of its amounts being given. What that leaves over is grouped: see `grouped`.
    """
    if len(programme.members) <= _MOST_SETS:
        nothing = np.zeros(len(programme.members), dtype=np.int64)
        return _rounded(programme, counts, nothing, nothing, _NODES)
    floors: Counts = np.floor(programme.amounts + 1e-6).astype(np.int64)
    reduced = programme.gains - programme.prices[programme.members].sum(axis=1)
    near = np.sort(np.lexsort((-reduced, programme.amounts <= 0))[: _NEAR_A_CLASS * len(counts)])
    few = programme._replace(
        members=programme.members[near],
        gains=programme.gains[near],
        amounts=programme.amounts[near],
        bounds=programme.bounds[near],
    )
    amounts = floors.copy()
    amounts[near] = _rounded(few, counts, floors[near], np.minimum(floors[near], _LESS), _FEW_NODES)
    return amounts


def _rounded(programme: Programme, counts: Counts, given: Counts, less: Counts, nodes: int) -> Counts:
    """Return whole amounts, `given` ones being raised, or lowered by at most `less`.

    Every set takes four questions, so that what is left over is, up to multiples of four, the remainder of all
    questions; that row is implied, but saying it lets the solver close its gap at the root. The limit is in nodes,
    not seconds, so that the outcome is the same on every machine.
    """
    sets, classes = len(programme.members), len(counts)
    implied = np.concatenate([np.zeros(sets), np.ones(classes), [-CHOICES]])[None, :]
    rows = vstack([hstack([memberships(programme.members, classes), csc_matrix((classes, 1))]), csc_matrix(implied)])
    rest = counts - questions_per_class(programme.members, given, classes)
    wanted = np.append(rest, counts.sum() % CHOICES)
    most = np.maximum(np.ceil(programme.bounds) - given, 0)
    result = milp(
        np.concatenate([-programme.gains, np.full(classes, LEFT_OVER), [0.0]]),
        constraints=LinearConstraint(rows.tocsc(), wanted, wanted),
        integrality=np.ones(sets + classes + 1),
        bounds=Bounds(np.concatenate([-less, np.zeros(classes + 1)]), np.concatenate([most, counts, [counts.sum()]])),
        options={"mip_rel_gap": 1e-3, "node_limit": nodes},
    )
    if result.x is None:
        return np.maximum(given, np.floor(programme.amounts + 1e-6).astype(np.int64))
    return np.asarray(given + np.round(result.x[:sets]).astype(np.int64))


def grouped(pairwise: Matrix, forbidden: npt.NDArray[np.bool_], left: Counts) -> list[OptionSet]:
    """Put questions that are left over into sets of four classes that have such questions, one each.

    So their answers are even too. Each time the class with the most is completed by the most similar ones.

    Args:
        pairwise: (n, n) symmetric similarities.
        forbidden: (n, n), true for pairs that must not stand together.
        left: the questions of each class that are in no set.
    """
    left = left.copy()
    found = []
    while left.sum() >= CHOICES:
        members = [int(left.argmax())]
        while len(members) < CHOICES:
            allowed = (left > 0) & ~forbidden[members].any(axis=0)
            allowed[members] = False
            if not allowed.any():
                break
            members.append(int(np.where(allowed, pairwise[members].sum(axis=0), -np.inf).argmax()))
        if len(members) < CHOICES:
            break
        found.append(option_set(sorted(members)))
        left[members] -= 1
    return found


def left_over(programme: Programme, amounts: Counts, left: Counts) -> Iterable[tuple[OptionSet, int]]:
    """Place the questions outside the balance: each time in the set that takes the most of such classes at once.

    Among equals a set that is used anyway comes first, so that no set has one question alone.
    """
    left = left.copy()
    order = np.lexsort((-programme.gains, amounts == 0))
    members = programme.members[order]
    while left.any() and len(members):
        taken = (left[members] > 0).sum(axis=1)
        best = int(taken.argmax())
        if not taken[best]:
            return
        row = option_set(members[best].tolist())
        for member in row:
            if left[member] > 0:
                left[member] -= 1
                yield row, member


def questions_per_class(members: npt.NDArray[np.int64], amounts: Counts, classes: int) -> Counts:
    """Return how many questions each class has when every member of a set is the answer so often."""
    return np.bincount(members.ravel(), weights=np.repeat(amounts, CHOICES), minlength=classes).astype(np.int64)


def memberships(members: npt.NDArray[np.int64], classes: int) -> csc_matrix:
    """Return the constraint matrix: one row a class, one column a set, and one column a class for what is left over."""
    columns = np.repeat(np.arange(len(members)), CHOICES)
    sets = csc_matrix((np.ones(members.size), (members.ravel(), columns)), shape=(classes, len(members)))
    return hstack([sets, identity(classes)]).tocsc()


def option_set(row: list[int]) -> OptionSet:
    """Return four class numbers as an option set."""
    first, second, third, fourth = row
    return first, second, third, fourth
