"""What changed between two builds: distractors by question and by class, and how alike they are to the answers."""

from collections import Counter, defaultdict
from typing import Any, NamedTuple

from datagen.errors import DatagenError
from datagen.jicvqa.benchmark.questions import Question
from datagen.jicvqa.benchmark.stored import Benchmark
from datagen.jicvqa.classes.similarity import Matrix, lexical_similarity


class SubsetComparison(NamedTuple):
    """The difference in one subset, over the questions that both builds have.

    Attributes:
        questions: that both have; `only_first` and `only_second` are those that one has alone.
        same_options: the share of questions with the same three distractors.
        agreement: the mean share of distractors that both have, of three.
        first_similarity: mean similarity of the distractors to the answer in the first build; `second_similarity` in
            the second.
        joined: what a player earns without the pictures who has both tables and names, of the options that a question
            has in both, one at random. Two tables of the same pictures tell on each other.
        changes: by class, the distractors that come more or less often in the second build, with the difference.
    """

    questions: int
    only_first: int
    only_second: int
    same_options: float
    agreement: float
    first_similarity: float
    second_similarity: float
    joined: float
    changes: dict[str, dict[str, int]]


class Comparison(NamedTuple):
    """The difference between two builds; `similarity` names the one by which they are measured."""

    similarity: str
    subsets: dict[str, SubsetComparison]

    def document(self) -> dict[str, Any]:
        """Return the comparison as JSON takes it."""
        return {
            "similarity": self.similarity,
            "subsets": {name: comparison._asdict() for name, comparison in self.subsets.items()},
        }


def compare(first: Benchmark, second: Benchmark) -> Comparison:
    """Compare two builds question by question.

    Similarity is measured by the ranking of the second build, that of the first, or the names, whichever there is.

    Raises:
        DatagenError: the builds have no question in common, or disagree about an answer.
    """
    before = {question.id: question for question in first.questions}
    after = {question.id: question for question in second.questions}
    common = [identity for identity in before if identity in after]
    if not common:
        raise DatagenError(f"{first.folder} and {second.folder} have no question id in common.")
    for identity in common:
        if before[identity].category != after[identity].category:
            raise DatagenError(
                f"The answer of the question {identity} is '{before[identity].category}' in {first.folder} and "
                f"'{after[identity].category}' in {second.folder}; these are builds of different tables."
            )
    judge = second if second.distractors else first if first.distractors else None
    subsets = {}
    for name in dict.fromkeys([*first.subsets, *second.subsets]):
        pairs = [(before[i], after[i]) for i in common if before[i].subset == name]
        own_before = sum(question.subset == name for question in first.questions)
        own_after = sum(question.subset == name for question in second.questions)
        names = sorted({choice for pair in pairs for question in pair for choice in question.choices})
        matrix = _matrix(judge, name, names)
        subsets[name] = _compared(pairs, own_before - len(pairs), own_after - len(pairs), names, matrix)
    kind = f"the ranking in {judge.folder.name}" if judge else "the names"
    return Comparison(kind, subsets)


def _compared(
    pairs: list[tuple[Question, Question]], only_first: int, only_second: int, names: list[str], matrix: Matrix
) -> SubsetComparison:
    index_of = {name: number for number, name in enumerate(names)}
    changes: dict[str, Counter[str]] = defaultdict(Counter)
    same = shared = 0
    joined = 0.0
    similarity = [0.0, 0.0]
    for pair in pairs:
        sets = [{choice for choice in question.choices if choice != question.category} for question in pair]
        same += sets[0] == sets[1]
        shared += len(sets[0] & sets[1])
        joined += 1 / (1 + len(sets[0] & sets[1]))
        changes[pair[0].category].update(sets[1])
        changes[pair[0].category].subtract(sets[0])
        for side, names_of_side in enumerate(sets):
            similarity[side] += sum(
                matrix[index_of[pair[0].category], index_of[name]] for name in sorted(names_of_side)
            )
    count = max(len(pairs), 1)
    moved = {
        name: {other: change for other, change in sorted(own.items(), key=_most_gained) if change}
        for name, own in sorted(changes.items())
        if any(own.values())
    }
    return SubsetComparison(
        len(pairs),
        only_first,
        only_second,
        same / count,
        shared / (3 * count),
        similarity[0] / (3 * count),
        similarity[1] / (3 * count),
        joined / count,
        moved,
    )


def _most_gained(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]


def _matrix(judge: Benchmark | None, subset: str, names: list[str]) -> Matrix:
    part = judge.distractors.subsets.get(subset) if judge and judge.distractors else None
    if part is None or not set(names) <= set(part.subset.names):
        return lexical_similarity(names)
    own = [part.subset.names.index(name) for name in names]
    matrix: Matrix = part.matrix[own][:, own]
    return matrix
