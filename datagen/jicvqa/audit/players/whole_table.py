"""Players who see the whole question table at once, and are told no answer.

What they use is that a table is made by somebody: answers that are dealt evenly, rows or ids that follow the classes,
classes that are offered more often than they are the answer.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from datagen.jicvqa.audit.table import Numbers, Scores, Table
from datagen.jicvqa.classes.lists import CHOICES

_ROUNDS = 100
_REACH = 4  # neighbours on each side


def whole_table_players(table: Table) -> dict[str, Scores]:
    """Return what the players think of every option of every question."""
    offered = np.bincount(table.options.ravel(), minlength=len(table.names))
    rarely = -np.log(offered)[table.options]
    return {
        "even cells, solved": even_cells(table),
        "options of the neighbouring rows": neighbours_in(
            np.arange(len(table.answers)), table.options, table.options, rarely
        ),
        "options of the neighbouring ids": neighbours_in(table.by_id, table.options, table.options, rarely),
        "options of the neighbouring URLs": neighbours_in(table.by_url, table.options, table.options, rarely),
        "named in the id or URL": table.named,
        "class counts known": class_counts(table),
        "offered most": -rarely,
        "offered least": rarely,
    }


def even_cells(table: Table, known: npt.NDArray[np.bool_] | None = None) -> Scores:
    """Return the probabilities of the options if the answers of every option set were dealt evenly over its cells.

    A cell is a member at a position. If each of the 16 cells of a set of m questions holds the answer m/16 times, then
    iterative proportional fitting (Deming and Stephan, 1940) finds the likeliest answers: it scales the options of each
    question to 1 and the questions of each cell to m/16, again and again. Earns 0.32 on a table of the real shape whose
    answers are dealt so, and nothing where positions are left to chance.

    Args:
        table: the questions.
        known: (n,) true where the answer was told; none by default.
    """
    told = np.zeros(len(table.answers), dtype=bool) if known is None else known
    cells = _cells_of(table)
    wanted = cells.questions / CHOICES**2
    answers = np.take_along_axis(cells.of_options, table.answers[:, None], axis=1)[:, 0]
    wanted = np.maximum(wanted - np.bincount(answers[told], minlength=len(wanted)), 1e-3)
    asked = cells.of_options[~told]
    share = np.full(asked.shape, 1 / CHOICES)
    for _ in range(_ROUNDS):
        held = np.bincount(asked.ravel(), weights=share.ravel(), minlength=len(wanted))
        share *= (wanted / np.maximum(held, 1e-12))[asked]
        share /= share.sum(axis=1, keepdims=True)
    scores = np.zeros(table.options.shape)
    scores[~told] = np.round(share, 9)  # what differs by less is the same to the player
    return scores


def neighbours_in(order: Numbers, options: Numbers, seen: Numbers, start: Scores | None = None) -> Scores:
    """Return how often every option occurs at the nearest questions in an order.

    Args:
        order: (n,) question numbers.
        options: (n, 4) class numbers.
        seen: (n, k) what is seen at each question: class numbers, or -1.
        start: (n, 4) what an option is worth before that; 0 by default.
    """
    count = len(order)
    scores = np.zeros(options.shape) if start is None else start.copy()
    for step in range(1, min(_REACH, count - 1) + 1):
        for here, there in ((order[:-step], order[step:]), (order[step:], order[:-step])):
            scores[here] += (options[here][:, :, None] == seen[there][:, None, :]).sum(axis=2)
    return scores


def class_counts(table: Table) -> Scores:
    """Score an option by how many pictures its class has for each time that it is offered.

    The counts of many data sets are public.
    """
    answered = np.bincount(table.answer_classes, minlength=len(table.names))
    offered = np.bincount(table.options.ravel(), minlength=len(table.names))
    return np.asarray((answered / offered)[table.options])


class _Cells(NamedTuple):
    """The cells of all option sets: (n, 4) the cell of every option, and (cells,) the questions of the cell's set."""

    of_options: Numbers
    questions: npt.NDArray[np.float64]


def _cells_of(table: Table) -> _Cells:
    members = table.sets[:, None] * len(table.names) + table.options
    _, inverse = np.unique(members * CHOICES + np.arange(CHOICES), return_inverse=True)
    own = inverse.reshape(table.options.shape)
    questions = np.zeros(int(own.max()) + 1)
    questions[own] = np.bincount(table.sets)[table.sets][:, None]
    return _Cells(own, questions)
