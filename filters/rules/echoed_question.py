"""Answers that only repeat their question."""

import re
from collections.abc import Iterator

from filters.base import Finding, Rule
from filters.sample import Sample

_ENDING = re.compile(
    r"(?:について)?(?:を?(?:教えて|説明して|述べて|答えて)(?:ください|下さい)?)?(?:(?:です|ます|でしょう|だろう|なの)?か|です|ます|だ)?$"
)
_NO_LETTERS = re.compile(r"[\W_]+")
_INTERROGATIVE = re.compile(
    r"何|なに|なん[ですの]|誰|だれ|ど[これの]|どちら|どっち|どう|どんな|どなた|なぜ|いつ|いく[つら]|は$"
)


class EchoedQuestion(Rule):
    """Finds answers that hold nothing but the words of their question, where it asked for more than yes or no.

    >>> from filters import Sample
    >>> def judge(question, answer):
    ...     messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    ...     return [finding.text for finding in EchoedQuestion().find(Sample({"messages": messages}))]
    >>> judge("この車は何色ですか？", "この車は何色です。"), judge("この車は何色ですか？", "この車は赤色です。")
    (['この車は何色です。'], [])
    >>> judge("窓は開いていますか？", "窓は開いています。")
    []
    """

    def find(self, sample: Sample) -> Iterator[Finding]:
        """Yields the answers that add nothing to their question."""
        question = None
        for message in sample.messages:
            if message.role == "user":
                question = message
            elif message.role == "assistant" and question is not None:
                # What is longer than its question by more than an ending says something of its own.
                if 4 <= len(message.content) <= len(question.content) + 4:
                    said = self._core(message.key.text)
                    asked = self._core(question.key.text)
                    if len(said) >= 4 and said == asked and _INTERROGATIVE.search(asked):
                        yield Finding(
                            self.name,
                            message.index,
                            0,
                            len(message.content),
                            message.content,
                            f"says what message {question.index} asks",
                        )
                question = None

    @staticmethod
    def _core(text: str) -> str:
        return _ENDING.sub("", _NO_LETTERS.sub("", text))
