"""The results of an evaluation: shares right by subset and class, confusions, and the table like the paper's."""

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from importlib import resources
from typing import Any, NamedTuple

from datagen.jicvqa.evaluation.items import Item
from datagen.jicvqa.evaluation.models_compared import ModelsCompared
from datagen.jicvqa.evaluation.scoring import OUTCOMES, UNANSWERED
from datagen.jicvqa.shares import Share, mean_of, share_of

MANY_UNANSWERED = 0.01
"""A share of answers that are none from which a score says little of the model."""


class SubsetResult(NamedTuple):
    """The results of one subset, or of all questions.

    Attributes:
        questions: how many; `answers` are four times as many when all rotations were asked.
        outcomes: how many answers were correct, wrong, named no option, named several, or were no answer: broken off,
            empty, refused, failed.
        strict: the share of correct answers among all that were asked for.
        answered: the share of correct answers among those that are answers.
        unanswered: the share of answers that are none.
        official: the share in which the answer's text stands in the response; None where letters were asked for.
        circular: the share of questions that are correct in all rotations; None when one alone was asked.
    """

    questions: int
    answers: int
    outcomes: dict[str, int]
    strict: Share
    answered: Share
    unanswered: float
    official: Share | None
    circular: Share | None


class Results(NamedTuple):
    """All results of an evaluation.

    Attributes:
        model: its name.
        subsets: by name.
        micro: over all questions.
        macro: the mean of the subsets' strict shares, with an interval from their variances; `macro_official` and
            `macro_circular` likewise.
        classes: by subset and class, the strict share.
        confusions: subset, answer, the option taken for it, how often; the most frequent first.
        of: how many questions the benchmark has; more than were asked when the evaluation is partial.
        judged: how many answers a judge had to read.
    """

    model: str
    subsets: dict[str, SubsetResult]
    micro: SubsetResult
    macro: Share
    macro_official: Share | None
    macro_circular: Share | None
    classes: dict[str, dict[str, Share]]
    confusions: list[tuple[str, str, str, int]]
    of: int
    judged: int

    @property
    def partial(self) -> bool:
        """Whether only some of the questions were asked."""
        return self.micro.questions < self.of

    def document(self) -> dict[str, Any]:
        """Return the results as JSON takes them."""
        return {
            "model": self.model,
            "partial": self.partial,
            "questions_of_the_benchmark": self.of,
            "read_by_a_judge": self.judged,
            "macro": self.macro._asdict(),
            "macro_official": self.macro_official._asdict() if self.macro_official else None,
            "macro_circular": self.macro_circular._asdict() if self.macro_circular else None,
            "micro": _document(self.micro),
            "subsets": {name: _document(result) for name, result in self.subsets.items()},
            "classes": {
                subset: {name: share._asdict() for name, share in own.items()} for subset, own in self.classes.items()
            },
            "confusions": [
                {"subset": subset, "answer": answer, "taken_for": taken, "count": count}
                for subset, answer, taken, count in self.confusions
            ],
        }


def summarise(model: str, items: Sequence[Item], letters: bool = False, of: int = 0) -> Results:
    """Return the results of scored answers.

    Several rotations of a question are not independent, so that intervals count questions, not answers.

    Args:
        model: its name.
        items: the answers.
        letters: whether letters were asked for; the official score looks for the answer's text and says nothing then.
        of: how many questions the benchmark has; by default those that were asked.
    """
    by_subset: dict[str, list[Item]] = defaultdict(list)
    by_class: dict[str, dict[str, list[Item]]] = defaultdict(lambda: defaultdict(list))
    confusions: Counter[tuple[str, str, str]] = Counter()
    for item in items:
        by_subset[item.subset].append(item)
        by_class[item.subset][item.category].append(item)
        if item.outcome == "wrong":
            confusions[item.subset, item.category, item.chosen] += 1
    subsets = {name: _result(own, letters) for name, own in by_subset.items()}
    official = [result.official for result in subsets.values() if result.official]
    circular = [result.circular for result in subsets.values() if result.circular]
    return Results(
        model,
        subsets,
        _result(items, letters),
        mean_of(result.strict for result in subsets.values()),
        mean_of(official) if official else None,
        mean_of(circular) if circular else None,
        {
            subset: {name: _result(own, letters).strict for name, own in classes.items()}
            for subset, classes in by_class.items()
        },
        [(*names, count) for names, count in sorted(confusions.items(), key=lambda pair: (-pair[1], pair[0]))],
        max(of, len({item.id for item in items})),
        sum(item.read_by == "judge" for item in items),
    )


