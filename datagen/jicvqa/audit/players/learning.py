"""Players who learn from answers of other questions, by cross-validation.

A fold tells what the benchmark's answers are like, and not which cards are still in the deck: see `table.table_of` for
how the folds are dealt, and `told` for who counts cards.
"""

import numpy as np
import numpy.typing as npt

from datagen.jicvqa.audit.players.whole_table import neighbours_in
from datagen.jicvqa.audit.table import FOLDS, Scores, Table
from datagen.jicvqa.classes.lists import CHOICES


def learning_players(table: Table) -> dict[str, Scores]:
    """Return the players that learn, each question judged from the other folds."""
    players: dict[str, Scores] = {}
    for fold in range(FOLDS):
        asked = table.folds == fold
        for name, scores in learned(table, ~asked).items():
            players.setdefault(name, np.zeros((len(table.answers), CHOICES)))[asked] = scores[asked]
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
    told = np.where(known, table.answer_classes, -1)[:, None]
    return {
        "position majority": np.broadcast_to(positions, (len(table.answers), CHOICES)),
        "class prior": answered[table.options],
        "answers per offer": ((answered + 0.25) / (offered + 1.0))[table.options],
        "option-set memory": seen_in_set(table, known),
        "answers of the neighbouring rows": neighbours_in(np.arange(len(table.answers)), table.options, told),
        "answers of the neighbouring ids": neighbours_in(table.by_id, table.options, told),
        "answers of the neighbouring URLs": neighbours_in(table.by_url, table.options, told),
    }


def seen_in_set(table: Table, known: npt.NDArray[np.bool_]) -> Scores:
    """Return, for every option of every question, how often it was the answer of its option set where that is known."""
    members, inverse = np.unique(table.sets[:, None] * len(table.names) + table.options, return_inverse=True)
    own = inverse.reshape(table.options.shape)
    answers = np.take_along_axis(own, table.answers[:, None], axis=1)[:, 0]
    return np.asarray(np.bincount(answers[known], minlength=len(members))[own], dtype=np.float64)
