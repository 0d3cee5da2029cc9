"""Text that an answer quotes from the picture, and that nobody could read there."""

import re
import unicodedata
from collections.abc import Iterator

from filters.base import Finding, Rule
from filters.sample import Message, Sample

SCORE = "has_text"
"""The score whose reason is the text that was read in the picture, its lines with ／ between them."""
_QUOTE = re.compile(r"[「『“\"]([^「」『』“”\"\n]{1,60})[」』”\"]")
_WRITTEN = re.compile(
    r"\A[^。\n]{0,14}?(?:と(?:大きく|小さく|白く|赤く|黒く|縦に|横に|太く|手書きで|日本語で|英語で)*(?:書か|書いて|記さ|印刷さ|表示さ|読め|読み取れ|あります|ある[。、])"
    r"|(?:の|という)(?:文字|看板|表示|ロゴ|字|標識|ポスター|貼り紙|張り紙|のれん|暖簾|見出し))"
)
_DROPPED = re.compile(r"[\W_]+")
_TO_HIRAGANA = {code: code - 0x60 for code in range(ord("ァ"), ord("ヶ") + 1)}
_LIKE = str.maketrans("ー一二工口力夕卜ロニエカタト", "一一二工口力夕卜口二工力夕卜")


class QuotedTextMissing(Rule):
    """Finds quotations of what is written in the picture that were not read there; without a reading it finds nothing.

    Width, kana and one slip in four characters are tolerated. The reading is the score of the check `has_text`, which
    misses small and wild letters: record what this finds, and look at it, before anything is dropped by it.

    >>> def found(answer, *read):
    ...     scores = [{"name": "has_text", "value": 0.1 * bool(read), "reason": "／".join(read)}]
    ...     return [each.text for each in QuotedTextMissing().find(
    ...         Sample({"messages": [{"role": "assistant", "content": answer}], "scores": scores}))]
    >>> found("看板には「ラーメン 800円」と書かれています。", "ﾗｰﾒﾝ800円", "営業中")
    []
    >>> found("看板には「うどん」と書かれています。", "ラーメン", "営業中")
    ['うどん']
    >>> found("「きれいだ」と話しているようです。", "営業中"), found("「止まれ」という文字が見えます。")
    ([], ['止まれ'])
    """

    def find(self, sample: Sample) -> Iterator[Finding]:
        """Yields the quotations that are not among what was read."""
        readings = [score.reason for score in sample.scores if score.name == SCORE]
        if not readings:
            return
        read = _plain("".join(readings))
        for message in sample.answers:
            for start, end in _quoted(message):
                text = message.content[start:end]
                if (wanted := _plain(text)) and not _stands_in(wanted, read):
                    yield Finding(self.name, message.index, start, end, text, "no such text was read in the picture")


def _quoted(message: Message) -> Iterator[tuple[int, int]]:
    """Yields the spans of quotations that are said to be written."""
    for match in _QUOTE.finditer(message.content):
        if _WRITTEN.match(message.content[match.end() : match.end() + 40]):
            yield match.span(1)


def _plain(text: str) -> str:
    """A text without what readers of letters mix up: width, case, kana of both kinds, marks, spaces."""
    folded = unicodedata.normalize("NFKC", text).casefold().translate(_LIKE)
    return _DROPPED.sub("", folded).translate(_TO_HIRAGANA)


def _stands_in(wanted: str, read: str) -> bool:
    """Whether a text stands in another one with at most one edit in four characters (Sellers, 1980)."""
    if wanted in read:
        return True
    row = [0] * (len(read) + 1)
    for number, letter in enumerate(wanted, start=1):
        before, row[0] = row[0], number
        for place, other in enumerate(read, start=1):
            edited = min(row[place] + 1, row[place - 1] + 1, before + (letter != other))
            before, row[place] = row[place], edited
    return min(row) <= len(wanted) // 4
