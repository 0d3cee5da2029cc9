"""Putting the benchmark to a vision-language model: requests, a journal, and one scored item an answer."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from datagen.engines.openai import ChatClient
from datagen.errors import DatagenError
from datagen.failures import Failure
from datagen.files.writing import digest_of, json_text, write_text
from datagen.jicvqa.benchmark.questions import Question
from datagen.jicvqa.benchmark.stored import Benchmark
from datagen.jicvqa.classes.lists import CHOICES
from datagen.jicvqa.evaluation.scoring import LETTERS, Outcome, official, outcome_of, read_answer
from datagen.jicvqa.models import AnswerJournal, ModelServer, ShowProgress, checked, run_all
from datagen.jicvqa.templates import load_template
from datagen.pictures.picture import prepare
from datagen.recipe import Images
from datagen.stages.frames import without_thinking
from prompts import Sampling, Template

Form = Literal["list", "letters"]
"""How options are put: as published (a Python list in the sentence), or with letters as llm-jp-eval-mm does."""

_LIMITS = Images()


class Item(NamedTuple):
    """One answer, scored.

    Attributes:
        id: of the question; `rotation` says by how many positions its options were moved.
        subset: of the question; `category` is its answer.
        choices: the options as they were put.
        response: what the model said; empty when it failed.
        outcome: of the strict reading.
        chosen: the option that the strict reading found, or empty.
        official: whether the answer's text stands in the response.
        finish_reason: why the model stopped, or the failure's message.
        prompt_tokens: as the server counted them; `completion_tokens` likewise.
    """

    id: str
    rotation: int
    subset: str
    category: str
    choices: tuple[str, ...]
    response: str
    outcome: Outcome
    chosen: str
    official: bool
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int


class Settings(NamedTuple):
    """How the benchmark is put: the form, all four rotations or one, tokens an answer may have, and the seed."""

    form: Form = "list"
    circular: bool = False
    max_tokens: int = 64
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

    Answers are kept in `out/journal.jsonl` as they come; the same command asks only what is not there. What failed is
    not kept, so that it is asked again.

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
    _keep_settings(out / "evaluation.json", benchmark.questions, settings, server, template)
    wanted = [(question, turn) for question in questions for turn in range(CHOICES if settings.circular else 1)]
    failed: dict[str, str] = {}
    with AnswerJournal(out / "journal.jsonl") as journal, show("asking", len(wanted)) as advance:

        async def ask(client: ChatClient, question: Question, turn: int) -> None:
            key = _key(question, turn)
            if key in journal.answers:
                return
            try:
                journal.add(key, await _answer(client, benchmark, question.rotated(turn), settings, template))
            except Failure as failure:
                failed[key] = failure.message

        run_all(server, lambda client: (ask(client, question, turn) for question, turn in wanted), advance)
        answers = journal.answers
    return [_item(question, turn, answers.get(_key(question, turn)), failed) for question, turn in wanted]


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


def _item(question: Question, turn: int, answer: dict[str, Any] | None, failed: dict[str, str]) -> Item:
    rotated = question.rotated(turn)
    shared = question.id, turn, question.subset, question.category, rotated.choices
    if answer is None:
        return Item(*shared, "", "failed", "", False, failed.get(_key(question, turn), "not asked"), 0, 0)
    reading = read_answer(without_thinking(answer["text"]), rotated.choices)
    return Item(
        *shared,
        answer["text"],
        outcome_of(reading, rotated.answer_index),
        "" if reading.choice is None else rotated.choices[reading.choice],
        official(question.category, answer["text"]),
        answer["finish_reason"],
        answer["prompt_tokens"],
        answer["completion_tokens"],
    )


def _key(question: Question, turn: int) -> str:
    return f"{question.id}#{turn}"


def _keep_settings(
    path: Path, questions: Sequence[Question], settings: Settings, server: ModelServer, template: Template
) -> None:
    """Record how the benchmark is put, and refuse a folder in which it was put otherwise.

    More rotations or questions may be added to a folder; nothing else may change.
    """
    asked = digest_of("\n".join(sorted(f"{question.id}\t{question.text}" for question in questions)).encode())
    recorded = {
        "model": server.model,
        "form": settings.form,
        "template_digest": template.digest,
        "max_tokens": settings.max_tokens,
        "seed": settings.seed,
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
            if before.get(name) != value
        ]
        if changed:
            raise DatagenError(
                f"{path.parent} holds another evaluation ({'; '.join(changed)}). Give this one a folder of its own "
                "with --out."
            )
    write_text(path, json_text(recorded))
