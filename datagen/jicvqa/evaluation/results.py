"""The results of an evaluation: shares right by subset and class, confusions, and the table like the paper's."""

import io
import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from datagen.files.writing import write_bytes
from datagen.jicvqa.evaluation.asking import Item
from datagen.jicvqa.evaluation.scoring import OUTCOMES
from datagen.jicvqa.shares import Share, share_of


class SubsetResult(NamedTuple):
    """The results of one subset, or of all questions.

    Attributes:
        questions: how many; `answers` are four times as many when all rotations were asked.
        outcomes: how many answers were correct, wrong, named no option, named several, or failed.
        strict: the share of correct answers, failed ones counting as not correct.
        official: the share in which the answer's text stands in the response; None where letters were asked for.
        circular: the share of questions that are correct in all rotations; None when one alone was asked.
    """

    questions: int
    answers: int
    outcomes: dict[str, int]
    strict: Share
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
    """

    model: str
    subsets: dict[str, SubsetResult]
    micro: SubsetResult
    macro: Share
    macro_official: Share | None
    macro_circular: Share | None
    classes: dict[str, dict[str, Share]]
    confusions: list[tuple[str, str, str, int]]

    def document(self) -> dict[str, Any]:
        """Return the results as JSON takes them."""
        return {
            "model": self.model,
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


def summarise(model: str, items: Sequence[Item], letters: bool = False) -> Results:
    """Return the results of scored answers.

    Several rotations of a question are not independent, so that intervals count questions, not answers.

    Args:
        model: its name.
        items: the answers.
        letters: whether letters were asked for; the official score looks for the answer's text and says nothing then.
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
        _mean(result.strict for result in subsets.values()),
        _mean(official) if official else None,
        _mean(circular) if circular else None,
        {
            subset: {name: _result(own, letters).strict for name, own in classes.items()}
            for subset, classes in by_class.items()
        },
        [(*names, count) for names, count in sorted(confusions.items(), key=lambda pair: (-pair[1], pair[0]))],
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
    return "\n".join(lines) + f"\n{source}\n{head}{counts}\n{pairs}"


def write_items(path: Path, items: Sequence[Item]) -> None:
    """Write the scored answers as Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    text: pa.DataType = pa.string()
    count: pa.DataType = pa.int64()
    schema = pa.schema(
        {
            "id": text,
            "rotation": count,
            "subset": text,
            "category": text,
            "choices": pa.list_(text),
            "response": text,
            "outcome": text,
            "chosen": text,
            "official": pa.bool_(),
            "finish_reason": text,
            "prompt_tokens": count,
            "completion_tokens": count,
        }
    )
    buffer = io.BytesIO()
    rows = [{**item._asdict(), "choices": list(item.choices)} for item in items]
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), buffer, compression="zstd")
    write_bytes(path, buffer.getvalue())


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
    return SubsetResult(
        questions,
        len(items),
        {outcome: outcomes[outcome] for outcome in OUTCOMES},
        share_of(outcomes["correct"] / turns, questions),
        None if letters else share_of(sum(item.official for item in items) / turns, questions),
        share_of(sum(all(right) for right in by_question.values()), questions) if rotated else None,
    )


def _mean(shares: Iterable[Share]) -> Share:
    """Return the mean of shares, with a 95 % interval from the sum of their variances."""
    own = list(shares)
    value = sum(share.value for share in own) / len(own)
    variance = sum(share.value * (1 - share.value) / max(share.questions, 1) for share in own) / len(own) ** 2
    half = 1.96 * math.sqrt(variance)
    return Share(value, max(value - half, 0.0), min(value + half, 1.0), sum(share.questions for share in own))


def _micros(results: Results) -> list[Share]:
    micro = results.micro
    return [share for share in (micro.strict, micro.official, micro.circular) if share]


def _cell(share: Share) -> str:
    return f"{share.value:.3f} ({share.low:.3f}–{share.high:.3f})"


def _document(result: SubsetResult) -> dict[str, Any]:
    document = result._asdict()
    for name in ("strict", "official", "circular"):
        document[name] = document[name]._asdict() if document[name] else None
    return document
