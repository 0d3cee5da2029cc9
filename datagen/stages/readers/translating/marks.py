"""What no translator is to touch: behind opaque marks (⟦1⟧, ⟦2⟧, …), which have to come back as they went.

Behind marks go code, URLs, addresses, tags, option letters, numbers in digits, and quoted text that is said to stand in
the picture: a sign that reads "STOP" is no 止まれ. What is quoted as somebody's words is translated.
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

MARK = re.compile(r"⟦(\d+)⟧")
_LOOSE = re.compile(r"[⟦⟧]")
_WRITTEN = re.compile(
    r"\b(?:reads?|reading|(?:it|which|that) says|written|writing|inscri\w+|labell?ed|labels?|signs?|text"
    r"|words?|letters?|lettering"
    r"|logos?|banners?|titled?|captions?|displays?|displaying|shows?|showing|spells?|marked|printed|brand|named?|called"
    r"|poster|plate|screen|shirt|sticker|number|phrase|slogan|headline)\b",
    re.IGNORECASE,
)
_NEAR = 60


class MarkedText(NamedTuple):
    """A text with marks in it, and what stands behind them.

    Attributes:
        text: with marks.
        hidden: by the number of the mark.
    """

    text: str
    hidden: dict[int, str]


def _is_in_picture(text: str, match: re.Match[str]) -> bool:
    """Whether a quotation is of something that is written somewhere: its surroundings say so, or it is all capitals."""
    said = match["quoted"]
    around = text[max(0, match.start() - _NEAR) : match.start()] + " " + text[match.end() : match.end() + _NEAR]
    return bool(_WRITTEN.search(around)) or (said.upper() == said and any(map(str.isalpha, said)))


def _always(_: str, __: re.Match[str]) -> bool:
    return True


_OPTION = r"\(?[A-J]\)?"
_PATTERNS: tuple[tuple[re.Pattern[str], str, Callable[[str, re.Match[str]], bool]], ...] = tuple(
    (re.compile(pattern, flags), group, fits)
    for pattern, group, flags, fits in (
        (r"```.*?(?:```|\Z)|`[^`\n]+`", "", re.DOTALL, _always),
        (
            r"(?:https?|ftp)://[^\s<>\"'）)」]+[^\s<>\"'）)」.,;:!?]|www\.[^\s<>\"'）)」]+[^\s<>\"'）)」.,;:!?]",
            "",
            0,
            _always,
        ),
        (r"[\w.+-]+@[\w-]+\.[\w.-]*\w", "", re.ASCII, _always),
        (r"</?[A-Za-z|][^<>\n]{0,40}>|\[(?:Q|A|S|C)\d+\]|⟦[^⟦⟧\n]{0,20}⟧|[⟦⟧]", "", 0, _always),
        (r"^[ \t]*(?P<hidden>\(?[A-J][).:])(?=\s)", "hidden", re.MULTILINE, _always),
        (rf"\A\s*(?P<hidden>{_OPTION}[.:]?)\s*\Z", "hidden", 0, _always),
        (
            r"(?:(?<=[Oo]ption )|(?<=[Cc]hoice )|(?<=[Aa]nswer: )|(?<=[Aa]nswer is ))\(?[A-J]\)?(?![\w'])(?! [a-z])",
            "",
            0,
            _always,
        ),
        (r"[\"“](?P<quoted>[^\"“”\n]{1,80})[\"”]", "quoted", 0, _is_in_picture),
        (r"(?<![\w.])[$€£¥#]?\d+(?:[.,:/]\d+)*%?(?!\w)", "", 0, _always),
    )
)


def marked(text: str, first: int = 1) -> MarkedText:
    """Return a text with marks in the place of what is not to be translated.

    Args:
        text: in English.
        first: the number of the first mark.

    >>> marked('The sign reads "STOP" and 3 cars wait.')
    MarkedText(text='The sign reads "⟦1⟧" and ⟦2⟧ cars wait.', hidden={1: 'STOP', 2: '3'})
    """
    spans: list[tuple[int, int]] = []
    for pattern, group, fits in _PATTERNS:
        for match in pattern.finditer(text):
            start, end = match.span(group or 0)
            if fits(text, match) and all(end <= other[0] or other[1] <= start for other in spans):
                spans.append((start, end))
    pieces: list[str] = []
    hidden: dict[int, str] = {}
    reached = 0
    for number, (start, end) in enumerate(sorted(spans), start=first):
        pieces += (text[reached:start], f"⟦{number}⟧")
        hidden[number] = text[start:end]
        reached = end
    return MarkedText("".join(pieces) + text[reached:], hidden)


def mark_faults(text: str, hidden: dict[int, str]) -> Iterator[str]:
    """Yield what is wrong with the marks of a translated text, in words for the translator.

    >>> list(mark_faults("⟦1⟧と⟦3⟧", {1: "a", 2: "b"}))
    ['⟦2⟧ is missing', '⟦3⟧ does not belong there']
    """
    found = [int(number) for number in MARK.findall(text)]
    for number in hidden:
        if found.count(number) != 1:
            yield f"⟦{number}⟧ is missing" if number not in found else f"⟦{number}⟧ stands {found.count(number)} times"
    for number in dict.fromkeys(found):
        if number not in hidden:
            yield f"⟦{number}⟧ does not belong there"
    if _LOOSE.search(MARK.sub("", text)):
        yield "a mark is broken"


def unmarked(text: str, hidden: dict[int, str]) -> str:
    """Return a text with what stands behind its marks.

    >>> unmarked("看板には「⟦1⟧」とあり、車が⟦2⟧台待っています。", {1: "STOP", 2: "3"})
    '看板には「STOP」とあり、車が3台待っています。'
    """
    return MARK.sub(lambda match: hidden[int(match[1])], text)
