"""Reading an answer: strictly (a letter, or the one option that matches), and as the official scorer does."""

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

from datagen.jicvqa.classes.names import key_of

LETTERS = "ABCD"
Outcome = Literal["correct", "wrong", "none", "several", "failed"]
OUTCOMES: tuple[Outcome, ...] = ("correct", "wrong", "none", "several", "failed")

_LEAD = r"(?:(?:答え|回答|解答|正解|answer)(?:は|:|=)?)?"
_LETTER = re.compile(rf"^{_LEAD}[\(\[「『\"']*([abcd])[\)\]」』\"'.。:、]*(?:です)?[。.]*$")
_LETTER_AND_TEXT = re.compile(rf"^{_LEAD}[\(\[]*([abcd])[\)\].:、]+(.+)$", re.DOTALL)


class Reading(NamedTuple):
    """What an answer names: the index of an option, or none, or several."""

    choice: int | None
    several: bool = False


def read_answer(text: str, choices: Sequence[str]) -> Reading:
    """Return which option an answer names.

    An option's own text comes first, then a letter, then a letter with the text of its option, then the one option
    that stands in the answer. Where an option stands inside another one that was named (ラン in スズラン) only the
    longer one counts. Spelling is compared by `names.key_of`.

    >>> choices = ("ラン", "スズラン", "桜", "梅")
    >>> [read_answer(text, choices).choice for text in ("（Ｂ）", "答えは「スズラン」です。", "B. スズラン")]
    [1, 1, 1]
    >>> read_answer("桜か梅です", choices), read_answer("わかりません", choices)
    (Reading(choice=None, several=True), Reading(choice=None, several=False))
    """
    answer = key_of(text)
    keys = [key_of(choice) for choice in choices]
    if answer in keys:
        return Reading(keys.index(answer))
    if letter := _LETTER.match(answer):
        return Reading(LETTERS.index(letter[1].upper()))
    if both := _LETTER_AND_TEXT.match(answer):
        index = LETTERS.index(both[1].upper())
        if _named(both[2], keys) == [index]:
            return Reading(index)
    named = _named(answer, keys)
    return Reading(named[0]) if len(named) == 1 else Reading(None, several=len(named) > 1)


def outcome_of(reading: Reading, answer_index: int) -> Outcome:
    """Return what a reading is worth."""
    if reading.choice is None:
        return "several" if reading.several else "none"
    return "correct" if reading.choice == answer_index else "wrong"


def official(answer: str, response: str) -> bool:
    """Return whether llm-jp-eval-mm counts a response as right: the answer's text stands anywhere in it.

    >>> official("ラン", "スズラン"), official("桜", "サクラ")
    (True, False)
    """
    return answer in response


def _named(text: str, keys: Sequence[str]) -> list[int]:
    """Return the indices of the options that stand in a text, longer ones before the shorter ones within them."""
    found = []
    for index in sorted(range(len(keys)), key=lambda index: (-len(keys[index]), index)):
        if keys[index] and keys[index] in text:
            found.append(index)
            text = text.replace(keys[index], "\0")
    return sorted(found)
