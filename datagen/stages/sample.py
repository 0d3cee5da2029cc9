"""The one value that flows: from the source through checks and stages to the journal; every step adds to it."""

from dataclasses import dataclass, field
from typing import NamedTuple

from datagen.pictures.picture import Picture
from datagen.records import Call, MessageRecord, ScoreRecord


class Turn(NamedTuple):
    """One question with its answer."""

    question: str
    answer: str


class Mark(NamedTuple):
    """How many messages and scores a sample has, and its caption."""

    messages: int
    scores: int
    caption: str


@dataclass
class Sample:
    """What is known of one entry of the source so far.

    Attributes:
        id: of the row.
        pictures: 0, 1 or several, in their order.
        caption: the last caption, or empty.
        messages: the conversation: of the source, of the stages, or of both.
        original: the conversation before it was translated; empty if it was not.
        scores: what checks and judges have measured.
        calls: every answer of a model, unusable ones included.
    """

    id: str
    pictures: tuple[Picture, ...] = ()
    caption: str = ""
    messages: list[MessageRecord] = field(default_factory=list)
    original: list[MessageRecord] = field(default_factory=list)
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

    def judged(self) -> dict[str, object]:
        """Return the sample as policies read it."""
        return {
            "messages": [{"role": message.role, "content": message.content} for message in self.messages],
            "caption": self.caption,
            "original": [{"role": message.role, "content": message.content} for message in self.original],
            "scores": [score.model_dump() for score in self.scores],
        }

    def mark(self) -> "Mark":
        """Return where the sample stands, so that what an answer adds can be taken back."""
        return Mark(len(self.messages), len(self.scores), self.caption)

    def go_back(self, mark: "Mark") -> None:
        """Take back what was added since a mark; the calls stay."""
        del self.messages[mark.messages :], self.scores[mark.scores :]
        self.caption = mark.caption

    def add(self, turn: Turn) -> None:
        """Append a turn to the conversation."""
        self.messages.append(MessageRecord(role="user", content=turn.question))
        self.messages.append(MessageRecord(role="assistant", content=turn.answer))
