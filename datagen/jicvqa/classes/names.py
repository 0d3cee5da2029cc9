"""Class names as text: keys for matching, readings, and which names must never stand in one question.

Two names conflict when a grader that looks for the answer inside the response could take one for the other (ラン in
スズラン), or when they are spellings of one thing (桜 and サクラ).
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from filters.questions.morphology import tagger

_FOLDED = {
    "ゔぁ": "ば",
    "ゔぃ": "び",
    "ゔぇ": "べ",
    "ゔぉ": "ぼ",
    "ゔ": "ぶ",
    "ゐ": "い",
    "ゑ": "え",
}  # one sound, two spellings: the newer and commoner one is kept
_LOOSE = re.compile(r"ー$|っ")
_LOOSE_FROM = 5  # characters; ビル and ビール, いか and いっか are two words each
_KATAKANA_TO_HIRAGANA = {code: code - 0x60 for code in range(ord("ァ"), ord("ヶ") + 1)}
_PUNCTUATION = frozenset({"補助記号", "空白"})


class NamePart(NamedTuple):
    """A morpheme by its lemma (桔梗 for キキョウ), its reading in hiragana, and its part of speech."""

    lemma: str
    reading: str
    part_of_speech: str


class NameConflict(NamedTuple):
    """Two names that must not stand in one question, and why.

    Kinds: `same_name` and `alias` (spellings of one name), `spelling` (the one in kana, the other in characters that
    are read so), `like_spelling` (スパゲッティ and スパゲティ), `same_reading` (two words that sound alike),
    `nested` (one inside the other), `apart` (the class list says so), `both_true` (a model that ranked the classes said
    that both can be right for one picture).
    """

    first: str
    second: str
    kind: str


@cache
def key_of(text: str) -> str:
    """Return a text as it is matched: NFKC, lower case, hiragana for katakana, no white space, ば for ヴァ, い for ヰ.

    >>> key_of("ｻｸﾗ 餅"), key_of("ヴァイオリン") == key_of("バイオリン")
    ('さくら餅', True)
    """
    folded = "".join(unicodedata.normalize("NFKC", text).casefold().translate(_KATAKANA_TO_HIRAGANA).split())
    for old, new in _FOLDED.items():
        folded = folded.replace(old, new)
    return folded


@cache
def morphemes_of(name: str) -> tuple[NamePart, ...]:
    """Return the morphemes of a name by UniDic, punctuation left out.

    A word that UniDic does not know is read as it is written.

    >>> [morpheme.reading for morpheme in morphemes_of("麻婆豆腐")]
    ['まーぼー', 'とうふ']
    """
    found = []
    for word in tagger()(unicodedata.normalize("NFKC", name)):
        feature = word.feature
        if feature.pos1 in _PUNCTUATION:
            continue
        lemma = (getattr(feature, "lemma", None) or word.surface).split("-")[0]
        found.append(NamePart(lemma, key_of(getattr(feature, "kana", None) or word.surface), feature.pos1))
    return tuple(found)


@cache
def reading_of(name: str) -> str:
    """Return how a name is read, in hiragana, as far as UniDic knows it.

    >>> reading_of("味噌汁")
    'みそしる'
    """
    return "".join(morpheme.reading for morpheme in morphemes_of(name)) or key_of(name)


def conflict_of(first: str, second: str, first_forms: Sequence[str] = (), second_forms: Sequence[str] = ()) -> str:
    """Return why two names must not stand in one question (see `NameConflict`), or an empty string.

    Args:
        first: the one name.
        second: the other name.
        first_forms: further spellings and readings of the first (its aliases).
        second_forms: further spellings and readings of the second.

    >>> conflict_of("豆腐", "麻婆豆腐"), conflict_of("つばき", "椿"), conflict_of("桃", "梨")
    ('nested', 'spelling', '')
    """
    own, other = key_of(first), key_of(second)
    if own == other:
        return "same_name"
    own_keys = {own, *map(key_of, first_forms)}
    other_keys = {other, *map(key_of, second_forms)}
    if own_keys & other_keys:
        return "alias"
    if set(map(_loosely, own_keys)) & set(map(_loosely, other_keys)):
        return "like_spelling"
    if reading_of(first) == reading_of(second):
        return "spelling" if _is_kana(own) or _is_kana(other) else "same_reading"
    pairs = [(own, key) for key in other_keys] + [(key, other) for key in own_keys]
    if any(one in two or two in one for one, two in pairs if one and two):
        return "nested"
    if reading_of(first) in _runs(second) or reading_of(second) in _runs(first):
        return "nested"
    return ""


def perhaps_in_conflict(classes: Sequence[tuple[str, Sequence[str]]]) -> set[tuple[int, int]]:
    """Return the pairs of classes that `conflict_of` may find in conflict, so that it need not look at all.

    Args:
        classes: names, with their further forms.

    Returns:
        Pairs of numbers, the smaller one first. No pair that is left out is in conflict.
    """
    having: dict[str, set[int]] = defaultdict(set)  # by a key, a loose key or a reading, the classes that have it
    holding: list[set[str]] = []  # by class, the keys, loose keys and readings within its own
    for number, (name, forms) in enumerate(classes):
        keys = {key_of(name), *map(key_of, forms)}
        marks = keys | {f"loosely {_loosely(key)}" for key in keys} | {f"read {reading_of(name)}"}
        for mark in marks:
            having[mark].add(number)
        pieces = {key[start:end] for key in keys for end in range(1, len(key) + 1) for start in range(end)}
        holding.append(marks | pieces | {f"read {run}" for run in _runs(name)})
    pairs = set()
    for number, held in enumerate(holding):
        for other in set().union(*(having.get(mark, ()) for mark in held)) - {number}:
            pairs.add((min(number, other), max(number, other)))
    return pairs


def _runs(name: str) -> set[str]:
    """Return the readings of all runs of whole morphemes: うに stands in ぞうに, but ウニ does not stand in 雑煮."""
    readings = [morpheme.reading for morpheme in morphemes_of(name)]
    ends = range(1, len(readings) + 1)
    return {"".join(readings[start:end]) for end in ends for start in range(end)}


def _loosely(key: str) -> str:
    """Return a longer word in kana without what writers of loanwords leave out: its last ー, and っ."""
    return _LOOSE.sub("", key) if len(key) >= _LOOSE_FROM and _is_kana(key) else key


def _is_kana(key: str) -> bool:
    return all("ぁ" <= character <= "ゖ" or character == "ー" for character in key)
