"""Stretches that a translator has left in English."""

import re
from collections.abc import Iterator

from filters.base import Span
from filters.sample import Message
from filters.translated import TranslationRule, whole

_RUN = re.compile(r"[A-Za-z][A-Za-z'’]*(?:[ ,;:]+[A-Za-z][A-Za-z'’]*){3,}")
_NAME = re.compile(r"\b[A-Z][A-Za-z'’]*")
_LETTER = re.compile(r"[^\W\d_]")
_KANA = re.compile(r"[\u3041-\u3096\u30a1-\u30fa]")
_LONG, _LEAST_KANA = 20, 0.2


class Untranslated(TranslationRule):
    """Finds runs of four English words and more outside of quotations, and longer texts with hardly any kana.

    Runs in which every word is capitalised are names, and stay.

    >>> rule = Untranslated()
    >>> rule.texts("A cat sits on the sofa.", "猫が sits on the sofa います。")
    ['English is left: sits on the sofa']
    >>> rule.texts("The New York Public Library.", "New York Public Library の建物です。")
    []
    """

    def spans(self, original: Message, message: Message) -> Iterator[Span]:
        """Yields the runs, or the message."""
        words = message.own_words
        for match in _RUN.finditer(words):
            if not all(word[:1].isupper() for word in re.split(r"[ ,;:]+", match.group())):
                evidence = f"English is left: {match.group()[:60]}"
                yield Span(*message.key.original(*match.span()), evidence)
        letters = _LETTER.findall(_NAME.sub("", words))
        if len(letters) >= _LONG and len(_KANA.findall(words)) < _LEAST_KANA * len(letters):
            yield whole(message, f"of {len(letters)} letters fewer than {_LEAST_KANA:.0%} are kana")
