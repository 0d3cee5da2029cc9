"""How sure a share is that was seen in a sample, and whether counts are even."""

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple


class Interval(NamedTuple):
    """A confidence interval."""

    low: float
    high: float


def wilson(successes: float, trials: int, confidence: float = 0.95) -> Interval:
    """Return the Wilson score interval of a share (Wilson, 1927); it stays within 0 and 1, and is right for few trials.

    Args:
        successes: may be fractional: a player who wavers between two options earns half.
        trials: all of them.
        confidence: of the interval, two-sided.

    >>> [round(bound, 3) for bound in wilson(9, 10)]
    [0.596, 0.982]
    >>> wilson(0, 0)
    Interval(low=0.0, high=1.0)
    """
    if not trials:
        return Interval(0.0, 1.0)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = successes / trials
    centre = share + z**2 / (2 * trials)
    spread = z * math.sqrt(max(share * (1 - share), 0.0) / trials + z**2 / (4 * trials**2))
    scale = 1 + z**2 / trials
    return Interval(max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale))


def evenness(counts: Sequence[int]) -> float:
    """Return the p value of Pearson's χ² test that all cells are filled equally often.

    >>> round(evenness([25, 25, 25, 25]), 3), evenness([100, 0, 0, 0]) < 1e-6
    (1.0, True)
    """
    from scipy.stats import chi2  # slow to import, and only audits need it

    expected = sum(counts) / len(counts)
    if not expected:
        return 1.0
    statistic = sum((count - expected) ** 2 for count in counts) / expected
    return float(chi2.sf(statistic, len(counts) - 1))
