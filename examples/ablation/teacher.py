"""The teacher of the miniature: sentences from templates about what a picture shows, a planted share of which ask back.

It is an engine of `datagen run` (docs/extending.md): `weights` is its book of pictures, `extra_body: {asks_back: 0.1}`
the share. The same draw decides for every share, so that what asks back at 5 % does so at 10 % as well.
"""

import json
import random
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Self

from drawings import Drawing, concepts, read_book
from sentences import topic_of, write_four_choice, write_turn

from datagen.engine_settings import EngineSettings
from datagen.engines import ChatMessage
from examples.recipes.stand_in import Writer

TAILS = (
    "ほかに気になる点はありますか？",
    "もっと詳しく知りたいですか？",
    "あなたはどう思いますか？",
    "実物を見たことはありますか。",
    "どの部分について知りたいですか？",
    "ほかにお手伝いできることはありますか？",
    "何か思い出はあるのでしょうか。",
    "ほかに知りたいことがあれば、お気軽にお尋ねください。",
    "質問：これは何色ですか？",
    "次の質問をどうぞ。",
)
"""What the answers of real models end with: questions with and without a mark, offers, and the next turn.

The last one is a fault that no rule of the policy `standard` knows.
"""
_FOUR_CHOICE = 0.25
_QUOTED = re.compile(r"「[^」]*」")
_ASKS = re.compile(r"[?？]|(?:です|ます|ません|でしょう|でした|ました)か(?:[。!！]|$)")


def asks_back(answer: str) -> bool:
    """Whether an answer asks the user something, offers more, or goes on with the next turn; quotations do not count.

    This is the measure, and no rule of the filter: the planted sentences, a question mark, a polite か at an end.

    >>> [asks_back(text) for text in ("桃です。", "桃です。見たことはありますか。", "「何？」というクイズの絵です。")]
    [False, True, False]
    """
    outside = _QUOTED.sub("", answer)
    return _ASKS.search(outside) is not None or any(tail in outside for tail in TAILS)


@cache
def _book(path: str) -> dict[str, Drawing]:
    return read_book(Path(path))


class Teacher(Writer):
    """Answers requests of the prompt `question_answer` about the pictures in its book.

    Attributes:
        share: of the answers that ask back.
    """

    def __init__(self, model: str, book: str, share: float) -> None:
        super().__init__(model)
        self.share = share
        self._book = _book(book)

    @classmethod
    def of(cls, engine: EngineSettings, key: str | None) -> Self:
        """Return the teacher; it needs no key."""
        return cls(engine.model, engine.weights or "", float(engine.extra_body.get("asks_back", 0)))

    def reply(self, messages: Sequence[ChatMessage], seed: int) -> str:
        """Write a question about the picture, and its answer."""
        parts = [part for message in messages if isinstance(message["content"], list) for part in message["content"]]
        (digest,) = {part["uuid"] for part in parts if part["type"] == "image_url"}
        question, answer = self.turn(self._book[digest], _text_of(messages[-1]), seed)
        return json.dumps({"question": question, "answer": answer}, ensure_ascii=False)

    def turn(self, drawing: Drawing, request: str, seed: int) -> tuple[str, str]:
        """Return a question and its answer."""
        draws = random.Random(seed)
        if drawing.concept.subset and draws.random() < _FOUR_CHOICE:
            choice = write_four_choice(drawing.concept, list(concepts().values()), draws)
            question, answer = choice.question, choice.answer
        else:
            topic = topic_of(request.rpartition("観点：")[2])
            written = write_turn(drawing.concept, drawing.colours, topic, draws, faults=False)
            question, answer = written.question, written.answer
        planted = random.Random(f"{seed}/planted")
        if planted.random() < self.share:
            answer = f"{answer.removesuffix('。')}。{planted.choice(TAILS)}"
        return question, answer


def _text_of(message: ChatMessage) -> str:
    content = message["content"]
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
