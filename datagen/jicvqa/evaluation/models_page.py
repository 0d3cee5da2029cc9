"""The comparison of models as one HTML page, in Japanese and English, that needs nothing else."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from datagen.jicvqa.evaluation.items import Item
from datagen.jicvqa.evaluation.models_compared import Evaluated, ModelsCompared, confusions_of
from datagen.pages import Pages
from datagen.pictures.thumbnails import thumbnail

_PAGES = Pages("datagen.jicvqa", "audit.css")
_MOST_CLASSES = 24
_CELL = 15.0
_MOST_EXAMPLES = 6
_MOST_SETS = 15
_STEPS = 5
_LEAST_SIDE = 16  # cells; pictures of few classes are not blown up
_UNREAD = "–"


class _Square(NamedTuple):
    x: float
    y: float
    strength: float
    title: str
    kind: str


class _Confusion(NamedTuple):
    """A confusion picture: rows are the answers, columns what was chosen, the last one that no option was."""

    model: str
    subset: str
    names: list[str]
    left_out: int
    squares: list[_Square]

    @property
    def side(self) -> float:
        return _CELL * max(len(self.names) + 1, _LEAST_SIDE)


class _Example(NamedTuple):
    """A question that some models have right and others wrong, with its picture and what each said."""

    picture: str
    subset: str
    answer: str
    choices: tuple[str, ...]
    said: list[tuple[str, str, bool]]


def models_page(
    compared: ModelsCompared, evaluated: Sequence[Evaluated], picture: Callable[[str], bytes] | None
) -> str:
    """Return the page; every name in it is escaped.

    Args:
        compared: the figures.
        evaluated: the answers.
        picture: returns the picture of a question by its id; none shows no pictures.
    """
    subsets = [scope for scope in next(iter(compared.shares.values())) if scope != "macro"]
    return _PAGES.render(
        "models.html",
        compared=compared,
        scopes=["macro", *subsets],
        confusions=[_confusion(own, subset) for subset in subsets for own in evaluated],
        cell=_CELL,
        examples={own.name: _examples(own.name, compared, evaluated, picture) for own in evaluated},
        histograms={subset: _histogram(compared, subset) for subset in subsets},
        hardest=sorted(compared.of_sets, key=lambda one: (one.difficulty, one.name))[:_MOST_SETS],
        sharpest=sorted(compared.of_sets, key=lambda one: (-one.discrimination, one.name))[:_MOST_SETS],
    )


def _confusion(evaluated: Evaluated, subset: str) -> _Confusion:
    """Draw the classes that are confused most."""
    names, counts = confusions_of(evaluated, subset)
    asked = Counter(item.category for item in evaluated.items if item.subset == subset)
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    weight = wrong.sum(axis=0) + wrong.sum(axis=1)
    shown = sorted(sorted(range(len(names)), key=lambda own: (-weight[own], own))[:_MOST_CLASSES])
    squares = []
    for y, row in enumerate(shown):
        total = asked[names[row]]
        unread = total - int(counts[row].sum())
        chosen_for = [(x, names[column], int(counts[row, column])) for x, column in enumerate(shown)]
        for x, name, count in [*chosen_for, (len(shown), _UNREAD, unread)]:
            if count:
                title = f"{names[row]} → {name}: {count:,} / {total:,}"
                strength = round(0.15 + 0.85 * count / total, 3)
                squares.append(_Square(x * _CELL, y * _CELL, strength, title, _kind(x, y, len(shown))))
    chosen = [names[own] for own in shown]
    return _Confusion(evaluated.name, subset, chosen, len(names) - len(chosen), squares)


def _kind(x: int, y: int, classes: int) -> str:
    return "unread" if x == classes else "right" if x == y else "wrong"


def _examples(
    model: str,
    compared: ModelsCompared,
    evaluated: Sequence[Evaluated],
    picture: Callable[[str], bytes] | None,
) -> list[_Example]:
    """Return questions that a model has wrong and most of the others right, from all subsets in turn."""
    others = [name for name in compared.models if name != model]
    first: list[Mapping[str, Item]] = [_first_of_each(own.items) for own in evaluated]
    wrong = [
        worth
        for worth in compared.of_questions
        if compared.right[model][worth.name] == 0
        and sum(compared.right[name][worth.name] for name in others) > len(others) / 2
    ]
    taken: list[_Example] = []
    by_subset = {worth.subset: [own for own in wrong if own.subset == worth.subset] for worth in wrong}
    for place in range(_MOST_EXAMPLES):
        for own in by_subset.values():
            if place < len(own) and len(taken) < _MOST_EXAMPLES:
                items = [answers[own[place].name] for answers in first]
                said = [
                    (name, item.chosen or item.response[:40] or item.outcome, item.outcome == "correct")
                    for name, item in zip(compared.models, items, strict=True)
                ]
                shown = thumbnail(picture(own[place].name)) if picture else ""
                taken.append(_Example(shown, own[place].subset, items[0].category, items[0].choices, said))
    return taken


def _first_of_each(items: Sequence[Item]) -> dict[str, Item]:
    found: dict[str, Item] = {}
    for item in items:
        if item.id not in found or item.rotation < found[item.id].rotation:
            found[item.id] = item
    return found


def _histogram(compared: ModelsCompared, subset: str) -> list[int]:
    """Return how many questions no model has right, and so on in even steps up to all of them."""
    steps = min(len(compared.models), _STEPS)
    counts = [0] * (steps + 1)
    for worth in compared.of_questions:
        if worth.subset == subset:
            counts[round(worth.difficulty * steps)] += 1
    return counts
