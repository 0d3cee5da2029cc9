"""Reading an answer: strictly (a letter, or the one option that matches), and as the official scorer does."""

import re
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from datagen.jicvqa.classes.names import key_of
from filters.rules.refusal import Refusal

LETTERS = "ABCD"
Outcome = Literal["correct", "wrong", "none", "several", "cut", "empty", "refused", "failed"]
OUTCOMES: tuple[Outcome, ...] = ("correct", "wrong", "none", "several", "cut", "empty", "refused", "failed")
UNANSWERED: tuple[Outcome, ...] = ("cut", "empty", "refused", "failed")
"""What is no answer, and therefore not a wrong one: broken off, nothing, a refusal, no response."""

_WHOLE = frozenset({"", "stop", "eos", "stop_sequence", "end_turn"})
_DRESS = re.compile(r"[*_`#$]|\\(?:text|mathrm|mathbf|left|right)\b")
_BOXED = re.compile(r"\\(?:boxed|fbox)\s*\{")
_OPEN, _CLOSE = r"[\(\[「『【\"'{]*", r"[\)\]」』】\"'}]*"
# Without white space and in lower case, as `key_of` writes.
_SAYS = (
    r"(?:最終的な|正しい|最も適切な|私の|the|my|final|correct|best)*"
    r"(?:答え|回答|解答|正解|選択肢|answer|option|choice)(?:は|が|is|:|=|、|,)*"
)
_LETTER = rf"{_OPEN}([abcd]){_CLOSE}(?![a-z])"
_FIRST = re.compile(rf"^(?:{_SAYS})?(?:選択肢|option)?{_LETTER}(.*)$", re.DOTALL)
_SAID = re.compile(rf"(?:したがって|よって|therefore|thus|so)?、?,?{_SAYS}(?:選択肢|option)?{_LETTER}")
_REST = re.compile(r"^[.。:、,)\-–—]*")
_PLAIN_END = re.compile(r"^(?:です|である|だ|になります|と思います|でしょう|番)?[.。!]*$")
_OR = re.compile(rf"^(?:または|もしくは|あるいは|か|と|や|or|and|&){_LETTER}")
_REFUSAL = Refusal()


class Reading(NamedTuple):
    """What an answer names: the index of an option, or none, or several."""

    choice: int | None
    several: bool = False


_NONE = Reading(None)
_SEVERAL = Reading(None, several=True)


def read_answer(text: str, choices: Sequence[str], forms: Mapping[str, Sequence[str]] | None = None) -> Reading:
    r"""Return which option an answer names.

    An option's own text comes first, then a letter in the first line, then a letter that is said to be the answer
    anywhere, then the one option that stands in the answer. A letter beside the text of another option names several.
    Where an option stands inside another one that was named (ラン in スズラン) only the longer one counts. Spelling is
    compared by `names.key_of`.

    Args:
        text: the answer, without thinking.
        choices: the options in order.
        forms: further spellings and readings of an option that count as its name.

    >>> choices = ("ラン", "スズラン", "桜", "梅")
    >>> [read_answer(text, choices).choice for text in ("（Ｂ）", "答えは「スズラン」です。", r"\boxed{B}")]
    [1, 1, 1]
    >>> read_answer("B\n花が鈴のように下を向いており、桜ではありません。", choices).choice
    1
    >>> read_answer("桜か梅です", choices), read_answer("B. 桜", choices), read_answer("わかりません", choices)
    (Reading(choice=None, several=True), Reading(choice=None, several=True), Reading(choice=None, several=False))
    """
    plain = _undressed(text)
    lines = [key for line in plain.splitlines() if (key := key_of(line))]
    if not lines:
        return _NONE
    keys = [[key_of(choice), *map(key_of, (forms or {}).get(choice, ()))] for choice in choices]
    answer = key_of(plain)
    whole = [index for index, own in enumerate(keys) if answer == own[0]] or [
        index for index, own in enumerate(keys) if answer in own
    ]
    if len(whole) == 1:
        return Reading(whole[0])
    first = _FIRST.match(lines[0])
    if first and (found := _lettered(first[1], first[2], keys)):
        return found
    said = {LETTERS.index(match[1].upper()) for match in _SAID.finditer(answer)}
    if len(said) == 1:
        return Reading(said.pop())
    if said:
        return _SEVERAL
    named = _named(answer, keys)
    return Reading(named[0]) if len(named) == 1 else Reading(None, several=len(named) > 1)


def outcome_of(reading: Reading, answer_index: int, text: str = "-", finish_reason: str = "stop") -> Outcome:
    """Return what an answer is worth.

    Args:
        reading: of the answer.
        answer_index: the right option.
        text: the answer; an empty one is none.
        finish_reason: why the model stopped. An answer that was broken off counts if it can be read all the same.
    """
    if reading.choice is not None:
        return "correct" if reading.choice == answer_index else "wrong"
    if finish_reason == "content_filter":
        return "refused"
    if finish_reason not in _WHOLE:
        return "cut"
    if reading.several:
        return "several"
    if not text.strip():
        return "empty"
    return "refused" if _REFUSAL.texts(text) else "none"


def official(answer: str, response: str) -> bool:
    """Return whether llm-jp-eval-mm counts a response as right: the answer's text stands anywhere in it.

    >>> official("ラン", "スズラン"), official("桜", "サクラ")
    (True, False)
    """
    return answer in response


def _undressed(text: str) -> str:
    r"""Return a text without Markdown and TeX around its words.

    >>> _undressed(r"**答え:** \boxed{\text{B}}")
    '答え: {{B}}'
    """
    return _DRESS.sub("", _BOXED.sub("{", text))


def _lettered(letter: str, rest: str, keys: Sequence[Sequence[str]]) -> Reading | None:
    """Return what a first line means that begins with a letter; None when the letter is only the start of a word."""
    index = LETTERS.index(letter.upper())
    said = _REST.sub("", rest)
    if _PLAIN_END.match(said):
        return Reading(index)
    if rest == said and not rest.startswith(("です", "が", "は", "の")):
        return _SEVERAL if _OR.match(rest) else None  # without a mark it is the beginning of a word
    named = _named(said, keys)
    if named and named != [index]:
        return _SEVERAL
    others = {match[1] for match in re.finditer(r"(?<![a-z])([abcd])(?![a-z])", said)} - {letter}
    return _SEVERAL if others and not named else Reading(index)


def _named(text: str, keys: Sequence[Sequence[str]]) -> list[int]:
    """Return the indices of the options that stand in a text, longer names before the shorter ones within them."""
    forms = sorted(
        ((key, index) for index, own in enumerate(keys) for key in own if key), key=lambda form: -len(form[0])
    )
    found = set()
    for key, index in forms:
        if key in text:
            found.add(index)
            text = text.replace(key, "\0")
    return sorted(found)
