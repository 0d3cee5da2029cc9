"""The questions of one subset in numbers, as players see them, and what players earn."""

import hashlib
import random
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import unquote

import numpy as np
import numpy.typing as npt

from datagen.jicvqa.benchmark.questions import Question
from datagen.jicvqa.classes.lists import CHOICES
from datagen.jicvqa.classes.names import key_of

Scores = npt.NDArray[np.float64]
"""(n, 4): how much a player holds of each option; the best one is its answer."""
Numbers = npt.NDArray[np.int64]

FOLDS = 5


class Table(NamedTuple):
    """The questions of one subset in numbers, n of them, in the order of the table.

    Attributes:
        names: the names that occur, the class numbers being their indices.
        options: (n, 4) class numbers, in the order shown.
        answers: (n,) the position of the answer, 0 to 3.
        sets: (n,) the number of the option set, whatever the order.
        folds: (n,) 0 to FOLDS - 1.
        by_id: (n,) the numbers of the questions in the order of their ids; `by_url` in that of their URLs.
        named: (n, 4) 1 where the option's name stands in the question's id or URL, otherwise 0.
    """

    names: tuple[str, ...]
    options: Numbers
    answers: Numbers
    sets: Numbers
    folds: Numbers
    by_id: Numbers
    by_url: Numbers
    named: Scores

    @property
    def answer_classes(self) -> Numbers:
        """(n,) the class numbers of the answers."""
        return np.take_along_axis(self.options, self.answers[:, None], axis=1)[:, 0]


def table_of(questions: Sequence[Question]) -> Table:
    """Return the questions of one subset as numbers."""
    names = tuple(sorted({name for question in questions for name in question.choices}))
    index_of = {name: number for number, name in enumerate(names)}
    options = np.array([[index_of[name] for name in question.choices] for question in questions], dtype=np.int64)
    answers = np.array([question.answer_index for question in questions], dtype=np.int64)
    _, sets = np.unique(np.sort(options, axis=1), axis=0, return_inverse=True)
    groups: dict[tuple[int, int], list[int]] = {}
    for row in sorted(range(len(questions)), key=lambda row: hashlib.sha256(questions[row].id.encode()).digest()):
        groups.setdefault((int(sets[row]), int(options[row, answers[row]])), []).append(row)
    by_id = sorted(range(len(questions)), key=lambda row: _in_order(questions[row].id))
    by_url = sorted(range(len(questions)), key=lambda row: _in_order(questions[row].url))
    named = np.array([_named(question) for question in questions])
    folds = _folds(groups, len(questions))
    return Table(
        names,
        options,
        answers,
        sets.ravel(),
        folds,
        np.array(by_id, dtype=np.int64),
        np.array(by_url, dtype=np.int64),
        named,
    )


def credit(scores: Scores, answers: Numbers) -> float:
    """Return how many points a player earns who names the best-scored option, sharing ties.

    >>> credit(np.array([[1.0, 0, 0, 0], [1, 1, 0, 0]]), np.array([0, 1]))
    1.5
    """
    best = scores >= scores.max(axis=1, keepdims=True) - 1e-12
    return float((best[np.arange(len(answers)), answers] / best.sum(axis=1)).sum())


def ceiling(table: Table) -> float:
    """Return the points of the best player who knows every option set's answer frequencies but not the questions."""
    _, members = np.unique(table.sets * len(table.names) + table.answer_classes, return_inverse=True)
    counts = np.bincount(members)
    best = np.zeros(int(table.sets.max()) + 1)
    np.maximum.at(best, table.sets, counts[members])
    return float(best.sum())


def _named(question: Question) -> list[float]:
    seen = key_of(f"{question.id} {unquote(question.url)}")
    return [float(key_of(choice) in seen) for choice in question.choices]


def _in_order(identity: str) -> list[tuple[int, str]]:
    """Return the digits of an id as numbers and the rest as text, so that picture9 comes before picture10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", identity)]


def _folds(groups: Mapping[tuple[int, int], list[int]], questions: int) -> Numbers:
    """Deal the questions to folds.

    In an option set whose answers are even, folds dealt at random would not teach but mislead: the member that a player
    has been told least often is then the answer most often among the rest (see `players.told`). Such a set is dealt
    evenly. All others are dealt at random, since even dealing would let the folds tell which member is frequent.

    Args:
        groups: by option set and answer, the questions.
        questions: how many there are.
    """
    counts: dict[int, list[int]] = {}
    for (option_set, _), rows in groups.items():
        counts.setdefault(option_set, []).append(len(rows))
    even = {number for number, own in counts.items() if _is_even(own)}
    draw = random.Random(0)
    folds = np.zeros(questions, dtype=np.int64)
    for (option_set, _), rows in groups.items():
        for number, row in enumerate(rows):
            folds[row] = (option_set + number) % FOLDS if option_set in even else draw.randrange(FOLDS)
    return folds


def _is_even(counts: Sequence[int]) -> bool:
    """Return whether the answers of an option set are as even as can be, and not by mere chance."""
    spread = max(counts) - min(counts)
    return len(counts) == CHOICES and (spread == 0 or (spread == 1 and min(counts) >= 2))
