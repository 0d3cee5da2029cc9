"""Matching keys: text with compatibility forms unified, for looking things up, never for output.

Half-width katakana, decomposed kana, squared words and the like have to match the same patterns as their ordinary
forms. The key comes with the offset of each of its characters in the original text, so that findings refer to that.
"""

import re
import unicodedata
from typing import NamedTuple

# Half-width katakana and its marks, combining voice marks, squared words and Roman letters of other planes change
# under NFKC in ways that patterns would have to know; full-width ASCII is left to `_WIDTH`, which keeps lengths.
_NEEDS_NFKC = re.compile("[\u3099\u309a\u3300-\u33ff\uff61-\uff9f\U0001d400-\U0001d7ff]")
_CLUSTER = re.compile("[\uff66-\uff9d][\uff9e\uff9f]|.[\u3099\u309a]*", re.DOTALL)
_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}
_FULL_WIDTH = re.compile("[\uff01-\uff5e\u3000]")


class MatchingKey(NamedTuple):
    """A text for matching.

    Attributes:
        text: The unified text.
        offsets: Offset in the original of each character of `text`, and the original length at the end; None where
            both have the same offsets.
    """

    text: str
    offsets: tuple[int, ...] | None

    def original(self, start: int, end: int) -> tuple[int, int]:
        """Translates a span of the key into a span of the original text."""
        if self.offsets is None:
            return start, end
        first = self.offsets[start]
        last = self.offsets[end]
        if end > start and last <= self.offsets[end - 1]:  # the span ends inside what one character became
            last = next((offset for offset in self.offsets[end:] if offset > last), self.offsets[-1])
        return first, last


def matching_key(text: str) -> MatchingKey:
    """Makes the key of a text.

    >>> matching_key("何ﾃﾞｽｶ？").text
    '何デスカ?'
    >>> matching_key("何ﾃﾞｽｶ？").original(1, 4)
    (1, 5)
    """
    if _NEEDS_NFKC.search(text) is None:
        return MatchingKey(text.translate(_WIDTH) if _FULL_WIDTH.search(text) else text, None)
    parts: list[str] = []
    offsets: list[int] = []
    for cluster in _CLUSTER.finditer(text):
        piece = unicodedata.normalize("NFKC", cluster.group())
        parts.append(piece)
        offsets.extend([cluster.start()] * len(piece))
    offsets.append(len(text))
    return MatchingKey("".join(parts).translate(_WIDTH), tuple(offsets))
