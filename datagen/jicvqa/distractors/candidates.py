"""Candidate option sets: which four classes are worth considering together.

A class list of 101 names has four million sets of four. The linear programme in `design` starts from the sets of near
neighbours and asks `better_sets` for more, given the prices of the classes (column generation).
"""

from itertools import combinations

import numpy as np
import numpy.typing as npt

from datagen.jicvqa.classes.lists import CHOICES
from datagen.jicvqa.classes.similarity import Matrix

OptionSet = tuple[int, int, int, int]
"""Four class numbers, ascending."""

_GAIN = 1e-7


def neighbour_sets(pairwise: Matrix, forbidden: npt.NDArray[np.bool_], neighbours: int = 8) -> list[OptionSet]:
    """Return the sets of a class and three of its nearest neighbours, without forbidden pairs, in ascending order.

    Args:
        pairwise: (n, n) symmetric similarities.
        forbidden: (n, n), true for pairs that must not stand together.
        neighbours: how many of the nearest allowed neighbours are combined.
    """
    found: set[OptionSet] = set()
    for own in range(len(pairwise)):
        allowed = _without(pairwise[own], forbidden[own], own)
        near = [int(other) for other in np.argsort(-allowed, kind="stable")[:neighbours] if np.isfinite(allowed[other])]
        for others in combinations(near, CHOICES - 1):
            if not any(forbidden[pair] for pair in combinations(others, 2)):
                found.add(_ascending(own, *others))
    return sorted(found)


def gain_of(pairwise: Matrix, members: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return, for (k, 4) option sets, the similarity of all distractors when each member is the answer once.

    Each of the six pairs counts twice, once in each direction.
    """
    total = np.zeros(len(members))
    for first, second in combinations(range(CHOICES), 2):
        total += 2 * pairwise[members[:, first], members[:, second]]
    return total


def better_sets(
    pairwise: Matrix, forbidden: npt.NDArray[np.bool_], prices: npt.NDArray[np.float64], known: set[OptionSet]
) -> list[OptionSet]:
    """Return new sets whose gain exceeds the prices of their members, best first.

    Every class is completed greedily from each of the 32 partners that suit it best; that is a heuristic, so that an
    empty answer means that none was found, not that there is none.

    Args:
        pairwise: (n, n) symmetric similarities.
        forbidden: (n, n), true for pairs that must not stand together.
        prices: what one question of each class is worth (the duals of the linear programme).
        known: sets that are in the programme already.
    """
    found: dict[OptionSet, float] = {}
    for own in range(len(pairwise)):
        two = _without(2 * pairwise[own] - prices, forbidden[own], own)
        partners = np.argsort(-two, kind="stable")[:32]
        partners = partners[np.isfinite(two[partners])]
        rows = np.arange(len(partners))
        if not len(partners):
            continue
        three = two + _without(2 * pairwise[partners], forbidden[partners], (rows, partners))
        third = three.argmax(axis=1)
        four = three + _without(2 * pairwise[third], forbidden[third], (rows, third))
        fourth = four.argmax(axis=1)
        excess = two[partners] + three[rows, third] + four[rows, fourth] - prices[own]
        for row in np.flatnonzero(np.isfinite(excess) & (excess > _GAIN)):
            members = _ascending(own, int(partners[row]), int(third[row]), int(fourth[row]))
            if members not in known:
                found[members] = float(excess[row])
    return sorted(found, key=lambda members: (-found[members], members))


def _without(
    values: npt.NDArray[np.float64],
    forbidden: npt.NDArray[np.bool_],
    cells: "int | tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]",
) -> npt.NDArray[np.float64]:
    allowed = np.where(forbidden, -np.inf, values)
    allowed[cells] = -np.inf
    return allowed


def _ascending(*members: int) -> OptionSet:
    first, second, third, fourth = sorted(members)
    return first, second, third, fourth
