"""Markdown, JSON and escapes where prose should be."""

import re
from collections.abc import Iterator
from typing import Literal

from filters.base import MessageRule, Span
from filters.sample import Message
from filters.screens import screen

_BROKEN = re.compile(
    r"(?P<JSON>(?:\A|\n)\s{0,20}[\[{]\s{0,20}\"|[{,\[]\s{0,20}\"[A-Za-z_]{2,30}\"\s*:|\A\s*\{|\}\s{0,20}\Z)"
    r"|(?P<code_fence>```\w*)"
    r"|(?P<escape>\\[nt](?![a-z])|\\u[0-9a-fA-F]{4}|\\\"|&(?:nbsp|amp|lt|gt|quot|#\d{2,5});)"
)
_LATEX = re.compile(r"\\(?:end|frac|text|sqrt|left|right|mathrm|mathbf|begin)\b")
_MARKDOWN = re.compile(
    r"(?P<heading>(?:^|(?<=\n))#{1,6}[ \t]\S?)|(?P<emphasis>\*\*[^*\n]{1,80}\*\*|__[^_\n]{1,80}__)"
    r"|(?P<table>(?:^|(?<=\n))\|[^\n]*\|[ \t]*(?=\n|$))|(?P<link>\[[^\]\n]{1,80}\]\(https?:[^)\n]*\))"
    r"|(?P<rule>(?:^|(?<=\n))(?:-{3,}|\*{3,}|={3,})[ \t]*(?=\n|$))"
)


class MarkupResidue(MessageRule):
    r"""Finds JSON, code fences and escapes; Markdown too, where a policy wants plain prose.

    Args:
        markdown: Whether headings, emphasis, tables, rules and links are residue.

    >>> MarkupResidue().texts('{"answer": "犬です"}')
    ['{"', '}']
    >>> MarkupResidue().texts("犬です。\\n猫です。"), MarkupResidue().texts("**赤い**車です。")
    (['\\n'], [])
    >>> MarkupResidue(markdown="drop").texts("## 概要\n**赤い**車です。")
    ['## 概', '**赤い**']
    >>> MarkupResidue().texts("集合 A = {1, 2} と、値札の「*」について説明します。")
    []
    >>> MarkupResidue().texts(r"面積は $3 \times 4 \neq 10$ です。"), MarkupResidue().texts(r"\text{x} \end{cases}")
    ([], [])
    """

    captions = True

    def __init__(self, markdown: Literal["keep", "drop"] = "keep") -> None:
        self.patterns = [_BROKEN]
        first = {"{}`\\&": "", "[": r"\s*\""}
        if markdown == "drop":
            self.patterns.append(_MARKDOWN)
            first |= {"#|[": "", "*": r"\*", "_": "_", "-": "-", "=": "="}
        self.screen = screen(first)

    def spans(self, message: Message) -> Iterator[Span]:
        """Yields what is left of the markup."""
        content = message.content
        for pattern in self.patterns:
            for match in pattern.finditer(content):
                if match.lastgroup == "JSON" and match.group().strip() == "}" and _LATEX.search(content):
                    continue
                leading = len(match.group()) - len(match.group().lstrip())
                sort = str(match.lastgroup).replace("_", " ")
                yield Span(match.start() + leading, match.end(), f"{sort} {match.group().strip()[:30]}")
