"""Several models on the same questions: differences with intervals, and what the questions are worth.

Two models are compared question by question: McNemar's exact test (1947) on the questions that one alone has right, and
a paired bootstrap of the difference (Efron and Tibshirani, 1993), questions being drawn anew within each subset.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from datagen.errors import DatagenError
from datagen.jicvqa.evaluation.items import Item
from datagen.jicvqa.evaluation.scoring import UNANSWERED
from datagen.jicvqa.shares import Share, mean_of, share_of

_DRAWS = 10_000
OVERALL = "macro"
ALL = "all questions"


class Evaluated(NamedTuple):
    """One model's answers."""

    name: str
    items: Sequence[Item]


class Difference(NamedTuple):
    """How two models differ in one scope, the second minus the first.

    Attributes:
        value: of the shares right; `low` and `high` are the bootstrap's 95 % interval.
        only_first: questions that the first alone has right; `only_second` likewise.
        p: of McNemar's exact test; for the macro mean of all subsets' questions together.
    """

    first: str
    second: str
    value: float
    low: float
    high: float
    only_first: int
    only_second: int
    p: float


class QuestionWorth(NamedTuple):
    """What a question, or an option set, is worth.

    Attributes:
        difficulty: the mean share of the models that have it right.
        discrimination: that of the better half of the models minus that of the others (of two: the better minus the
            other one).
    """

    name: str
    subset: str
    questions: int
    difficulty: float
    discrimination: float


class ModelsCompared(NamedTuple):
    """All that a comparison found.

    Attributes:
        models: the names, in the order given.
        questions: that all of them were asked.
        left_out: that some were not.
        rotations: how many rotations of each are compared.
        shares: by model and scope (`macro`, each subset), the share right.
        unanswered: by model, the share of what is no answer.
        differences: by scope, each pair of models.
        of_questions: what every question is worth; `of_sets` every option set.
        right: by model and question id, the share of rotations right.
    """

    models: tuple[str, ...]
    questions: int
    left_out: int
    rotations: int
    shares: dict[str, dict[str, Share]]
    unanswered: dict[str, float]
    differences: dict[str, list[Difference]]
    of_questions: list[QuestionWorth]
    of_sets: list[QuestionWorth]
    right: dict[str, dict[str, float]]

    def document(self) -> dict[str, Any]:
        """Return the comparison as JSON takes it."""
        return {
            "models": list(self.models),
            "questions": self.questions,
            "left_out": self.left_out,
            "rotations": self.rotations,
            "shares": {m: {s: share._asdict() for s, share in own.items()} for m, own in self.shares.items()},
            "unanswered": self.unanswered,
            "differences": {scope: [found._asdict() for found in own] for scope, own in self.differences.items()},
            "option_sets": [worth._asdict() for worth in self.of_sets],
            "questions_by_id": {
                worth.name: {
                    **{key: value for key, value in worth._asdict().items() if key not in ("name", "questions")},
                    "right": {model: self.right[model][worth.name] for model in self.models},
                }
                for worth in self.of_questions
            },
        }


def compare_models(evaluated: Sequence[Evaluated], seed: int = 0) -> ModelsCompared:
    """Compare models on the questions, and in the rotations, that all of them were asked.

    Args:
        evaluated: two models or more, on the same benchmark.
        seed: of the bootstrap.

    Raises:
        DatagenError: fewer than two models, two of one name, or no question in common.
    """
    names = [own.name for own in evaluated]
    if len(names) < 2 or len(set(names)) < len(names):
        raise DatagenError(
            f"Compare two models or more, each with a name of its own; got {', '.join(names) or 'none'}."
        )
    asked = [{(item.id, item.rotation): item for item in own.items} for own in evaluated]
    common = set.intersection(*(set(own) for own in asked))
    if not common:
        raise DatagenError(f"{' and '.join(names)} have no question in common.")
    turns = {turn for _, turn in common}
    ids = [item.id for item in evaluated[0].items if item.rotation == min(turns)]
    ids = [one for one in dict.fromkeys(ids) if all((one, turn) in common for turn in turns)]
    first = asked[0]
    subset_of = {one: first[one, min(turns)].subset for one in ids}
    right = {
        name: {one: float(np.mean([own[one, turn].outcome == "correct" for turn in turns])) for one in ids}
        for name, own in zip(names, asked, strict=True)
    }
    by_subset: dict[str, list[str]] = defaultdict(list)
    for one in ids:
        by_subset[subset_of[one]].append(one)
    table = {
        name: {subset: np.array([own[one] for one in members]) for subset, members in by_subset.items()}
        for name, own in right.items()
    }
    everything = {item.id for own in evaluated for item in own.items}
    sets = {one: "、".join(sorted(first[one, min(turns)].choices)) for one in ids}
    worth = _worth(ids, names, right)
    return ModelsCompared(
        tuple(names),
        len(ids),
        len(everything - set(ids)),
        len(turns),
        {name: _shares(own) for name, own in table.items()},
        {own.name: sum(i.outcome in UNANSWERED for i in own.items) / len(own.items) for own in evaluated},
        _differences(names, table, seed),
        [QuestionWorth(one, subset_of[one], 1, *worth[one]) for one in ids],
        _of_sets(ids, sets, subset_of, worth),
        right,
    )


