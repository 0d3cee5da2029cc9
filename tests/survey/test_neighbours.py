"""Near pairs of hashes are found exactly, and the same pictures stay whatever the order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagen.survey.neighbours import near_pairs


def found(hashes: np.ndarray, distance: int) -> set[tuple[int, int]]:  # type: ignore[type-arg]
    return {
        (int(one), int(other))
        for first, second in near_pairs(hashes, distance)
        for one, other in zip(first, second, strict=True)
    }


def brute_force(hashes: np.ndarray, distance: int) -> set[tuple[int, int]]:  # type: ignore[type-arg]
    return {
        (one, other)
        for one in range(len(hashes))
        for other in range(one + 1, len(hashes))
        if int(hashes[one] ^ hashes[other]).bit_count() <= distance
    }


@given(st.integers(0, 10), st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_they_are_those_of_comparing_all_with_all(distance: int, seed: int, families: int) -> None:
    draw = np.random.default_rng(seed)
    centres = draw.integers(0, 2**64, families, np.uint64)
    flips = np.array(
        [sum(1 << int(bit) for bit in draw.choice(64, draw.integers(0, 8), replace=False)) for _ in range(60)],
        np.uint64,
    )
    hashes = np.unique(draw.choice(centres, 60) ^ flips)
    assert found(hashes, distance) == brute_force(hashes, distance)


def test_a_distance_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="it has to be 0 to 16"):
        list(near_pairs(np.array([1, 2], np.uint64), 17))
