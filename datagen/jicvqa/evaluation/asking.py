"""Putting the benchmark to a vision-language model: requests, a journal, and one scored item an answer."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from datagen.engines.openai import ChatClient
from datagen.errors import DatagenError
from datagen.failures import Failure
from datagen.files.writing import digest_of, json_text, write_text
from datagen.jicvqa.benchmark.questions import Question
from datagen.jicvqa.benchmark.stored import Benchmark
from datagen.jicvqa.classes.lists import CHOICES, load_classes
from datagen.jicvqa.evaluation.items import Item
from datagen.jicvqa.evaluation.scoring import LETTERS, UNANSWERED, official, outcome_of, read_answer
from datagen.jicvqa.models import AnswerJournal, ModelServer, ShowProgress, checked, run_all
from datagen.jicvqa.templates import load_template
from datagen.pictures.picture import prepare
from datagen.recipe import Images
from datagen.stages.frames import without_thinking
from prompts import Sampling, Template

Form = Literal["list", "letters"]
"""How options are put: as published (a Python list in the sentence), or with letters as llm-jp-eval-mm does."""

Forms = Mapping[str, Mapping[str, Sequence[str]]]
"""By subset and class, further spellings and readings that count as its name."""

_LIMITS = Images()


class Settings(NamedTuple):
    """How the benchmark is put: the form, all four rotations or one, tokens an answer may have, and the seed."""

    form: Form = "list"
    circular: bool = False
    max_tokens: int = 256
    seed: int = 0

    @property
    def sampling(self) -> Sampling:
        """Greedy."""
        return Sampling(temperature=0.0, top_p=1.0, max_tokens=self.max_tokens)


def evaluate(
    benchmark: Benchmark,
    settings: Settings,
    server: ModelServer,
    out: Path,
    show: ShowProgress,
    limit: int | None = None,
) -> list[Item]:
    """Ask a model all questions and score its answers.

    Answers are kept in `out/journal.jsonl` as they come; the same command asks only what is not there, what failed, and
    what was no answer (broken off, empty, a refusal): with more tokens it may be one.

    Args:
        benchmark: with pictures.
        settings: how it is put.
        server: the model.
        out: the folder of the evaluation.
        show: shows progress.
        limit: only so many questions of each subset, the first ones.

    Raises:
        DatagenError: the benchmark has no pictures, the folder holds another evaluation, or the server is gone.
    """
    if benchmark.pictures is None:
        raise DatagenError(
            f"{benchmark.folder} has no pictures to show a model. Build it from a table with pictures, or with "
            "`datagen jicvqa build --download`."
        )
    server = checked(server)
    template = load_template(settings.form)
    questions = [
        question
        for subset in benchmark.subsets
        for question in [own for own in benchmark.questions if own.subset == subset][:limit]
    ]
    _keep_settings(out / "evaluation.json", benchmark, settings, server, template)
    wanted = [(question, turn) for question in questions for turn in range(CHOICES if settings.circular else 1)]
    failed: dict[str, str] = {}
    forms = forms_of(benchmark)
    with AnswerJournal(out / "journal.jsonl") as journal, show("asking", len(wanted)) as advance:

        async def ask(client: ChatClient, question: Question, turn: int) -> None:
            key = _key(question, turn)
            before = journal.answers.get(key)
            if before and _item(question, turn, before, {}, forms).outcome not in UNANSWERED:
                return
            try:
                journal.add(key, await _answer(client, benchmark, question.rotated(turn), settings, template))
            except Failure as failure:
                failed[key] = failure.message

        run_all(server, lambda client: (ask(client, question, turn) for question, turn in wanted), advance)
        answers = journal.answers
    return [_item(question, turn, answers.get(_key(question, turn)), failed, forms) for question, turn in wanted]


def forms_of(benchmark: Benchmark) -> Forms:
    """Return the aliases and readings of every class, by subset and name."""
    lists = benchmark.distractors.lists if benchmark.distractors else load_classes()
    return {name: {own.name: own.forms for own in subset.classes} for name, subset in lists.subsets.items()}


def request_text(question: Question, template: Template) -> str:
    """Return what is asked beside the picture."""
    options = list(zip(LETTERS, question.choices, strict=True))
    return template.render(question=question.text, word=question.word, options=options)


async def _answer(
    client: ChatClient, benchmark: Benchmark, question: Question, settings: Settings, template: Template
) -> dict[str, Any]:
    assert benchmark.pictures is not None
    picture = await asyncio.to_thread(prepare, benchmark.pictures(question.id), _LIMITS)
    content = [
        {"type": "image_url", "image_url": {"url": picture.data_url}},
        {"type": "text", "text": request_text(question, template)},
    ]
    async with client.lease() as conversation:
        completion = await client.complete(
            conversation, [{"role": "user", "content": content}], sampling=settings.sampling, seed=settings.seed
        )
    return completion._asdict()


def _item(
    question: Question, turn: int, answer: Mapping[str, Any] | None, failed: Mapping[str, str], forms: Forms
) -> Item:
    rotated = question.rotated(turn)
    shared = question.id, turn, question.subset, question.category, rotated.choices
    if answer is None:
        return Item(*shared, "", "failed", "", False, failed.get(_key(question, turn), "not asked"), 0, 0, "rules")
    said = without_thinking(answer["text"])
    reading = read_answer(said, rotated.choices, forms.get(question.subset))
    return Item(
        *shared,
        answer["text"],
        outcome_of(reading, rotated.answer_index, said, answer["finish_reason"]),
        "" if reading.choice is None else rotated.choices[reading.choice],
        official(question.category, answer["text"]),
        answer["finish_reason"],
        answer["prompt_tokens"],
        answer["completion_tokens"],
        "rules",
    )


def _key(question: Question, turn: int) -> str:
    return f"{question.id}#{turn}"


def _keep_settings(
    path: Path, benchmark: Benchmark, settings: Settings, server: ModelServer, template: Template
) -> None:
    """Record how the benchmark is put, and refuse a folder in which it was put otherwise.

    More rotations, questions or tokens may be added to a folder; nothing else may change.
    """
    asked = digest_of("\n".join(sorted(f"{question.id}\t{question.text}" for question in benchmark.questions)).encode())
    recorded = {
        "model": server.model,
        "form": settings.form,
        "template_digest": template.digest,
        "seed": settings.seed,
        "request": dict(server.request),
        "questions_digest": asked,
    }
    if path.exists():
        try:
            before = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            before = {}
        before = before if isinstance(before, dict) else {}
        changed = [
            f"{name} was {before.get(name)}, is {value}"
            for name, value in recorded.items()
            if before.get(name, {} if name == "request" else None) != value
        ]
        if changed:
            raise DatagenError(
                f"{path.parent} holds another evaluation ({'; '.join(changed)}). Give this one a folder of its own "
                "with --out."
            )
    write_text(
        path, json_text({**recorded, "max_tokens": settings.max_tokens, "benchmark": str(benchmark.folder.absolute())})
    )
