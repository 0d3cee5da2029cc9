"""The ambiguity check: a model that sees the picture is asked of every wrong option whether it is true as well."""

import asyncio
from pathlib import Path
from typing import Any, NamedTuple

from datagen.engines.openai import ChatClient
from datagen.errors import DatagenError
from datagen.failures import Failure
from datagen.jicvqa.benchmark.ambiguity import OptionScore
from datagen.jicvqa.benchmark.questions import Question
from datagen.jicvqa.benchmark.stored import Benchmark
from datagen.jicvqa.choosing import Chooser, OutsideTheListError
from datagen.jicvqa.models import AnswerJournal, ModelServer, ShowProgress, checked, request_key, run_all
from datagen.jicvqa.templates import load_template
from datagen.pictures.picture import prepare
from datagen.recipe import Images

_SCORES = ("1", "2", "3", "4", "5")
_LIMITS = Images()


class Ambiguity(NamedTuple):
    """What the check found: the scores, how many answers were no score or failed, and what was spent, as a clause."""

    scores: list[OptionScore]
    unanswered: int
    spent: str


class _Asked(NamedTuple):
    question: Question
    option: str
    text: str
    key: str


def score_options(benchmark: Benchmark, server: ModelServer, journal_path: Path, show: ShowProgress) -> Ambiguity:
    """Ask of every wrong option of every question how true it is of the picture.

    Args:
        benchmark: with pictures.
        server: a vision-language model.
        journal_path: where answers are kept; what stands there is not asked again.
        show: shows progress.

    Raises:
        DatagenError: the benchmark has no pictures, or the server is gone.
    """
    if benchmark.pictures is None:
        raise DatagenError(f"{benchmark.folder} has no pictures to show a model; build it from a table with pictures.")
    pictures = benchmark.pictures
    server = checked(server)
    template = load_template("ambiguity")
    chooser = Chooser()
    asked = []
    for question in benchmark.questions:
        for option in question.choices:
            if option != question.category:
                text = template.render(word=question.word, option=option)
                asked.append(
                    _Asked(question, option, text, request_key(server.model, template.digest, question.id, text))
                )
    unanswered = 0
    with AnswerJournal(journal_path) as journal, show("asking what else is true", len(asked)) as advance:

        async def ask(client: ChatClient, item: _Asked) -> None:
            nonlocal unanswered
            if journal.answers.get(item.key) in _SCORES:
                return
            try:
                picture = await asyncio.to_thread(prepare, pictures(item.question.id), _LIMITS)
                content: list[dict[str, Any]] = [
                    {"type": "image_url", "image_url": {"url": picture.data_url}},
                    {"type": "text", "text": item.text},
                ]
                journal.add(item.key, await chooser.choose(client, content, _SCORES, 0))
            except (OutsideTheListError, Failure):
                unanswered += 1

        run_all(server, lambda client: (ask(client, item) for item in asked), advance)
        scores = [
            OptionScore(question.id, question.subset, question.category, option, int(journal.answers[key]))
            for question, option, _, key in asked
            if journal.answers.get(key) in _SCORES
        ]
    return Ambiguity(scores, unanswered, chooser.spent())
