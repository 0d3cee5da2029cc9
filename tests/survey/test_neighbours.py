"""Near pairs of hashes are found exactly, and the same pictures stay whatever the order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagen.survey.duplicates import owners_of
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


def one_by_one(hashes: np.ndarray, distance: int) -> list[int]:  # type: ignore[type-arg]
    """The place of the first that stays and is near, found by taking them in order."""
    staying: list[int] = []
    owners = []
    for place, value in enumerate(hashes):
        near = [other for other in staying if int(value ^ hashes[other]).bit_count() <= distance]
        owners.append(near[0] if near else place)
        staying += [] if near else [place]
    return owners


@given(st.integers(0, 10), st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 9))
def test_who_stays_is_who_would_if_they_were_taken_one_by_one(
    distance: int, seed: int, families: int, spread: int
) -> None:
    draw = np.random.default_rng(seed)
    centres = draw.integers(0, 2**64, families, np.uint64)
    flips = [sum(1 << int(bit) for bit in draw.choice(64, draw.integers(0, spread), replace=False)) for _ in range(80)]
    hashes = draw.choice(centres, 80) ^ np.array(flips, np.uint64)
    assert owners_of(hashes, distance).tolist() == one_by_one(hashes, distance)


def test_thousands_of_pictures_of_one_thing_are_no_list_of_pairs() -> None:
    draw = np.random.default_rng(5)
    flips = np.array([np.uint64(1) << draw.integers(0, 64, 2500, dtype=np.uint64) for _ in range(3)])
    hashes = np.unique(np.uint64(0x0F0F_F0F0_1234_5678) ^ flips[0] ^ flips[1] ^ flips[2])
    owners = owners_of(hashes, 6)
    assert len(hashes) > 2000
    assert (owners == 0).sum() > 0.9 * len(hashes)


def test_a_distance_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="it has to be 0 to 16"):
        list(near_pairs(np.array([1, 2], np.uint64), 17))
