"""How alike the classes of a subset are: matrices, and the lexical similarity that needs no model.

A similarity is a square array with values from 0 to 1, zero on the diagonal, rows and columns in the order of the class
list. Row `a` says how near the others are to `a`; rankings by a model need not be symmetric.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from datagen.jicvqa.classes.lists import Subset
from datagen.jicvqa.classes.names import key_of, morphemes_of, reading_of

Matrix = npt.NDArray[np.float64]

LEXICAL_WEIGHTS = {"head": 0.35, "characters": 0.25, "reading": 0.25, "morphemes": 0.10, "script": 0.05}
"""What names have in common, and how much it counts: the head (how much of their ends is alike, since the head of a
Japanese compound is its end), characters, readings (mora pairs), whole morphemes, and the script."""


def lexical_similarity(names: Sequence[str]) -> Matrix:
    """Return how alike the names are, from the names alone.

    Args:
        names: n class names.

    Returns:
        An (n, n) symmetric matrix, see `LEXICAL_WEIGHTS`.
    """
    matrix = np.zeros((len(names), len(names)))
    for row, first in enumerate(names):
        for column in range(row):
            matrix[row, column] = matrix[column, row] = _likeness(first, names[column])
    return matrix


GROUP_WEIGHT = 0.6
"""How much common groups count beside the names, where a class list has groups."""


def similarity_of_names(subset: Subset) -> Matrix:
    """Return how alike the classes are by their names and, where the list has them, by their groups.

    Two classes are the more alike the more of their groups they share, small groups telling more than large ones: the
    cosine of their groups, each weighted by log(n / its size).

    Returns:
        An (n, n) symmetric matrix.
    """
    names = lexical_similarity(subset.names)
    if not subset.groups:
        return names
    index_of = {name: index for index, name in enumerate(subset.names)}
    membership = np.zeros((len(index_of), len(subset.groups)))
    for column, group in enumerate(subset.groups.values()):
        membership[[index_of[name] for name in group], column] = np.log(len(index_of) / len(set(group)))
    lengths = np.linalg.norm(membership, axis=1, keepdims=True)
    membership /= np.where(lengths > 0, lengths, 1.0)
    groups = membership @ membership.T
    np.fill_diagonal(groups, 0.0)
    return np.asarray((1 - GROUP_WEIGHT) * names + GROUP_WEIGHT * groups.clip(0, 1))


def mutual(similarity: Matrix) -> Matrix:
    """Return the mean of both directions.

    >>> mutual(np.array([[0.0, 1.0], [0.5, 0.0]])).tolist()
    [[0.0, 0.75], [0.75, 0.0]]
    """
    return np.asarray((similarity + similarity.T) / 2)


def forbidden_pairs(subset: Subset, both_true: Iterable[tuple[str, str]] = ()) -> npt.NDArray[np.bool_]:
    """Return an (n, n) array that is true where two classes must not stand in one question.

    Args:
        subset: its names may conflict.
        both_true: further pairs of names, which can be right for one picture.
    """
    index_of = {name: index for index, name in enumerate(subset.names)}
    forbidden = np.zeros((len(index_of), len(index_of)), dtype=bool)
    for first, second in [*((first, second) for first, second, _ in subset.conflicts()), *both_true]:
        forbidden[index_of[first], index_of[second]] = forbidden[index_of[second], index_of[first]] = True
    return forbidden


def order_of(similarity: Matrix, index: int) -> list[int]:
    """Return the other classes, most similar first; ties in the order of the list."""
    order = np.argsort(-similarity[index], kind="stable")
    return [int(other) for other in order if other != index]


def _likeness(first: str, second: str) -> float:
    parts = {
        "head": max(_common_end(key_of(first), key_of(second)), _common_end(reading_of(first), reading_of(second))),
        "characters": _dice(_pieces(key_of(first)), _pieces(key_of(second))),
        "reading": _dice(_pieces(reading_of(first)), _pieces(reading_of(second))),
        "morphemes": _dice(_lemmas(first), _lemmas(second)),
        "script": _dice(_scripts(first), _scripts(second)),
    }
    return sum(LEXICAL_WEIGHTS[part] * value for part, value in parts.items())


def _common_end(first: str, second: str) -> float:
    """Return the length of the common end, relative to the shorter text; a shared final ん or ー alone is no head."""
    length = 0
    while length < min(len(first), len(second)) and first[-1 - length] == second[-1 - length]:
        length += 1
    common = first[len(first) - length :]
    return 0.0 if common in {"", "ん", "ー"} else length / min(len(first), len(second))


def _dice(first: Counter[str], second: Counter[str]) -> float:
    total = first.total() + second.total()
    return 2 * (first & second).total() / total if total else 0.0


def _pieces(text: str) -> Counter[str]:
    """Return the characters and the pairs of neighbouring characters, with the edges."""
    framed = f"^{text}$"
    return Counter(text) + Counter(framed[index : index + 2] for index in range(len(framed) - 1))


def _lemmas(name: str) -> Counter[str]:
    return Counter(morpheme.lemma for morpheme in morphemes_of(name))


def _scripts(name: str) -> Counter[str]:
    """Return how many characters are hiragana, katakana, and anything else (mostly kanji)."""
    return Counter("hiragana" if "ぁ" <= c <= "ゖ" else "katakana" if "ァ" <= c <= "ー" else "other" for c in name)
