"""Cutting Japanese text into sentences, with an eye on quotation.

What stands in 「」, 『』 or quotation marks is masked in the sentence around it and cut into sentences of its own, so
that 「何名様ですか？」と書かれています。 is one statement that holds one quoted question. Parentheses are treated
alike, but what they hold is an aside of the writer, not a quotation. URLs and code are masked and hold no sentences.

Masks keep lengths: every offset counts in the text that was given.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

QUOTED = "\ue000"
ASIDE = "\ue001"
OPAQUE = "\ue002"
"""What masked characters are replaced with: quotations, asides, and URLs or code."""

_QUOTES = {
    "「": "」",
    "『": "』",
    "“": "”",
    "‘": "’",
    "〝": "〟",
    "《": "》",
    "〈": "〉",
    "«": "»",
    "‹": "›",
    "❝": "❞",
    '"': '"',
    "'": "'",
}
_ASIDES = {"(": ")", "（": "）", "【": "】", "[": "]", "［": "］", "〔": "〕", "｛": "｝", "{": "}"}
_PAIRS = _QUOTES | _ASIDES
_CLOSERS = {closer: opener for opener, closer in _PAIRS.items()}
_BRACKET = re.compile("[" + re.escape("".join(_PAIRS) + "".join(_CLOSERS)) + "\n]")
_OPAQUE = re.compile(
    r"```.*?(?:```|\Z)"
    r"|`[^`\n]+`"
    r"|(?:https?|ftp)://[\w\-.~:/?#\[\]@!$&'*+,;=%]+"
    r"|www\.[\w\-.~:/?#@!$&'*+,;=%]+"
    r"|[\w\-./]{0,100}\?[A-Za-z_]\w{0,40}=[\w\-.~%&=+]*",
    re.DOTALL | re.ASCII,
)
_DEEPEST = 16  # brackets within brackets; what opens deeper opens nothing
_APOSTROPHE = re.compile(r"\w'\w", re.ASCII)
_MAY_BE_OPAQUE = re.compile(r"`|://|www\.|\?\w", re.ASCII)

QUESTION_MARKS = "?？⁇⁈⁉❓❔‽﹖⸮؟︖"
_PICTURES = "\u2190-\u21ff\u2300-\u23ff\u2500-\u27bf\u2b00-\u2bff\u3030\ufe0e\ufe0f\u200d\U0001f000-\U0001faff"
_MARKS = "。．｡!！…‥" + QUESTION_MARKS
_SIGNS = _PICTURES + "♪♡♥☆★"
_MORE = rf"[{_MARKS}.・\s{_SIGNS}]*"
# The class in front lets `re` skip to the characters that can end a sentence; the rest tells them apart.
_END = re.compile(
    rf"[{_MARKS}{_SIGNS}.・\n](?:(?<=[{_MARKS}]){_MORE}|(?<=\n)\s*|(?<=[{_SIGNS}])[{_SIGNS}]*\s*"
    rf"|(?<=\.)(?:(?<=[^\x00-\x7f].)(?!\d)|(?=\s|\Z)){_MORE}|(?<=・)・・{_MORE})"
)


class Sentence(NamedTuple):
    """A sentence, or a line that stands for one.

    Attributes:
        start: Offset of its first character.
        end: Offset behind its last mark.
        body: The text up to the marks that end it, with quotations, asides and opaque runs masked.
        marks: The marks that end it: 。, ？, emoji, a line break, or nothing at the end of the text.
        quoted: Whether it stands inside a quotation.
        aside: Whether it stands inside parentheses.
    """

    start: int
    end: int
    body: str
    marks: str
    quoted: bool = False
    aside: bool = False


@dataclass(slots=True)
class _Region:
    start: int
    end: int
    quoted: bool = False
    aside: bool = False
    children: list[tuple[int, int, str]] = field(default_factory=list)


def split_sentences(text: str) -> tuple[Sentence, ...]:
    """Cuts a text into sentences, those inside quotations and parentheses after the one around them.

    >>> [s.body.replace(QUOTED, "*") for s in split_sentences("「誰？」と聞いた。赤い花です！")]
    ['「**」と聞いた', '赤い花です', '誰']
    """
    if _MAY_BE_OPAQUE.search(text):
        text = _OPAQUE.sub(lambda match: OPAQUE * len(match.group()), text)
    whole = _Region(0, len(text))
    if _BRACKET.search(text) is None:
        return tuple(_sentences(text, whole))
    regions = _regions(text, whole)
    return tuple(sentence for region in regions for sentence in _sentences(text, region))


def mask_quotations(text: str) -> str:
    """Masks what stands in quotations, in code and in URLs, so that only the writer's own words can match.

    >>> mask_quotations("看板には「申し訳ありません」とあります").replace(QUOTED, "*")
    '看板には「********」とあります'
    """
    if _MAY_BE_OPAQUE.search(text):
        text = _OPAQUE.sub(lambda match: OPAQUE * len(match.group()), text)
    pieces: list[str] = []
    reached = 0
    for opened, closed, is_quote in sorted(_pairs(text)):
        if is_quote and opened >= reached:
            pieces += (text[reached : opened + 1], QUOTED * (closed - opened - 1))
            reached = closed
    return "".join(pieces) + text[reached:] if pieces else text


def _regions(text: str, whole: _Region) -> list[_Region]:
    """The text and the insides of its bracket pairs, by where they start, each knowing the ones directly in it."""
    regions = [whole]
    around = [whole]
    for opened, closed, is_quote in sorted(_pairs(text)):
        while around[-1].end <= opened:
            around.pop()
        parent = around[-1]
        inside = _Region(opened + 1, closed, parent.quoted or is_quote, parent.aside or not is_quote)
        parent.children.append((inside.start, inside.end, QUOTED if is_quote else ASIDE))
        regions.append(inside)
        around.append(inside)
    return regions


def _pairs(text: str) -> list[tuple[int, int, bool]]:
    """Finds (opening, closing, is it a quotation) of bracket pairs.

    A bracket that is not closed before the next empty line opens nothing, so that it cannot swallow the rest; an ASCII
    quotation mark, which looks the same on both sides, has to be closed on its line.
    """
    found: list[tuple[int, int, bool]] = []
    stack: list[tuple[str, int]] = []
    for match in _BRACKET.finditer(text):
        sign, offset = match.group(), match.start()
        if sign == "\n":
            stack = [] if text.startswith("\n", offset + 1) else [entry for entry in stack if entry[0] not in "\"'"]
            continue
        if sign == "'" and _APOSTROPHE.match(text, max(0, offset - 1)):
            continue
        opener = _CLOSERS.get(sign, sign)
        level = next((n for n in range(len(stack) - 1, -1, -1) if stack[n][0] == opener), None)
        if sign in _PAIRS and (sign not in "\"'" or level is None):
            if len(stack) < _DEEPEST:
                stack.append((sign, offset))
        elif level is not None:
            opened = stack[level][1]
            # 【】 opens a line as a heading and stands within one as quotation marks.
            is_title = opener == "【" and text[opened - 1 : opened] not in ("", "\n")
            found.append((opened, offset, opener in _QUOTES or is_title))
            del stack[level:]
    return found


def _sentences(text: str, region: _Region) -> Iterator[Sentence]:
    masked = text[region.start : region.end]
    if region.children:
        pieces: list[str] = []
        reached = region.start
        for start, end, mask in region.children:
            pieces += (text[reached:start], mask * (end - start))
            reached = end
        masked = "".join(pieces) + text[reached : region.end]
    position = 0
    for marks in _END.finditer(masked):
        yield from _sentence(masked, position, marks.start(), marks.end(), region)
        position = marks.end()
    yield from _sentence(masked, position, len(masked), len(masked), region)


def _sentence(masked: str, start: int, stop: int, end: int, region: _Region) -> Iterator[Sentence]:
    body = masked[start:stop]
    stripped = body.lstrip()
    if stripped or end > stop:
        start += len(body) - len(stripped)
        yield Sentence(
            region.start + start, region.start + end, stripped.rstrip(), masked[stop:end], region.quoted, region.aside
        )
