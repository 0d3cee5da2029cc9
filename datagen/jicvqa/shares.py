"""Shares of questions, each with how sure it is."""

import math
from collections.abc import Iterable
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


def mean_of(shares: Iterable[Share]) -> Share:
    """Return the mean of shares, with a 95 % interval from the sum of their variances.

    Each variance is taken at the share plus two successes and two failures (Agresti and Coull, 1998), so that shares of
    0 and 1 have one.
    """
    own = list(shares)
    value = sum(share.value for share in own) / len(own)
    variance = 0.0
    for share in own:
        trials = share.questions + 4
        adjusted = (share.value * share.questions + 2) / trials
        variance += adjusted * (1 - adjusted) / trials / len(own) ** 2
    half = 1.96 * math.sqrt(variance)
    return Share(value, max(value - half, 0.0), min(value + half, 1.0), sum(share.questions for share in own))
