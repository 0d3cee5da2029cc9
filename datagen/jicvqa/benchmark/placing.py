"""Which class list a label belongs to: by its name, an alias or its reading; what is in none is listed with counts."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from datagen.errors import DatagenError
from datagen.jicvqa.benchmark.labelled import ImageRow
from datagen.jicvqa.classes.lists import ClassLists
from filters.errors import nearest

_SHOWN = 12


class Placed(NamedTuple):
    """Rows by subset, their category being the class's name; and how many rows said another form of it."""

    rows: dict[str, list[ImageRow]]
    forms: Counter[tuple[str, str]]


def place_rows(rows: Sequence[ImageRow], lists: ClassLists, shown: str) -> Placed:
    """Return the rows by subset.

    Raises:
        DatagenError: labels are in no class list, or in several; or a subset is not known.
    """
    known: dict[tuple[str, str], list[tuple[str, str]]] = {}
    placed: dict[str, list[ImageRow]] = {name: [] for name in lists.subsets}
    forms: Counter[tuple[str, str]] = Counter()
    unknown: Counter[tuple[str, str]] = Counter()
    for row in rows:
        label = row.subset, row.category
        if label not in known:
            if row.subset and row.subset not in placed:
                raise DatagenError(
                    f"{shown}, row {row.number + 1}: subset '{row.subset}': {nearest(row.subset, placed)}."
                )
            known[label] = _classes_of(row, lists)
        found = known[label]
        if len(found) > 1:
            raise DatagenError(
                f"{shown}, row {row.number + 1}: '{row.category}' is a class of "
                f"{' and '.join(subset for subset, _ in found)}; add a column 'subset' that says which is meant."
            )
        if not found:
            unknown[label] += 1
            continue
        subset, name = found[0]
        if name != row.category:
            forms[row.category, name] += 1
            row = row.model_copy(update={"category": name})
        placed[subset].append(row)
    if unknown:
        raise DatagenError(_unknown(unknown, lists, shown))
    return Placed({name: own for name, own in placed.items() if own}, forms)


def _classes_of(row: ImageRow, lists: ClassLists) -> list[tuple[str, str]]:
    """Return the subsets and classes that a row's label may mean; a class's own name comes before an alias."""
    subsets = [row.subset] if row.subset else list(lists.subsets)
    named = [(subset, row.category) for subset in subsets if row.category in lists.subsets[subset].names]
    return named or [(subset, name) for subset in subsets if (name := lists.subsets[subset].class_of(row.category))]


def _unknown(unknown: Counter[tuple[str, str]], lists: ClassLists, shown: str) -> str:
    """Return a sentence with the labels that are in no list, the most frequent first, each with what is near to it."""
    told = []
    for (subset, label), count in unknown.most_common(_SHOWN):
        names = lists.subsets[subset].names if subset else [n for s in lists.subsets.values() for n in s.names]
        clause = nearest(label, names)
        near = f"; {clause.split('? (')[0]}?" if clause.startswith("did you mean") else ""
        told.append(f"'{label}' ({count:,}{near})")
    more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
    return (
        f"{shown}: {unknown.total():,} rows have labels that are in none of the class lists "
        f"({', '.join(lists.subsets)}): {', '.join(told)}{more}. Correct the rows, or add the classes to the lists (or "
        "the labels to a class's aliases) and make the distractors again."
    )
