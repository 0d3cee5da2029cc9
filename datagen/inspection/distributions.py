"""Lengths, tokens, scores and scripts: in all judged rows, and in those that the policy keeps."""

import math
from dataclasses import dataclass
from typing import Any

from datagen.inspection.stored_rows import StoredRows

_BINS = 28
_STEPS = (1, 2, 5)
_DIGITS = 12
SCRIPTS = ("kana", "han", "latin", "hangul", "other", "none")


@dataclass(frozen=True)
class Bin:
    """One bar: values from `low` to under `high`; `before` counts all judged rows, `after` those that were kept."""

    low: float
    high: float
    before: int
    after: int


@dataclass(frozen=True)
class Distribution:
    """A distribution of numbers.

    Attributes:
        name: what is counted, `score:NAME` for a score.
        whole: whether the values are whole numbers.
        bins: equally wide; the last one takes everything that is longer than nearly all (`open_ended`).
        open_ended: whether it does.
        median_before: of all judged rows; `median_after` of the kept ones.
    """

    name: str
    whole: bool
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
_SCORES = "SELECT DISTINCT unnest([score.name FOR score IN scores]) AS name FROM rows ORDER BY name"
_SCORE = "unnest([score.value FOR score IN scores IF score.name = '{}'])"
_FACTS = """
WITH each AS (SELECT state, {value} AS value FROM rows WHERE state <> 'failed')
SELECT min(value), max(value), quantile_disc(value, 0.995), median(value), median(value) FILTER (WHERE state = 'kept')
FROM each
"""
_COUNTED = """
WITH each AS (SELECT state, {value} AS value FROM rows WHERE state <> 'failed')
SELECT least(floor(value / $width)::BIGINT, $last) AS bin, count(*), count(*) FILTER (WHERE state = 'kept')
FROM each WHERE value IS NOT NULL GROUP BY bin
"""


def distributions(stored: StoredRows) -> tuple[Distribution, ...]:
    """Return the distributions of what the rows have; failed rows do not count."""
    found = [_distribution(stored, name, value) for name, value in _VALUES.items()]
    for (score,) in stored.ask(_SCORES):
        found.append(_distribution(stored, f"score:{score}", _SCORE.format(score.replace("'", "''")), whole=False))
    return tuple(distribution for distribution in found if distribution)


def scripts(stored: StoredRows) -> tuple[Script, ...]:
    """Return how many answers are in which script; kana anywhere make an answer `kana`."""
    found = stored.ask(
        "SELECT script, count(*), count(*) FILTER (WHERE state = 'kept') FROM "
        "(SELECT state, unnest(scripts) AS script FROM rows WHERE state <> 'failed') GROUP BY script"
    )
    by_name = {name: Script(name, before, after) for name, before, after in found}
    return tuple(by_name[name] for name in SCRIPTS if name in by_name)


def _distribution(stored: StoredRows, name: str, value: str, *, whole: bool = True) -> Distribution | None:
    facts: tuple[Any, ...] = stored.ask(_FACTS.format(value=value))[0]
    low, high, nearly_all, median_before, median_after = facts
    if low is None:
        return None
    width = _width(nearly_all - low + 1, least=1) if whole else _width(nearly_all - low)
    first = math.floor(low / width)
    last = max(math.floor(nearly_all / width), first)
    counted = stored.ask(_COUNTED.format(value=value), width=width, last=last)
    counts = {number: (before, after) for number, before, after in counted}
    bins = tuple(
        Bin(_edge(number, width), _edge(number + 1, width), *counts.get(number, (0, 0)))
        for number in range(first, last + 1)
    )
    return Distribution(name, whole, bins, high >= (last + 1) * width, median_before, median_after)


def _width(span: float, least: float = 0.0) -> float:
    """Return a round width for bins over a span, a whole number where it is not under 1.

    >>> _width(20, least=1), _width(100), _width(1900), _width(0.9), _width(0)
    (1, 5, 100, 0.05, 1)
    """
    smallest = max(span / _BINS, least)
    if not smallest:
        return 1
    power = 10.0 ** math.floor(math.log10(smallest))
    width = next(round(step * power, _DIGITS) for step in (*_STEPS, 10) if step * power >= smallest)
    return int(width) if width >= 1 else width


def _edge(number: int, width: float) -> float:
    return round(number * width, _DIGITS)