def results_markdown(results: Results) -> str:
    """Return the results as the paper's table, with its published rows where the subsets are the published ones."""
    names = list(results.subsets)
    rows = [
        ("strict", results.macro, [results.subsets[name].strict for name in names]),
    ]
    if results.macro_official:
        official = [share for name in names if (share := results.subsets[name].official)]
        rows.append(("`ref in pred`", results.macro_official, official))
    if results.macro_circular:
        circular = [share for name in names if (share := results.subsets[name].circular)]
        rows.append(("all four rotations", results.macro_circular, circular))
    lines = [
        f"| model | scored | macro | {' | '.join(names)} | micro |",
        f"| --- | --- |{' ---: |' * (len(names) + 2)}",
    ]
    for (scored, macro, shares), micro in zip(rows, _micros(results), strict=False):
        cells = " | ".join(_cell(share) for share in shares)
        lines.append(f"| {results.model} | {scored} | {_cell(macro)} | {cells} | {_cell(micro)} |")
    published = published_results()
    source = ""
    if set(names) == set(published["subsets"]):
        index_of = {name: index for index, name in enumerate(published["subsets"])}
        for row in published["rows"]:
            cells = " | ".join(f"{row['subsets'][index_of[name]]:.2f}" for name in names)
            lines.append(f"| {row['model']} | published | {row['macro']:.2f} | {cells} | |")
        source = f"\nPublished rows: {published['_source']}; they are for the published questions.\n"
    counts = "\n".join(
        f"| {name} | {result.questions:,} | " + " | ".join(f"{result.outcomes[o]:,}" for o in OUTCOMES) + " |"
        for name, result in [*results.subsets.items(), ("all", results.micro)]
    )
    head = f"| subset | questions | {' | '.join(OUTCOMES)} |\n| --- | ---: |{' ---: |' * len(OUTCOMES)}\n"
    confusions = "\n".join(
        f"| {subset} | {answer} | {taken} | {count:,} |" for subset, answer, taken, count in results.confusions[:20]
    )
    pairs = (
        f"\n| subset | answer | taken for | times |\n| --- | --- | --- | ---: |\n{confusions}\n" if confusions else ""
    )
    return _notes(results) + "\n".join(lines) + f"\n{source}\n{head}{counts}\n{pairs}"


def models_markdown(compared: ModelsCompared) -> str:
    """Return a comparison of models as two tables: the shares right, and the differences."""
    scopes = list(next(iter(compared.shares.values())))
    lines = [f"| model | {' | '.join(scopes)} | no answer |", f"| --- |{' ---: |' * (len(scopes) + 1)}"]
    for model, shares in compared.shares.items():
        cells = " | ".join(_cell(shares[scope]) for scope in scopes)
        lines.append(f"| {model} | {cells} | {compared.unanswered[model]:.1%} |")
    lines += [
        "",
        "| scope | models | difference | 95 % | first alone | second alone | p |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for scope in scopes:
        lines += [
            f"| {scope} | {found.first} → {found.second} | {found.value:+.3f} | {found.low:+.3f} … {found.high:+.3f} | "
            f"{found.only_first:,} | {found.only_second:,} | {found.p:.2g} |"
            for found in compared.differences[scope]
        ]
    return "\n".join(lines) + f"\n\n{compared.questions:,} questions in {compared.rotations} rotation(s).\n"


def _notes(results: Results) -> str:
    """Return what a reader of the table has to know first."""
    notes = []
    if results.partial:
        notes.append(f"Partial: {results.micro.questions:,} of {results.of:,} questions were asked.")
    if results.micro.unanswered > MANY_UNANSWERED:
        notes.append(
            f"{results.micro.unanswered:.1%} of the answers are none (broken off, empty, refused or failed) and count "
            f"as not right; among the rest {_cell(results.micro.answered)} are (micro)."
        )
    if results.judged:
        notes.append(f"{results.judged:,} answers were read by a judge.")
    return "".join(f"{note}\n\n" for note in notes)


def published_results() -> dict[str, Any]:
    """Return the results of the paper, with their source."""
    text = (resources.files("datagen.jicvqa") / "data" / "published_results.json").read_text(encoding="utf-8")
    published: dict[str, Any] = json.loads(text)
    return published


def _result(items: Sequence[Item], letters: bool) -> SubsetResult:
    outcomes: Counter[str] = Counter(item.outcome for item in items)
    by_question: dict[str, list[bool]] = defaultdict(list)
    for item in items:
        by_question[item.id].append(item.outcome == "correct")
    questions, turns = len(by_question), len(items) / max(len(by_question), 1)
    rotated = any(item.rotation for item in items)
    unanswered = sum(outcomes[outcome] for outcome in UNANSWERED)
    return SubsetResult(
        questions,
        len(items),
        {outcome: outcomes[outcome] for outcome in OUTCOMES},
        share_of(outcomes["correct"] / turns, questions),
        share_of(outcomes["correct"] / turns, round((len(items) - unanswered) / turns)),
        unanswered / max(len(items), 1),
        None if letters else share_of(sum(item.official for item in items) / turns, questions),
        share_of(sum(all(right) for right in by_question.values()), questions) if rotated else None,
    )


def _micros(results: Results) -> list[Share]:
    micro = results.micro
    return [share for share in (micro.strict, micro.official, micro.circular) if share]


def _cell(share: Share) -> str:
    return f"{share.value:.3f} ({share.low:.3f}–{share.high:.3f})"


def _document(result: SubsetResult) -> dict[str, Any]:
    document = result._asdict()
    for name in ("strict", "answered", "official", "circular"):
        document[name] = document[name]._asdict() if document[name] else None
    return document
