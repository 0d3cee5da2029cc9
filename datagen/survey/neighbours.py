"""Pairs of 64-bit hashes that differ in few bits, exactly, without comparing all with all.

The bits are cut into `distance` + 3 blocks. Two hashes that differ in at most `distance` bits are equal in three blocks
at least (the pigeonhole principle; multi-index hashing, Norouzi, Punjani and Fleet 2012), so that sorting by every
three blocks brings each such pair together once or more often.
"""

from collections.abc import Iterator
from itertools import combinations, pairwise

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
MOST = 16
"""The largest distance; beyond it unrelated pictures are as near."""
_EQUAL = 3
_PAIRS_AT_ONCE = 1 << 22


def near_pairs(hashes: Hashes, distance: int) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Yield the places of different hashes that are at most so far apart, the smaller place first, some at a time.

    A pair may come more than once.

    Args:
        hashes: no two alike.
        distance: in bits, 0 to `MOST`.

    >>> [(int(a), int(b)) for first, second in near_pairs(np.array([0, 7, 2**63], np.uint64), 1) for a, b in
    ...  zip(first, second)][:1]
    [(0, 2)]

    Raises:
        ValueError: the distance is out of range.
    """
    if not 0 <= distance <= MOST:
        raise ValueError(f"the distance is {distance}; it has to be 0 to {MOST}")
    for mask in _masks(distance):
        keys = hashes & mask
        order = np.argsort(keys, kind="stable")
        keys, found = keys[order], hashes[order]
        step = 1
        alike = keys[1:] == keys[:-1]
        while alike.any():
            at = np.flatnonzero(alike)
            for start in range(0, len(at), _PAIRS_AT_ONCE):
                one = at[start : start + _PAIRS_AT_ONCE]
                other = one + step
                near = np.bitwise_count(found[one] ^ found[other]) <= distance
                first, second = order[one[near]], order[other[near]]
                if len(first):
                    yield np.minimum(first, second), np.maximum(first, second)
            step += 1
            alike = alike[:-1] & (keys[step:] == keys[:-step])


def _masks(distance: int) -> Iterator[np.uint64]:
    """Yield the bits of every three of the blocks."""
    edges = np.linspace(0, 64, distance + _EQUAL + 1).round().astype(int)
    blocks = [((1 << int(end)) - 1) ^ ((1 << int(start)) - 1) for start, end in pairwise(edges)]
    for chosen in combinations(blocks, _EQUAL):
        yield np.uint64(chosen[0] | chosen[1] | chosen[2])