def confusions_of(evaluated: Evaluated, subset: str) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Return the classes of a subset and an (n, n) count of what was chosen (columns) for what (rows)."""
    items = [item for item in evaluated.items if item.subset == subset]
    names = sorted({item.category for item in items} | {item.chosen for item in items if item.chosen})
    index_of = {name: number for number, name in enumerate(names)}
    counts = np.zeros((len(names), len(names)), dtype=np.int64)
    for item in items:
        if item.chosen:
            counts[index_of[item.category], index_of[item.chosen]] += 1
    return names, counts


def _shares(own: Mapping[str, npt.NDArray[np.float64]]) -> dict[str, Share]:
    shares = {subset: share_of(float(values.sum()), len(values)) for subset, values in own.items()}
    return {OVERALL: mean_of(shares.values()), **shares}


def _differences(
    names: Sequence[str], table: Mapping[str, Mapping[str, npt.NDArray[np.float64]]], seed: int
) -> dict[str, list[Difference]]:
    found: dict[str, list[Difference]] = defaultdict(list)
    for first, second in combinations(names, 2):
        draw = np.random.default_rng(seed)
        drawn_by_subset = []
        totals: Counter[str] = Counter()
        values = []
        own: list[tuple[str, Difference]] = []
        for subset, before in table[first].items():
            after = table[second][subset]
            difference = after - before
            drawn = _drawn(difference, draw)
            drawn_by_subset.append(drawn)
            values.append(float(difference.mean()))
            only_first, only_second = int((difference < 0).sum()), int((difference > 0).sum())
            totals.update(first=only_first, second=only_second)
            own.append((subset, _difference(first, second, values[-1], drawn, only_first, only_second)))
        macro = np.mean(drawn_by_subset, axis=0)
        overall = _difference(first, second, float(np.mean(values)), macro, totals["first"], totals["second"])
        for scope, difference_of in [(OVERALL, overall), *own]:
            found[scope].append(difference_of)
    return dict(found)


def _drawn(difference: npt.NDArray[np.float64], draw: np.random.Generator) -> npt.NDArray[np.float64]:
    """Return the means of so many samples of the questions, with replacement.

    Questions with the same difference are alike, so that their counts are drawn, and not the questions.
    """
    values, counts = np.unique(difference, return_counts=True)
    samples = draw.multinomial(len(difference), counts / len(difference), size=_DRAWS)
    return np.asarray(samples @ values / len(difference))


def _difference(
    first: str, second: str, value: float, drawn: npt.NDArray[np.float64], only_first: int, only_second: int
) -> Difference:
    from scipy.stats import binomtest

    low, high = np.quantile(drawn, [0.025, 0.975])
    differing = only_first + only_second
    p = float(binomtest(only_second, differing).pvalue) if differing else 1.0
    return Difference(first, second, value, float(low), float(high), only_first, only_second, p)


def _worth(
    ids: Sequence[str], names: Sequence[str], right: Mapping[str, Mapping[str, float]]
) -> dict[str, tuple[float, float]]:
    """Return difficulty and discrimination of every question."""
    order = sorted(names, key=lambda name: -sum(right[name][one] for one in ids))
    half = len(order) // 2
    better, others = order[: len(order) - half], order[len(order) - half :]
    found = {}
    for one in ids:
        difficulty = float(np.mean([right[name][one] for name in names]))
        upper, lower = (float(np.mean([right[name][one] for name in own])) for own in (better, others))
        found[one] = difficulty, upper - lower
    return found


def _of_sets(
    ids: Sequence[str], sets: Mapping[str, str], subset_of: Mapping[str, str], worth: Mapping[str, tuple[float, float]]
) -> list[QuestionWorth]:
    members: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for one in ids:
        members[subset_of[one], sets[one]].append(worth[one])
    found = [
        QuestionWorth(name, subset, len(own), *(float(value) for value in np.mean(own, axis=0)))
        for (subset, name), own in members.items()
    ]
    return sorted(found, key=lambda one: (one.subset, one.difficulty, one.name))
