"""The statistics of the audit: intervals for shares, and a test of even use."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from scipy.stats import chi2, norm


class Share(NamedTuple):
    """A share of questions with its confidence interval."""

    value: float
    low: float
    high: float
    questions: int


def wilson(successes: float, count: int, confidence: float = 0.95) -> Share:
    """Return a share with the interval of Wilson (1927), which holds near 0 and 1 too.

    Args:
        successes: may be fractional: a player who wavers between two options earns half.
        count: of questions.
        confidence: of the interval, two-sided.

    >>> [round(value, 3) for value in wilson(25, 100)[:3]]
    [0.25, 0.175, 0.343]
    """
    if not count:
        return Share(0.0, 0.0, 1.0, 0)
    z = float(norm.ppf(0.5 + confidence / 2))
    share = successes / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * math.sqrt(max(share * (1 - share), 0.0) / count + z * z / (4 * count * count)) / (1 + z * z / count)
    return Share(share, max(middle - half, 0.0), min(middle + half, 1.0), count)


def evenness(counts: Sequence[int]) -> float:
    """Return the p value of Pearson's χ² test that all places are used equally often.

    >>> round(evenness([25, 25, 25, 25]), 3), evenness([100, 0, 0, 0]) < 1e-6
    (1.0, True)
    """
    expected = sum(counts) / len(counts)
    if not expected:
        return 1.0
    statistic = sum((count - expected) ** 2 for count in counts) / expected
    return float(chi2.sf(statistic, len(counts) - 1))
