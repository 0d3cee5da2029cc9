"""The questions of a benchmark, as hashed n-grams that stand in its fingerprints and say none of them in plain.

The rule `benchmark_question` looks the questions of a set up in them.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any

from datagen.errors import DatagenError
from datagen.recipe import SourceSettings
from datagen.sources import Source
from filters.errors import nearest
from filters.ngrams import ngrams


def asked_of_rows(source: Source, settings: SourceSettings, columns: Sequence[str]) -> Iterator[list[str]]:
    """Yield the questions in columns of every row that is meant, in the order of the entries; no end without columns.

    Args:
        source: as it is read.
        settings: of it.
        columns: with texts, or lists of texts; `qas.question` is the field of a structure, or of each one of a list.

    Raises:
        DatagenError: a column is not there, or the source has none.
    """
    if not columns:
        return repeat([])
    table: Any = source
    if not hasattr(table, "records"):
        raise DatagenError(
            f"--questions {columns[0]}: a source of the kind {settings.kind} has no columns; give a table, Parquet or "
            "a data set, or conversations, whose questions are read without it."
        )
    paths = {column: _steps(column, table.columns) for column in columns}
    records = settings.chosen(table.records(list(dict.fromkeys(steps[0] for steps in paths.values()))))
    return ([text for steps in paths.values() for text in _texts(record, steps)] for record in records)


def hashed(questions: Iterable[str]) -> list[list[int]]:
    """Return the hashed n-grams of each question, sorted, so that their order is not kept; each question once.

    >>> hashed(["何色？", "何色", "！"]) == [[ngrams("何色")[0].hash]]
    True
    """
    found = (tuple(sorted({gram.hash for gram in ngrams(question)})) for question in questions)
    return [list(hashes) for hashes in dict.fromkeys(found) if hashes]


def _steps(column: str, names: Sequence[str]) -> list[str]:
    """Return the column, and the fields within it.

    Raises:
        DatagenError: it is not there.
    """
    name, *fields = [column] if column in names else column.split(".")
    if name not in names:
        raise DatagenError(f"--questions {column}: the source has no such column; {nearest(name, names)}.")
    return [name, *fields]


def _texts(value: Any, steps: Sequence[str]) -> Iterator[str]:
    """Yield the texts at the end of the steps.

    >>> [*_texts({"qas": [{"question": "何色？"}, {"question": None}]}, ["qas", "question"])]
    ['何色？']
    """
    if isinstance(value, list):
        for each in value:
            yield from _texts(each, steps)
    elif steps:
        yield from _texts(value.get(steps[0]) if isinstance(value, dict) else None, steps[1:])
    elif isinstance(value, str):
        yield value
