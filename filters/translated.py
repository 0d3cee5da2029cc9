"""The base of rules that compare a translated conversation with what it was translated from."""

import re
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from typing import ClassVar

from filters.base import Finding, Rule, Span
from filters.sample import Message, Sample

_LATIN = re.compile(r"[A-Za-z]")
_JAPANESE = re.compile(r"[\u3041-\u30ff\u4e00-\u9fff]")


class TranslationRule(Rule):
    """A rule that reads a message beside its original; conversations that were not translated pass it.

    A subclass implements `spans`. Where the messages are not those of the original, nothing can be compared;
    `translation_structure` says so. Originals that are Japanese themselves are left out.
    """

    roles: ClassVar[tuple[str, ...]] = ("user", "assistant")

    @abstractmethod
    def spans(self, original: Message, message: Message) -> Iterable[Span]:
        """Yields the spans of the message that the rule objects to."""

    def find(self, sample: Sample) -> Iterator[Finding]:
        """Yields what the rule finds in the messages of its roles."""
        if [each.role for each in sample.original] != [each.role for each in sample.messages]:
            return
        for original, message in zip(sample.original, sample.messages, strict=True):
            if message.role in self.roles and not is_japanese(original.content):
                for start, end, evidence in self.spans(original, message):
                    yield Finding(self.name, message.index, start, end, message.content[start:end], evidence)

    def texts(self, original: str, translation: str, role: str = "assistant") -> list[str]:
        """The evidence of what the rule finds in a text beside its original; for examples."""
        sample = {
            "messages": [{"role": role, "content": translation}],
            "original": [{"role": role, "content": original}],
        }
        return [finding.evidence for finding in self.find(Sample(sample))]


def whole(message: Message, evidence: str) -> Span:
    """Returns a message as a whole."""
    return Span(0, len(message.content), evidence)


def is_japanese(text: str) -> bool:
    """Whether a text has more Japanese letters than Latin ones.

    >>> is_japanese("犬です。"), is_japanese("A dog."), is_japanese("42")
    (True, False, False)
    """
    return len(_JAPANESE.findall(text)) > len(_LATIN.findall(text))
