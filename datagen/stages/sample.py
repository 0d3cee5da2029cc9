"""The one value that flows: from the source through checks and stages to the journal; every step adds to it."""

from dataclasses import dataclass, field
from typing import NamedTuple

from datagen.pictures.picture import Picture
from datagen.records import Call, MessageRecord, ScoreRecord


class Turn(NamedTuple):
    """One question with its answer."""

    question: str
    answer: str


@dataclass
class Sample:
    """What is known of one entry of the source so far.

    Attributes:
        id: of the row.
        pictures: 0, 1 or several, in their order.
        caption: the last caption, or empty.
        messages: the conversation: of the source, of the stages, or of both.
        scores: what checks and judges have measured.
        calls: every answer of a model, unusable ones included.
    """

    id: str
    pictures: tuple[Picture, ...] = ()
    caption: str = ""
    messages: list[MessageRecord] = field(default_factory=list)
    scores: list[ScoreRecord] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)

    @property
    def turns(self) -> list[Turn]:
        """The questions that have an answer, each with it.

        >>> sample = Sample("1")
        >>> sample.add(Turn("何色？", "赤です。"))
        >>> sample.turns
        [Turn(question='何色？', answer='赤です。')]
        """
        pairs = zip(self.messages, self.messages[1:], strict=False)
        return [
            Turn(question.content, answer.content)
            for question, answer in pairs
            if (question.role, answer.role) == ("user", "assistant")
        ]

    def add(self, turn: Turn) -> None:
        """Append a turn to the conversation."""
        self.messages.append(MessageRecord(role="user", content=turn.question))
        self.messages.append(MessageRecord(role="assistant", content=turn.answer))
