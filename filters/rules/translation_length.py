"""Translations that are much longer or shorter than their original."""

from collections.abc import Iterator

from filters.base import Span
from filters.sample import Message
from filters.translated import TranslationRule, whole

_SLACK = 12


class TranslationLength(TranslationRule):
    """Finds translations whose characters are too few or too many for the original's.

    Japanese takes about half the characters of English; a dozen characters more or less count for nothing, so that
    short answers pass.

    Args:
        least: characters for a character of English.
        most: likewise.

    >>> rule = TranslationLength()
    >>> rule.texts("A red car is parked in front of the old station.", "古い駅の前に赤い車が止まっています。")
    []
    >>> rule.texts("A red car is parked in front of the old station.", "車です。")
    ['4 characters for 48 of English, at least 0.25 for each are asked']
    """

    def __init__(self, least: float = 0.25, most: float = 1.2) -> None:
        if not 0 <= least < most:
            raise ValueError(f"least {least:g} has to be under most {most:g}, and not under 0")
        self.least = least
        self.most = most

    def spans(self, original: Message, message: Message) -> Iterator[Span]:
        """Yields the message."""
        english, japanese = len(original.content.strip()), len(message.content.strip())
        if japanese < self.least * english - _SLACK / 2:
            yield whole(
                message, f"{japanese} characters for {english} of English, at least {self.least:g} for each are asked"
            )
        elif japanese > self.most * english + _SLACK:
            yield whole(
                message, f"{japanese} characters for {english} of English, at most {self.most:g} for each are asked"
            )
