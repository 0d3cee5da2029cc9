"""How long the texts are, how many tokens they took, and in what script they are: before the policy and after."""

import math
from dataclasses import dataclass
from typing import Any

from datagen.inspection.stored_rows import StoredRows

_BINS = 28
_STEPS = (1, 2, 5)
SCRIPTS = ("kana", "han", "latin", "hangul", "other", "none")


@dataclass(frozen=True)
class Bin:
    """One bar: values from `low` to under `high`; `before` counts all judged rows, `after` those that were kept."""

    low: int
    high: int
    before: int
    after: int


@dataclass(frozen=True)
class Distribution:
    """A distribution of numbers.

    Attributes:
        name: what is counted.
        bins: equally wide; the last one takes everything that is longer than nearly all (`open_ended`).
        open_ended: whether it does.
        median_before: of all judged rows; `median_after` of the kept ones.
    """

    name: str
    bins: tuple[Bin, ...]
    open_ended: bool
    median_before: float
    median_after: float | None


@dataclass(frozen=True)
class Script:
    """Answers in one script, in all judged rows and in the kept ones."""

    name: str
    before: int
    after: int


_VALUES = {
    "answer_characters": "unnest(answers)",
    "question_characters": "unnest(questions)",
    "caption_characters": "caption",
    "conversation_turns": "turns",
    "answer_tokens": "unnest([call.completion_tokens FOR call IN calls])",
}

_FACTS = """
WITH each AS (SELECT state, {value} AS value FROM rows WHERE state <> 'failed')
SELECT min(value), max(value), quantile_disc(value, 0.995), median(value), median(value) FILTER (WHERE state = 'kept')
FROM each
"""
_COUNTED = """
WITH each AS (SELECT state, {value} AS value FROM rows WHERE state <> 'failed')
SELECT least(value // $width, $last) AS bin, count(*), count(*) FILTER (WHERE state = 'kept')
FROM each WHERE value IS NOT NULL GROUP BY bin
"""


def distributions(stored: StoredRows) -> tuple[Distribution, ...]:
    """Return the distributions of what the rows have; failed rows do not count."""
    found = (_distribution(stored, name, value) for name, value in _VALUES.items())
    return tuple(distribution for distribution in found if distribution)


def scripts(stored: StoredRows) -> tuple[Script, ...]:
    """Return how many answers are in which script; kana anywhere make an answer `kana`."""
    found = stored.ask(
        "SELECT script, count(*), count(*) FILTER (WHERE state = 'kept') FROM "
        "(SELECT state, unnest(scripts) AS script FROM rows WHERE state <> 'failed') GROUP BY script"
    )
    by_name = {name: Script(name, before, after) for name, before, after in found}
    return tuple(by_name[name] for name in SCRIPTS if name in by_name)


def _distribution(stored: StoredRows, name: str, value: str) -> Distribution | None:
    facts: tuple[Any, ...] = stored.ask(_FACTS.format(value=value))[0]
    low, high, nearly_all, median_before, median_after = facts
    if low is None:
        return None
    width = _width(nearly_all - low + 1)
    first = low // width
    last = max(nearly_all // width, first)
    counted = stored.ask(_COUNTED.format(value=value), width=width, last=last)
    counts = {number: (before, after) for number, before, after in counted}
    bins = tuple(
        Bin(number * width, (number + 1) * width, *counts.get(number, (0, 0))) for number in range(first, last + 1)
    )
    return Distribution(name, bins, high >= (last + 1) * width, median_before, median_after)


def _width(span: int) -> int:
    """Return a round width for bins over a span.

    >>> _width(20), _width(100), _width(1900)
    (1, 5, 100)
    """
    smallest = max(span / _BINS, 1)
    power = 10 ** math.floor(math.log10(smallest))
    return int(next(step * power for step in (*_STEPS, 10) if step * power >= smallest))
