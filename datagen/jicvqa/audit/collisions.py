"""What in a question lets a grader, or the truth, go wrong: names inside names, and one picture under two classes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from datagen.jicvqa.benchmark.questions import Question
from datagen.jicvqa.classes.names import conflict_of

_CHUNK = 512


class NamePair(NamedTuple):
    """Two names that share questions and must not (see `names.NameConflict` for the kinds)."""

    first: str
    second: str
    kind: str
    questions: int


class Twin(NamedTuple):
    """Two pictures of different classes that look alike: `bits` of their 64-bit hashes differ."""

    first: str
    first_category: str
    second: str
    second_category: str
    bits: int


def name_pairs(
    questions: Sequence[Question], apart: Mapping[str, Mapping[frozenset[str], str]] | None = None
) -> list[NamePair]:
    """Return the pairs of options that conflict, the most frequent first.

    Args:
        questions: all of them.
        apart: by subset, the pairs that the class lists or a model keep apart, and why.
    """
    together: Counter[tuple[str, str, str]] = Counter()
    for question in questions:
        together.update((question.subset, *pair) for pair in combinations(sorted(question.choices), 2))
    pairs = []
    for (subset, first, second), count in together.items():
        kind = conflict_of(first, second) or (apart or {}).get(subset, {}).get(frozenset((first, second)), "")
        if kind:
            pairs.append(NamePair(first, second, kind, count))
    return sorted(pairs, key=lambda pair: (-pair.questions, pair.first, pair.second))


def substring_collisions(questions: Sequence[Question]) -> int:
    """Return how many questions have a wrong option that `ref in pred` takes for the right one."""
    return sum(
        any(question.category in choice for choice in question.choices if choice != question.category)
        for question in questions
    )


def twins(questions: Sequence[Question], bits: int) -> list[Twin]:
    """Return the pairs of pictures of different classes whose hashes differ in at most so many bits.

    Questions without a hash are passed over.
    """
    hashed = [question for question in questions if question.phash]
    hashes = np.array([int(question.phash, 16) for question in hashed], dtype=np.uint64)
    found = []
    for start in range(0, len(hashes), _CHUNK):
        distances = np.bitwise_count(hashes[start : start + _CHUNK, None] ^ hashes[None, :])
        for row, column in np.argwhere(distances <= bits).tolist():
            first, second = hashed[start + row], hashed[column]
            if start + row < column and first.category != second.category:
                distance = int(distances[row, column])
                found.append(Twin(first.id, first.category, second.id, second.category, distance))
    return sorted(found, key=lambda twin: (twin.bits, twin.first, twin.second))
