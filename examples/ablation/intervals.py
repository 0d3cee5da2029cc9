"""How sure a difference is: a paired bootstrap over pictures and seeds (Efron and Tibshirani, 1993)."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

_DRAWS = 10_000

Outcomes = npt.NDArray[np.float64]
"""A row a seed, a column a picture: the mean outcome of the picture's questions."""


class Estimate(NamedTuple):
    """A mean, and the 95 % interval of it."""

    value: float
    low: float
    high: float

    @property
    def is_clear(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low > 0 or self.high < 0


def estimate(outcomes: Outcomes) -> Estimate:
    """Return the mean of outcomes with its interval; seeds and pictures are both drawn anew.

    >>> import numpy as np
    >>> estimate(np.zeros((3, 50)))
    Estimate(value=0.0, low=0.0, high=0.0)
    >>> seen = estimate(np.random.default_rng(0).binomial(1, 0.3, (3, 400)).astype(float))
    >>> 0.2 < seen.low < seen.value < seen.high < 0.4
    True
    """
    seeds, pictures = outcomes.shape
    generator = np.random.default_rng(0)
    of_seeds = generator.multinomial(seeds, np.full(seeds, 1 / seeds), _DRAWS) / seeds
    of_pictures = generator.multinomial(pictures, np.full(pictures, 1 / pictures), _DRAWS) / pictures
    means = ((of_seeds @ outcomes) * of_pictures).sum(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return Estimate(float(outcomes.mean()), float(low), float(high))


def difference(first: Outcomes, second: Outcomes) -> Estimate:
    """Return by how much the first is above the second, paired by seed and picture."""
    return estimate(first - second)
