"""The same questions to the same student through vLLM, to see that training and serving agree."""

import asyncio
import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image
from questions import Question
from server import Client, data_url, running
from students import Answers
from teacher import asks_back


class CrossCheck(NamedTuple):
    """How a student behaves in the training process and on vLLM.

    Attributes:
        questions: that were asked, four-choice ones among them.
        same: of the likeliest answers, those that are the same word for word.
        asks_in_training: share of drawn answers that ask back in the training process; `asks_served` on vLLM.
    """

    questions: int
    same: float
    asks_in_training: float
    asks_served: float


def cross_check(model: Path, asked: Sequence[Question], said: Answers, temperature: float, seed: int) -> CrossCheck:
    """Ask a student on a vLLM server what it was asked in the training process."""
    with running(model) as url:
        greedy, drawn = asyncio.run(_asked(url, asked, temperature, seed))
    same = sum(map(str.__eq__, greedy, said.greedy)) / len(asked)
    return CrossCheck(len(asked), same, _share(said.drawn), _share(drawn))


def _share(answers: Sequence[str]) -> float:
    return sum(map(asks_back, answers)) / len(answers)


async def _asked(url: str, asked: Sequence[Question], temperature: float, seed: int) -> tuple[list[str], list[str]]:
    async with Client(url) as client:

        async def ask(number: int, question: Question, temperature: float) -> str:
            with Image.open(io.BytesIO(question.picture)) as image:
                url = data_url(image.convert("RGB"))
            content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": question.text}]
            # One seed for all would draw the same number for the same place in every answer.
            draw = seed * len(asked) + number
            messages = [{"role": "user", "content": content}]
            return (await client.ask(messages, temperature=temperature, seed=draw)).strip()

        greedy = await asyncio.gather(*(ask(number, it, 0.0) for number, it in enumerate(asked)))
        plain = [it for it in asked if it.kind != "jic"]
        drawn = await asyncio.gather(*(ask(number, it, temperature) for number, it in enumerate(plain)))
    return list(greedy), list(drawn)
