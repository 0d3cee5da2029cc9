"""Shares of questions, each with how sure it is."""

from typing import NamedTuple

from datagen.statistics import wilson


class Share(NamedTuple):
    """A share of questions with its confidence interval."""

    value: float
    low: float
    high: float
    questions: int


def share_of(successes: float, count: int, confidence: float = 0.95) -> Share:
    """Return a share of `count` questions with its interval, see `datagen.statistics.wilson`.

    >>> [round(value, 3) for value in share_of(25, 100)[:3]]
    [0.25, 0.175, 0.343]
    """
    return Share(successes / count if count else 0.0, *wilson(successes, count, confidence), count)
