"""Blind players: they see the options, know much about the benchmark, and never see a picture.

A player scores the four options of every question and names the best; where several are best it earns a share of the
point. Players that learn do so by cross-validation (see `_folds`), so that a fold tells what the benchmark's answers
are like, and not which cards are still in the deck (see `card_counter`).
"""

import hashlib
import random
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from datagen.jicvqa.benchmark.questions import Question
from datagen.jicvqa.classes.lists import CHOICES
from datagen.jicvqa.classes.names import reading_of
from datagen.jicvqa.classes.similarity import Matrix

Scores = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]

FOLDS = 5


class Table(NamedTuple):
    """The questions of one subset in numbers, n of them.

    Attributes:
        names: the names that occur, the class numbers being their indices.
        options: (n, 4) class numbers, in the order shown.
        answers: (n,) the position of the answer, 0 to 3.
        sets: (n,) the number of the option set, whatever the order.
        folds: (n,) 0 to FOLDS - 1.
    """

    names: tuple[str, ...]
    options: Numbers
    answers: Numbers
    sets: Numbers
    folds: Numbers

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
    return Table(names, options, answers, sets.ravel(), _folds(groups, answers))


def _folds(groups: Mapping[tuple[int, int], list[int]], answers: Numbers) -> Numbers:
    """Deal the questions to folds, each fold having all positions of the answer about equally often.

    In an option set whose answers are even, folds dealt at random would not teach but mislead: the member that a player
    has been told least often is then the answer most often among the rest. Such a set is dealt evenly. All others are
    dealt at random, since even dealing would let the folds tell which member is frequent.

    Args:
        groups: by option set and answer, the questions.
        answers: (n,) the position of the answer.
    """
    counts: dict[int, list[int]] = {}
    for (option_set, _), rows in groups.items():
        counts.setdefault(option_set, []).append(len(rows))
    even = {number for number, own in counts.items() if _is_even(own)}
    draw = random.Random(0)
    folds = np.zeros(len(answers), dtype=np.int64)
    used = np.zeros((FOLDS, CHOICES))
    for (option_set, _), rows in groups.items():
        waiting = list(rows)
        for number in range(len(rows)):
            fold = (option_set + number) % FOLDS if option_set in even else draw.randrange(FOLDS)
            row = waiting.pop(int(used[fold, answers[waiting]].argmin()))
            folds[row] = fold
            used[fold, answers[row]] += 1
    return folds


def _is_even(counts: Sequence[int]) -> bool:
    """Return whether the answers of an option set are as even as can be, and not by mere chance."""
    spread = max(counts) - min(counts)
    return len(counts) == CHOICES and (spread == 0 or (spread == 1 and min(counts) >= 2))


def credit(scores: Scores, answers: Numbers) -> float:
    """Return how many points a player earns who names the best-scored option, sharing ties.

    >>> credit(np.array([[1.0, 0, 0, 0], [1, 1, 0, 0]]), np.array([0, 1]))
    1.5
    """
    best = scores >= scores.max(axis=1, keepdims=True) - 1e-12
    return float((best[np.arange(len(answers)), answers] / best.sum(axis=1)).sum())


def medoid(table: Table, similarity: Matrix) -> Scores:
    """Score an option by its similarity to the other three: under the rule of the paper the answer is their hub."""
    return np.asarray(
        sum(similarity[table.options, np.roll(table.options, step, axis=1)] for step in range(1, CHOICES))
    )


def neighbourhood(table: Table, similarity: Matrix) -> Scores:
    """Score an option by how high the other three stand in its own ranking (the sum of their ranks, negative)."""
    order = np.argsort(-similarity, axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(len(order))[None, :].repeat(len(order), axis=0), axis=1)
    return -medoid(table, ranks.astype(np.float64))


def reciprocity(table: Table, similarity: Matrix) -> Scores:
    """Score an option by how much nearer it finds the others than they find it; only a one-way ranking tells that."""
    return medoid(table, similarity) - medoid(table, np.ascontiguousarray(similarity.T))


def lengths(table: Table) -> Scores:
    """Return the length of every option's reading, in characters."""
    sizes = np.array([len(reading_of(name)) + len(name) / 100 for name in table.names])
    return np.asarray(sizes[table.options])


def fixed_players(table: Table, similarities: Mapping[str, Matrix]) -> dict[str, Scores]:
    """Return the players that learn nothing from the benchmark; of each trait both the most and the least.

    Args:
        table: the questions.
        similarities: by a name for it, (n, n) over `table.names`.
    """
    players: dict[str, Scores] = {}
    for name, similarity in similarities.items():
        players[f"medoid, {name} similarity"] = medoid(table, similarity)
        players[f"outlier, {name} similarity"] = -medoid(table, similarity)
        players[f"neighbourhood, {name} ranking"] = neighbourhood(table, similarity)
        if not np.allclose(similarity, similarity.T):
            players[f"reciprocity, {name} ranking"] = reciprocity(table, similarity)
    players["longest option"] = lengths(table)
    players["shortest option"] = -lengths(table)
    return players


def learned(table: Table, known: npt.NDArray[np.bool_]) -> dict[str, Scores]:
    """Return what players think who were told the answers of the `known` questions, for all questions.

    Args:
        table: the questions.
        known: (n,) true where the answer was told.
    """
    classes = len(table.names)
    answered = np.bincount(table.answer_classes[known], minlength=classes).astype(np.float64)
    offered = np.bincount(table.options[known].ravel(), minlength=classes)
    positions = np.bincount(table.answers[known], minlength=CHOICES).astype(np.float64)
    in_set = np.zeros((int(table.sets.max()) + 1, classes))
    np.add.at(in_set, (table.sets[known], table.answer_classes[known]), 1.0)
    remembered = in_set[table.sets[:, None], table.options]
    return {
        "position majority": np.broadcast_to(positions, (len(table.answers), CHOICES)),
        "class prior": answered[table.options],
        "answers per offer": ((answered + 0.25) / (offered + 1.0))[table.options],
        "option-set memory": remembered,
    }


def learning_players(table: Table) -> dict[str, Scores]:
    """Return the players that learn, each question judged from the other folds."""
    players: dict[str, Scores] = {}
    for fold in range(FOLDS):
        asked = table.folds == fold
        for name, scores in learned(table, ~asked).items():
            players.setdefault(name, np.zeros((len(table.answers), CHOICES)))[asked] = scores[asked]
    return players


def ceiling(table: Table) -> float:
    """Return the points of the best player who knows every option set's answer frequencies but not the questions."""
    frequencies = np.zeros((int(table.sets.max()) + 1, len(table.names)))
    np.add.at(frequencies, (table.sets, table.answer_classes), 1.0)
    return float(frequencies.max(axis=1).sum())


def card_counter(table: Table, seed: int = 0) -> float:
    """Return the points, per question asked, of a player who counts cards.

    It was told the true answers of a random four fifths of this very table, knows that every set is balanced, and names
    the member that it has seen least. No design with even counts can prevent that, and nobody can play it who has not
    seen the answers.
    """
    draw = np.random.default_rng(seed)
    known = draw.random(len(table.answers)) < 1 - 1 / FOLDS
    if known.all():
        return 0.0
    scores = -learned(table, known)["option-set memory"]
    return credit(scores[~known], table.answers[~known]) / int((~known).sum())
