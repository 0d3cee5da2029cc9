"""Scores in a policy: what checks and judges have measured becomes a finding where it lies outside of a bound."""

import math
from collections.abc import Iterator
from time import perf_counter

from filters.base import Finding, Rule, RuleStatistics
from filters.sample import CAPTION, Batch, Sample, Score


class ScoreBound(Rule):
    """Finds the scores of one name that lie below or above what is asked; a sample without that score passes.

    A value that is no number (NaN) lies outside of every bound.

    Args:
        score: the name of the score.
        at_least: the least value that passes, if there is one.
        at_most: the greatest value that passes, if there is one.
        name: how its findings are called, if not as the score: two bounds on one score need two names.

    >>> sample = Sample({"messages": [], "scores": [{"name": "sharpness", "value": 12.25}]})
    >>> [finding.evidence for finding in ScoreBound("sharpness", at_least=40).find(sample)]
    ['sharpness 12.25, at least 40 is asked']
    """

    name = "score"

    def __init__(
        self, score: str, at_least: float | None = None, at_most: float | None = None, name: str | None = None
    ) -> None:
        self.score = score
        self.at_least = -math.inf if at_least is None else at_least
        self.at_most = math.inf if at_most is None else at_most
        self.name = name or score  # type: ignore[misc]  # a bound is named one by one, other rules by their class

    def find(self, sample: Sample) -> Iterator[Finding]:
        """Yields a finding for each score outside of the bounds."""
        for score in sample.scores:
            gone = score.message is not None and score.message < CAPTION  # of a message that a repair took out
            if score.name == self.score and not gone and not self.at_least <= score.value <= self.at_most:
                yield Finding(self.name, score.message, 0, 0, "", self._evidence(score))

    def judge(self, batch: Batch, statistics: RuleStatistics) -> list[tuple[int, Finding]]:
        """Compares the scores of a batch; samples without the score are not counted."""
        started = perf_counter()
        found = list(self.find_in_batch(batch))
        statistics.seconds += perf_counter() - started
        statistics.samples += sum(any(score.name == self.score for score in sample.scores) for sample in batch.samples)
        statistics.hits += len({number for number, _ in found})
        return found

    def _evidence(self, score: Score) -> str:
        # NaN compares with nothing: it counts as too low where there is a lower bound
        low = self.at_least > -math.inf and not score.value >= self.at_least
        bound = f"at least {self.at_least:g}" if low else f"at most {self.at_most:g}"
        reason = f": {score.reason}" if score.reason else ""
        return f"{score.name} {score.value:g}, {bound} is asked{reason}"
