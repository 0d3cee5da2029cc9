"""Numbers that a translation has changed."""

import re
from collections import Counter
from collections.abc import Iterator

from filters.base import Span
from filters.sample import Message
from filters.translated import TranslationRule, whole

_NUMBER = re.compile(r"\d+(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?")
_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
)
_WORDS = {word: number for number, word in enumerate([*_ONES.split(), "eighteen", "nineteen", "twenty"])}
_WORDS |= {word: 10 * number for number, word in enumerate(["thirty", "forty", "fifty", "sixty"], start=3)}
_WORDS |= {"seventy": 70, "eighty": 80, "ninety": 90, "hundred": 100, "thousand": 1000, "dozen": 12, "half": 2}
_WORDS |= {"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8}
_WORDS |= {"ninth": 9, "tenth": 10, "single": 1, "once": 1, "twice": 2, "both": 2, "pair": 2, "couple": 2, "quarter": 4}
_WORDS |= {"dual": 2, "double": 2, "triple": 3, "trio": 3, "duo": 2, "another": 1, "other": 1, "each": 1, "none": 0}
_WORD = re.compile(r"[a-z]+")
_KANJI = "〇一二三四五六七八九"
_LARGE = re.compile(r"[万億兆]")
_CLOCK = re.compile(r"\d\s*[ap]\.?m\b", re.IGNORECASE)
_SEASON = re.compile(r"january|february|march|april|may|june|july|august|september|october|november|december|century")


class TranslationDigits(TranslationRule):
    """Finds translations whose numbers are not those of the original.

    Every number in digits has to be there again, as digits or in kanji, and a number that is new has to stand in words
    in the original. Hours of a twelve-hour clock, months, and numbers written with 万 or 億 are left alone.

    >>> rule = TranslationDigits()
    >>> rule.texts("There are 3 cats and two dogs.", "猫が3匹、犬が2匹います。")
    []
    >>> rule.texts("There are 3 cats.", "猫が5匹います。")
    ['3 of the original is missing', '5 is not in the original']
    """

    def spans(self, original: Message, message: Message) -> Iterator[Span]:
        """Yields the message for a number that is lost, and each number that is new."""
        before, after = _numbers(original.key.text), _numbers(message.key.text)
        text = message.key.text
        if _LARGE.search(text) or _CLOCK.search(original.key.text):
            return
        for number in (before - after).elements():
            if not _in_kanji(number, text):
                yield whole(message, f"{number} of the original is missing")
        words = _WORD.findall(original.key.text.lower())
        known = {str(_WORDS[word.removesuffix("s")]) for word in words if word.removesuffix("s") in _WORDS} | {"1"}
        months = _SEASON.search(original.key.text.lower())
        for match in _NUMBER.finditer(text):
            number = _plain(match.group())
            if number not in before and number not in known and not months and not _is_sum(number, known):
                yield Span(*message.key.original(*match.span()), f"{number} is not in the original")


def _numbers(text: str) -> Counter[str]:
    return Counter(_plain(found) for found in _NUMBER.findall(text))


def _plain(number: str) -> str:
    return number.replace(",", "").lstrip("0") or "0"


def _in_kanji(number: str, text: str) -> bool:
    digits = "".join(_KANJI[int(digit)] for digit in number if digit.isdigit())
    forms = {digits, digits.replace("〇", "十")}
    if len(number) == 2 and number.isdigit():
        tens, ones = int(number[0]), int(number[1])
        forms.add(("" if tens == 1 else _KANJI[tens]) + "十" + (_KANJI[ones] if ones else ""))
    return any(form in text for form in forms)


def _is_sum(number: str, known: set[str]) -> bool:
    """Whether a number is made of two words: twenty-five, two hundred."""
    if not number.isdigit():
        return False
    values = [int(value) for value in known]
    return any(one + other == int(number) or one * other == int(number) for one in values for other in values)
