"""Evidence in its text: a text cut into pieces, each with the rules that object to it."""

import itertools
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

MOST_CHARACTERS = 1200
_BEHIND = 120


class Piece(NamedTuple):
    """A piece of a text; `rules` object to it, mostly none."""

    text: str
    rules: tuple[str, ...]


def pieces(text: str, findings: Iterable[Mapping[str, Any]], most: int = MOST_CHARACTERS) -> list[Piece]:
    """Return a text as pieces, cut where a finding starts or ends.

    A text of more than `most` characters is clipped, not before the end of its first finding. Findings outside the text
    are left out; those without length mark nothing.

    >>> pieces("花です。何の花？", [{"rule": "question_in_answer", "start": 4, "end": 8}])
    [Piece(text='花です。', rules=()), Piece(text='何の花？', rules=('question_in_answer',))]
    """
    spans = [(max(found["start"], 0), min(found["end"], len(text)), found["rule"]) for found in findings]
    spans = [span for span in spans if span[0] < span[1]]
    length = len(text)
    if length > most:
        length = min(length, max(most, min((end for _, end, _ in spans), default=0) + _BEHIND))
    offsets = sorted({0, length, *(offset for span in spans for offset in span[:2] if offset < length)})
    found = [
        Piece(text[start:end], tuple(sorted({rule for first, last, rule in spans if first <= start and end <= last})))
        for start, end in itertools.pairwise(offsets)
    ]
    return [*found, Piece(" …", ())] if length < len(text) else found
