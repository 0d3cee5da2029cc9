"""Similarities of the user's own: a square table, a list of pairs, or an array."""

import csv
from pathlib import Path

import numpy as np

from datagen.errors import DatagenError
from datagen.jicvqa.classes.lists import ClassLists, Subset
from datagen.jicvqa.classes.similarity import Matrix
from filters.errors import nearest

_FORMS = (
    "a CSV with the names in its first row and column, a CSV of the columns first, second, similarity, or an .npy "
    "array in the order of the class lists"
)


def read_similarity(path: Path, lists: ClassLists) -> dict[str, Matrix]:
    """Read similarities, scaled to 0 to 1 over each subset.

    Args:
        path: `.csv` (a square table or pairs) or `.npy` (n × n, n being the classes of all lists together, in order).
        lists: the class lists.

    Raises:
        DatagenError: the file cannot be read, or a class is missing in it.
    """
    names = [name for subset in lists.subsets.values() for name in subset.names]
    try:
        if path.suffix.lower() == ".npy":
            array = np.load(path, allow_pickle=False)
            if array.shape != (len(names), len(names)) or not np.issubdtype(array.dtype, np.number):
                raise DatagenError(
                    f"--similarity {path} has the shape {array.shape}; it must be {(len(names), len(names))}, the "
                    "classes of all lists in their order."
                )
            pairs = {
                (first, second): float(array[row, column])
                for row, first in enumerate(names)
                for column, second in enumerate(names)
            }
        else:
            with path.open(encoding="utf-8-sig", newline="") as file:
                pairs = _pairs(path, list(csv.reader(file)))
    except OSError as error:
        raise DatagenError(f"--similarity {path} cannot be read: {error.strerror}.") from error
    except (ValueError, csv.Error) as error:
        raise DatagenError(f"--similarity {path} is not of a form that is read ({error}): give {_FORMS}.") from error
    known = {name for pair in pairs for name in pair}
    if missing := [name for name in names if name not in known]:
        raise DatagenError(
            f"--similarity {path} says nothing of {len(missing)} classes, the first '{missing[0]}': "
            f"{nearest(missing[0], sorted(known))}."
        )
    return {name: _matrix(path, subset, pairs) for name, subset in lists.subsets.items()}


def _pairs(path: Path, rows: list[list[str]]) -> dict[tuple[str, str], float]:
    if not rows:
        raise DatagenError(f"--similarity {path} is empty; give {_FORMS}.")
    head = [cell.strip() for cell in rows[0]]
    if head[:3] == ["first", "second", "similarity"]:
        return {(row[0].strip(), row[1].strip()): float(row[2]) for row in rows[1:] if row}
    found: dict[tuple[str, str], float] = {}
    for row in rows[1:]:
        if row and len(row) != len(head):
            raise ValueError(f"the row of '{row[0]}' has {len(row)} fields and the first has {len(head)}")
        found |= {(row[0].strip(), other): float(cell) for other, cell in zip(head[1:], row[1:], strict=True) if row}
    return found


def _matrix(path: Path, subset: Subset, pairs: dict[tuple[str, str], float]) -> Matrix:
    names = subset.names
    matrix = np.array([[pairs.get((own, other), 0.0) for other in names] for own in names])
    np.fill_diagonal(matrix, 0.0)
    if not np.isfinite(matrix).all():
        raise DatagenError(f"--similarity {path} holds values that are no numbers.")
    off = ~np.eye(len(names), dtype=bool)
    low, high = float(matrix[off].min()), float(matrix[off].max())
    if high <= low:
        raise DatagenError(f"--similarity {path}: all classes are equally similar, so that nothing can be chosen.")
    return np.where(off, (matrix - low) / (high - low), 0.0)
