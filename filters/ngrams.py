"""Hashed n-grams of texts, by which one is known in another without either being kept.

Texts are compared without what copies change: NFKC, no upper case, no spaces and no punctuation; kana stay as they are.
An n-gram is five characters, so that most of a short question is left when one of its words is another.
"""

import re
import unicodedata
from typing import NamedTuple

import xxhash

LENGTH = 5
"""Characters of an n-gram; a shorter text is one as a whole."""
_CLUSTER = re.compile("[^\u0300-\u036f][\u0300-\u036f\u3099\u309a\uff9e\uff9f]*|.", re.DOTALL)
"""A character with the marks that NFKC joins to it."""


class Ngram(NamedTuple):
    """An n-gram of a text: its hash of 64 bits as a signed number, and where it stands in the text as it was given."""

    hash: int
    start: int
    end: int


def ngrams(text: str) -> list[Ngram]:
    """Return the n-grams of a text, in order; none of one without letters and digits.

    >>> [text[gram.start:gram.end] for text in ["何色、ですか？"] for gram in ngrams(text)]
    ['何色、ですか']
    >>> [gram.hash for gram in ngrams("ｶﾞﾗｽ の Cup")] == [gram.hash for gram in ngrams("ガラスのcup？")]
    True
    """
    letters: list[str] = []
    spans: list[tuple[int, int]] = []
    for cluster in _CLUSTER.finditer(text):
        kept = [letter for letter in unicodedata.normalize("NFKC", cluster[0]).casefold() if letter.isalnum()]
        letters += kept
        spans += [cluster.span()] * len(kept)
    length = min(LENGTH, len(letters))
    starts = range(len(letters) - length + 1) if letters else ()
    return [Ngram(_hash("".join(letters[at : at + length])), spans[at][0], spans[at + length - 1][1]) for at in starts]


def _hash(text: str) -> int:
    return int.from_bytes(xxhash.xxh3_64_digest(text.encode("utf-8", "surrogatepass")), "big", signed=True)
