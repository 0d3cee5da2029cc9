"""Answers that got caught in a loop."""

import re
from collections.abc import Iterator

from filters.base import Span, TurnRule
from filters.sample import Turn
from filters.settings import Count

_PROBE = 6
_STRIDE = 12
_SENTENCE = re.compile(r"[^。！？!?\n]+[。！？!?\n]*")


class Repetition(TurnRule):
    """Finds the same words again and again in a row, and the same sentence said several times.

    Short probes out of the text tell for nearly every answer that there is no loop; only where a probe recurs is the
    text searched for one.

    Args:
        times: How often in a row the same words have to stand.
        characters: How long the loop has to be as a whole.
        sentences: How often the same sentence has to be said.

    >>> Repetition().texts("赤い車です。とてもとてもとてもとてもとてもとても大きいです。")
    ['とてもとてもとてもとてもとてもとても']
    >>> Repetition().texts("山が見えます。空が青いです。山が見えます。空が青いです。山が見えます。")
    ['山が見えます。空が青いです。山が見えます。空が青いです。山が見えます。']
    >>> Repetition().texts("次々と人々が行き交い、車がどんどん通り過ぎていきます。ははは、と笑っています。")
    []
    """

    def __init__(self, times: Count = 3, characters: Count = 16, sentences: Count = 3) -> None:
        self.times = max(2, times)
        self.characters = characters
        self.sentences = max(2, sentences)
        self._loop = re.compile(rf"(.{{1,60}}?)\1{{{self.times - 1},}}", re.DOTALL)

    def spans(self, turn: Turn) -> Iterator[Span]:
        """Yields the loops."""
        content = turn.content
        if not self._may_repeat(content):
            return
        found = False
        for loop in self._loop.finditer(content):
            unit = loop.group(1)
            if len(loop.group()) >= self.characters and not unit.isspace() and any(map(str.isalnum, unit)):
                found = True
                yield Span(loop.start(), loop.end(), f"{unit[:20]!r} {len(loop.group()) // len(unit)} times in a row")
        if not found:
            yield from self._repeated_sentences(content)

    def _may_repeat(self, content: str) -> bool:
        if len(content) < self.characters:
            return False
        for start in range(0, len(content) - _PROBE, _STRIDE):
            if content.count(content[start : start + _PROBE]) >= 3:
                return True
        sentences = content.split("。")
        return len(sentences) > self.sentences and len(set(sentences)) < len(sentences) - 1

    def _repeated_sentences(self, content: str) -> Iterator[Span]:
        places: dict[str, list[tuple[int, int]]] = {}
        for match in _SENTENCE.finditer(content):
            sentence = match.group().strip()
            if len(sentence) > 5:
                places.setdefault(sentence, []).append(match.span())
        for sentence, spans in places.items():
            if len(spans) >= self.sentences:
                yield Span(spans[0][0], spans[-1][1], f"{sentence[:20]!r} said {len(spans)} times")
                return
