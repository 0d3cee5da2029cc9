"""Answers that got caught in a loop."""

import re
from collections.abc import Sequence

from filters.base import MessageRule, Span
from filters.sample import Message
from filters.settings import Count

_PROBE = 6
_LONGEST = 300  # the longest period that is looked for
_SENTENCE = re.compile(r"[^。！？!?\n]+[。！？!?\n]*")
_ITEM = re.compile(r"[-*・●○◆■•]|\d+[.．)、]|[①-⑳]")
_LONGEST_NUMBERS = 72  # a row of a table, 0 0 0 0


def _is_loop(unit: str, length: int) -> bool:
    return any(map(str.isalpha, unit)) or (any(map(str.isdigit, unit)) and length > _LONGEST_NUMBERS)


class Repetition(MessageRule):
    r"""Finds the same words again and again in a row, and the same sentence said several times.

    A loop of period p is a stretch in which every character equals the one p later. Probes of a few characters, set
    closely enough that no loop of the wanted length lies between them, are looked up in the text behind them; where one
    recurs, its distance is the period, and the stretch is measured.

    Args:
        times: How often in a row the same words have to stand.
        characters: How long the loop has to be as a whole.
        sentences: How often the same sentence has to be said.

    >>> Repetition().texts("赤い車です。とてもとてもとてもとてもとてもとてもとてもとても大きいです。")
    ['とてもとてもとてもとてもとてもとてもとてもとても']
    >>> Repetition().texts("山が見えます。空が青い。山が見えます。花が咲く。山が見えます。")
    ['山が見えます。空が青い。山が見えます。花が咲く。山が見えます。']
    >>> Repetition().texts("表の二行目\n0 0 0 0 0 0 0 0 0 0 0 0 0 0 0")
    []
    >>> Repetition().texts("- 松です。よく育ちます。\n- 杉です。よく育ちます。\n- 桜です。よく育ちます。")
    []
    >>> Repetition().texts("次々と人々が行き交い、車がどんどん通り過ぎていきます。ははは、と笑っています。")
    []
    """

    captions = True

    def __init__(self, times: Count = 3, characters: Count = 24, sentences: Count = 3) -> None:
        self.times = max(2, times)
        self.characters = max(_PROBE * 2, characters)
        self.sentences = max(2, sentences)
        self._stride = max(1, self.characters - self.characters // self.times - _PROBE)

    def spans(self, message: Message) -> Sequence[Span]:
        """Returns the loops, or else the sentence that comes too often."""
        content = message.content
        length = len(content)
        if length < self.characters:
            return ()
        find = content.find
        for start in range(0, length - _PROBE, self._stride):
            again = find(content[start : start + _PROBE], start + 1, start + _LONGEST)
            if again > 0 and content.startswith(content[start:again], again):
                loops = self._loops(content)
                if loops:
                    return loops
                break
        sentences = content.split("。")
        if len(sentences) - len(set(sentences)) < self.sentences - 1:
            return ()
        return self._repeated_sentence(content)

    def _loops(self, content: str) -> list[Span]:
        found: list[Span] = []
        reached = 0
        for start in range(0, len(content) - _PROBE, self._stride):
            again = (
                -1 if start < reached else content.find(content[start : start + _PROBE], start + 1, start + _LONGEST)
            )
            if again < 0:
                continue
            period = again - start
            first, last = start, again
            while first > reached and content[first - 1] == content[first - 1 + period]:
                first -= 1
            while last < len(content) and content[last] == content[last - period]:
                last += 1
            reached = last
            unit = content[first : first + period]
            if last - first >= max(self.characters, self.times * period) and _is_loop(unit, last - first):
                found.append(Span(first, last, f"{unit[:20]!r} {(last - first) // period} times in a row"))
        return found

    def _repeated_sentence(self, content: str) -> list[Span]:
        occurrences: dict[str, list[tuple[int, int]]] = {}
        for match in _SENTENCE.finditer(content):
            sentence = match.group().strip()
            line = content[content.rfind("\n", 0, match.start()) + 1 : match.end()].strip()
            if len(sentence) > _PROBE and (line == sentence or not _ITEM.match(line)):
                occurrences.setdefault(sentence, []).append(match.span())
        for sentence, spans in occurrences.items():
            if len(spans) >= self.sentences:
                return [Span(spans[0][0], spans[-1][1], f"{sentence[:20]!r} said {len(spans)} times")]
        return []
