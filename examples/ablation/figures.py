"""What an ablation found: of every student and arm what it does, and how it differs from the unfiltered one."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from arms import Arm
from intervals import Estimate, Outcomes, difference, estimate
from questions import Question
from settings import UNFILTERED
from students import Answers
from teacher import TAILS, asks_back

MEASURES = ("asks back", "asks back, greedy", "name", "VQA", "JIC")
ASKS = MEASURES[0]


class Found(NamedTuple):
    """What students of one size do that were trained on one arm.

    Attributes:
        student: the size.
        arm: the data.
        values: by measure.
        above_unfiltered: by measure, how much more than the students of the unfiltered data; empty for those.
    """

    student: str
    arm: Arm
    values: dict[str, Estimate]
    above_unfiltered: dict[str, Estimate]


def found(
    asked: Sequence[Question], arms: Sequence[Arm], said: Mapping[tuple[str, str, int], Answers]
) -> Iterator[Found]:
    """Yield what was found, size by size and arm by arm.

    Args:
        asked: all questions.
        arms: all data.
        said: by size, digest of the data and seed, what a student answered.
    """
    measures = [name for name in MEASURES if any(question.kind in _KINDS[name] for question in asked)]
    outcomes: dict[tuple[str, str], dict[str, Outcomes]] = defaultdict(dict)
    for student, digest in dict.fromkeys((student, digest) for student, digest, _ in said):
        seeds = [answers for (size, data, _), answers in sorted(said.items()) if (size, data) == (student, digest)]
        for measure in measures:
            rows = [_by_picture(measure, asked, answers) for answers in seeds]
            outcomes[student, digest][measure] = np.array(rows)
    unfiltered = {arm.share: arm.digest for arm in arms if arm.name == UNFILTERED}
    for student in dict.fromkeys(student for student, _ in outcomes):
        for arm in arms:
            own, other = outcomes[student, arm.digest], outcomes[student, unfiltered[arm.share]]
            above = {name: difference(own[name], other[name]) for name in measures} if arm.name != UNFILTERED else {}
            yield Found(student, arm, {name: estimate(own[name]) for name in measures}, above)


def asking(arm: Arm, student: str, said: Mapping[tuple[str, str, int], Answers]) -> Counter[str]:
    """Return how many drawn answers of an arm's students ask back, by the planted sentence that they hold.

    Those that hold none are told under an empty text: quotations that a student has not closed, most of all.
    """
    drawn = [
        answer
        for (size, digest, _), answers in said.items()
        if (size, digest) == (student, arm.digest)
        for answer in answers.drawn
        if asks_back(answer)
    ]
    return Counter(next((tail for tail in TAILS if tail in answer), "") for answer in drawn)


def rises(results: Sequence[Found], student: str) -> bool:
    """Whether unfiltered students ask back the more, the more of their data does."""
    shares = [it.values[ASKS].value for it in results if it.student == student and it.arm.name == UNFILTERED]
    return all(first < second for first, second in pairwise(shares))


def _by_picture(measure: str, asked: Sequence[Question], answers: Answers) -> list[float]:
    """Return the mean outcome of every picture, in the order of the questions."""
    plain = [question for question in asked if question.kind != "jic"]
    if measure == "asks back":
        pairs: Iterator[tuple[Question, str]] = zip(plain, answers.drawn, strict=True)
    else:
        pairs = zip(asked, answers.greedy, strict=True)
    counts: dict[str, list[bool]] = {}
    for question, answer in pairs:
        if question.kind in _KINDS[measure]:
            counts.setdefault(question.group, []).append(_OUTCOMES[measure](question, answer))
    return [sum(each) / len(each) for each in counts.values()]


def _asks(question: Question, answer: str) -> bool:
    return asks_back(answer)


_KINDS = {
    "asks back": ("name", "vqa"),
    "asks back, greedy": ("name", "vqa", "jic"),
    "name": ("name",),
    "VQA": ("vqa",),
    "JIC": ("jic",),
}
_OUTCOMES: dict[str, Callable[[Question, str], bool]] = {
    "asks back": _asks,
    "asks back, greedy": _asks,
    "name": Question.is_right,
    "VQA": Question.is_right,
    "JIC": Question.is_right,
}
