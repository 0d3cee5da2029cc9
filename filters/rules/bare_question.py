"""Sentences in answers that an interrogative alone would make questions."""

from collections.abc import Iterator

from filters.base import MessageRule, Span
from filters.questions.detector import SCREEN, Kind, find_questions
from filters.sample import Message


class BareQuestion(MessageRule):
    """Finds what is a question only if its interrogative, or the noun that it names, asks: no mark, no particle does.

    In the answers of models such sentences are seldom questions, and the text alone does not tell. Policies flag
    them, so that a person can look.

    >>> BareQuestion().texts("あの煙は何。風に流れています。"), BareQuestion().texts("あの煙は何ですか。")
    (['あの煙は何。'], [])
    """

    captions = True
    screen = SCREEN

    def spans(self, message: Message) -> Iterator[Span]:
        """Yields these sentences."""
        for question in find_questions(message.key.text):
            if question.kind is Kind.BARE:
                yield Span(*message.key.original(question.start, question.end), question.evidence)
