"""Answers that contain questions."""

from collections.abc import Iterator
from typing import Literal

from filters.base import MessageRule, Span
from filters.questions.detector import SCREEN, Kind, find_questions
from filters.sample import Message


class QuestionInAnswer(MessageRule):
    """Finds the questions in an answer: 解答文に疑問文を含むもの.

    Args:
        quoted: What to do with questions inside quotations, such as the words of a sign.
        softened: What to do with statements that are put as questions, …ではないでしょうか.
        bare: What to do where an interrogative alone, or a noun that is named, would make the question; `bare_question`
            finds these on their own.

    >>> rule = QuestionInAnswer()
    >>> rule.texts("赤い花です。ほかに知りたいことはありますか？")
    ['ほかに知りたいことはありますか？']
    >>> rule.texts("これは何の料理だろう。")
    ['これは何の料理だろう。']
    >>> rule.texts("看板には「何名様ですか？」と書かれています。誰が書いたかは分かりません。")
    []
    >>> QuestionInAnswer(quoted="drop").texts("看板には「何名様ですか？」と書かれています。")
    ['何名様ですか？']
    >>> rule.texts("秋ではないでしょうか。"), QuestionInAnswer(softened="keep").texts("秋ではないでしょうか。")
    (['秋ではないでしょうか。'], [])
    """

    captions = True
    screen = SCREEN

    def __init__(
        self,
        quoted: Literal["keep", "drop"] = "keep",
        softened: Literal["keep", "drop"] = "drop",
        bare: Literal["keep", "drop"] = "drop",
    ) -> None:
        self.kinds = {Kind.DIRECT}
        if quoted == "drop":
            self.kinds.add(Kind.QUOTED)
        if softened == "drop":
            self.kinds.add(Kind.SOFTENED)
        if bare == "drop":
            self.kinds.add(Kind.BARE)

    def spans(self, message: Message) -> Iterator[Span]:
        """Yields the questions of the kinds that the settings name."""
        for question in find_questions(message.key.text):
            if question.kind in self.kinds:
                yield Span(*message.key.original(question.start, question.end), question.evidence)
