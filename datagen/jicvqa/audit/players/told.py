"""Players who were told true answers of this very table: what no design with even counts prevents.

In an option set whose members are the answer equally often, the member that was seen least is the likeliest to come.
Only who has seen answers can play so; the audit reports what that earns, and does not gate on it.
"""

import numpy as np

from datagen.jicvqa.audit.players.learning import seen_in_set
from datagen.jicvqa.audit.players.whole_table import even_cells
from datagen.jicvqa.audit.table import FOLDS, Table, credit

_PART = 1 - 1 / FOLDS


def told_players(table: Table, seed: int = 0) -> dict[str, float]:
    """Return what each of the players earns, per question that it is asked.

    Two are told a random four fifths of the answers and asked the rest: one counts how often each member of a set was
    the answer, one also at which position. The third is asked every question in a random order and told each answer
    once it has guessed.
    """
    draw = np.random.default_rng(seed)
    known = draw.random(len(table.answers)) < _PART
    if known.all():
        return {}
    asked = ~known
    by_member = -seen_in_set(table, known)
    by_cell = even_cells(table, known)
    return {
        "told four fifths, counts members": credit(by_member[asked], table.answers[asked]) / int(asked.sum()),
        "told four fifths, counts cells": credit(by_cell[asked], table.answers[asked]) / int(asked.sum()),
        "told each answer after its guess": _in_turn(table, draw),
    }


def _in_turn(table: Table, draw: np.random.Generator) -> float:
    """Return the points per question of who names the member seen least so far."""
    seen: dict[tuple[int, int], int] = {}
    points = 0.0
    for number in draw.permutation(len(table.answers)).tolist():
        option_set = int(table.sets[number])
        counts = [seen.get((option_set, member), 0) for member in table.options[number].tolist()]
        answer = int(table.answers[number])
        if counts[answer] == min(counts):
            points += 1 / counts.count(min(counts))
        cell = option_set, int(table.options[number, answer])
        seen[cell] = seen.get(cell, 0) + 1
    return points / len(table.answers)
