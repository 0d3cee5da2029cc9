"""How alike the classes of a subset are: matrices, and the lexical similarity that needs no model.

A similarity is a square array with values from 0 to 1, zero on the diagonal, rows and columns in the order of the class
list. Row `a` says how near the others are to `a`; rankings by a model need not be symmetric.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

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
    keys, readings = list(map(key_of, names)), list(map(reading_of, names))
    parts = {
        "head": np.maximum(_common_ends(keys), _common_ends(readings)),
        "characters": _dice([_pieces(key) for key in keys]),
        "reading": _dice([_pieces(reading) for reading in readings]),
        "morphemes": _dice([Counter(morpheme.lemma for morpheme in morphemes_of(name)) for name in names]),
        "script": _dice([_scripts(name) for name in names]),
    }
    matrix = np.sum([LEXICAL_WEIGHTS[part] * value for part, value in parts.items()], axis=0)
    np.fill_diagonal(matrix, 0.0)
    return np.asarray(matrix)


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


def _common_ends(texts: Sequence[str]) -> Matrix:
    """Return the lengths of the common ends, relative to the shorter text; a shared final ん or ー alone is no head."""
    lengths = np.array(list(map(len, texts)))
    # Two texts have as many ends in common as their longest common end is long.
    common = _shared([Counter(text[start:] for start in range(len(text))) for text in texts])
    last = np.array([text[-1:] in ("ん", "ー") for text in texts])
    common[(common == 1) & last[:, None] & last[None, :]] = 0
    return np.asarray(common / np.maximum(np.minimum(lengths[:, None], lengths[None, :]), 1))


def _dice(bags: Sequence[Counter[str]]) -> Matrix:
    """Return twice what two bags share, relative to their sizes."""
    sizes = np.array([bag.total() for bag in bags])
    return np.asarray(2 * _shared(bags) / np.maximum(sizes[:, None] + sizes[None, :], 1))


def _shared(bags: Sequence[Counter[str]]) -> Matrix:
    """Return how many things every two bags share, as often as both have them."""
    number_of: dict[tuple[str, int], int] = {}
    rows, columns = [], []
    for row, bag in enumerate(bags):
        for thing, count in bag.items():
            for time in range(count):  # the first of a kind, the second, …: each is shared or not
                rows.append(row)
                columns.append(number_of.setdefault((thing, time), len(number_of)))
    shape = len(bags), max(len(number_of), 1)
    present = csr_matrix((np.ones(len(rows)), (rows, columns)), shape=shape)
    return np.asarray((present @ present.T).todense(), dtype=np.float64)


def _pieces(text: str) -> Counter[str]:
    """Return the characters and the pairs of neighbouring characters, with the edges."""
    framed = f"^{text}$"
    return Counter(text) + Counter(framed[index : index + 2] for index in range(len(framed) - 1))


def _scripts(name: str) -> Counter[str]:
    """Return how many characters are hiragana, katakana, and anything else (mostly kanji)."""
    return Counter("hiragana" if "ぁ" <= c <= "ゖ" else "katakana" if "ァ" <= c <= "ー" else "other" for c in name)
