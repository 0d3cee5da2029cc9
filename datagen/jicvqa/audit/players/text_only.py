"""The text-only player: a language model that is asked the questions without their pictures."""

import random
from collections import Counter
from collections.abc import Sequence

from datagen.engines.openai import ChatClient
from datagen.errors import DatagenError
from datagen.failures import Failure
from datagen.jicvqa.benchmark.questions import Question
from datagen.jicvqa.choosing import Chooser, OutsideTheListError
from datagen.jicvqa.models import ModelServer, ShowProgress, checked, run_all
from datagen.jicvqa.templates import load_template


def ask_without_pictures(
    questions: Sequence[Question], most: int, server: ModelServer, show: ShowProgress, seed: int = 0
) -> dict[str, dict[str, tuple[float, int]]]:
    """Ask a model questions without pictures, at most so many a subset, drawn by the seed.

    Returns:
        By the player's name and the subset, the points earned and the questions asked; an answer outside the options
        earns nothing.

    Raises:
        DatagenError: the server fails.
    """
    server = checked(server)
    template = load_template("blind")
    drawn: list[Question] = []
    for subset in dict.fromkeys(question.subset for question in questions):
        own = [question for question in questions if question.subset == subset]
        drawn += random.Random(f"{seed}\x1f{subset}").sample(own, min(most, len(own)))
    asked = Counter(question.subset for question in drawn)
    right: Counter[str] = Counter()
    chooser = Chooser()

    async def ask(client: ChatClient, question: Question) -> None:
        try:
            text = template.render(question=question.text)
            answer = await chooser.choose(client, text, question.choices, seed)
        except OutsideTheListError:
            return
        except Failure as failure:
            raise DatagenError(f"The text-only model could not be asked ({failure.message}).") from failure
        right[question.subset] += answer == question.category

    with show("asking without pictures", len(drawn)) as advance:
        run_all(server, lambda client: (ask(client, question) for question in drawn), advance)
    return {f"text-only {server.model}": {subset: (float(right[subset]), count) for subset, count in asked.items()}}
