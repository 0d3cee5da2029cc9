"""Morphemes with their part of speech, by MeCab and UniDic."""

import threading
from collections.abc import Sequence
from typing import NamedTuple

import fugashi

_local = threading.local()


class Morpheme(NamedTuple):
    """A morpheme.

    Attributes:
        surface: The text.
        pos: Part of speech, 品詞.
        detail: Its subdivision, 品詞細分類, or "*".
        form: Inflected form, 活用形, or "*".
        start: Offset in the tagged text.
    """

    surface: str
    pos: str
    detail: str
    form: str
    start: int

    def is_particle(self, *surfaces: str) -> bool:
        """Whether it is one of these particles, 助詞."""
        return self.pos == "助詞" and self.surface in surfaces

    def __str__(self) -> str:
        """The way evidence shows it: か/助詞-終助詞."""
        return f"{self.surface}/{self.pos}" + (f"-{self.detail}" if self.detail != "*" else "")


def tagger() -> fugashi.Tagger:
    """Returns the tagger, made on first use, one for each thread, since MeCab's is not to be shared between them."""
    found: fugashi.Tagger | None = getattr(_local, "tagger", None)
    if found is None:
        found = _local.tagger = fugashi.Tagger()
    return found


def tag(text: str) -> list[Morpheme]:
    """Tags a text.

    Only the raw feature string is read: fugashi's named features cost four times the tagging itself.

    >>> [str(morpheme) for morpheme in tag("何色ですか")]
    ['何色/名詞-普通名詞', 'です/助動詞', 'か/助詞-終助詞']
    """
    morphemes: list[Morpheme] = []
    position = 0
    for node in tagger().parseToNodeList(text):
        surface = node.surface
        position = text.find(surface, position)
        features = node.feature_raw.split(",", 6)
        morphemes.append(Morpheme(surface, features[0], features[1], features[5], position))
        position += len(surface)
    return morphemes


def shown(morphemes: Sequence[Morpheme]) -> str:
    """Morphemes for evidence."""
    return " ".join(map(str, morphemes))
