"""Answers into which the next message, or the frame of the conversation, leaked."""

import re
from collections.abc import Iterator

from filters.base import PatternRule, Span
from filters.sample import Message
from filters.screens import screen

_QUESTIONER = r"(?:ユーザー?|質問者?|設問|問い|Q|user|human|question)"
_CLOSING = re.compile(r"\W*(?:答え|解答|回答)\W*:\W*")
_LETTERED = re.compile(r"(?:^|\n)[\W\d]{0,6}[B-PR-Zb-pr-z]\s?[:.]")
_ANSWERER = r"(?:アシスタント|回答者?|解答|答え|応答|A(?![\s\S]*\bB\s*[:.])|assistant|answer|AI|bot|システム|system)"


class TurnLeak(PatternRule):
    r"""Finds markers of messages, 「質問：」「Q:」「アシスタント:」, at the start of a line or sentence.

    They appear where a model goes on to write the next message, or where a parser cut in the wrong place.

    >>> TurnLeak().texts("赤い車です。\nユーザー：運転手はいますか？\nアシスタント：いいえ。")
    ['ユーザー：', 'アシスタント：']
    >>> TurnLeak().texts("赤です。\nUSER: 本当か\nASSISTANT: はい")
    ['USER:', 'ASSISTANT:']
    >>> TurnLeak().texts("Q1. 何色ですか A1. 白です")
    ['Q1.']
    >>> TurnLeak().texts("三袋に四個ずつです。\n**答え：** 12個"), TurnLeak().texts("S: 具体的\nM: 測定\nA: 達成")
    ([], [])
    >>> TurnLeak().texts("画面には「ユーザー：山田」と表示されています。比率は3:2です。ビタミンA：不足")
    []
    """

    screen = screen(
        {
            "QＱqAＡ": r"(?=[\s\d０-９*\]】]{0,8}[:：.．])"
            r"|[QＱAＡqa](?:uestion|nswer|ssistant|UESTION|NSWER|SSISTANT|I)",
            "ユ": "ーザ",
            "質設回解答応問ア": r"(?:問|答|え|い|シスタント)",
            "シ": "ステム",
            "UuSsHhBb": r"(?:ser|SER|ystem|YSTEM|uman|UMAN|ot|OT)",
            "＃#": r"[#＃\s]{0,8}(?:指示|入力|応答|Instruction|Input|Response)",
        }
    )
    pattern = re.compile(
        r"(?:^|(?<=[\n。!?」\]]))[\s#*\[【(]{0,12}"
        rf"(?:(?P<questioner>(?:次の|追加の?)?{_QUESTIONER}\s*\d*(?:[*\]】)]*\s*:|(?<=\d)\.\s))"
        rf"|(?P<answerer>{_ANSWERER}\s*\d*(?:[*\]】)]*\s*:|(?<=\d)\.\s))"
        r"|(?P<section>(?<=#)\s*(?:指示|入力|応答|Instruction|Input|Response)\s*(?::|\n|$)))",
        re.IGNORECASE,
    )

    def spans(self, message: Message) -> Iterator[Span]:
        """Yields the markers; 答え： that closes the answer with the result, and letters of a list, are none."""
        found = list(super().spans(message))
        if len(found) == 1 and _CLOSING.fullmatch(message.content[found[0].start : found[0].end].replace("：", ":")):
            line_end = message.content.find("\n", found[0].end)
            if found[0].start > 0 and (line_end < 0 or not message.content[line_end:].strip()):
                return
        lettered = _LETTERED.search(message.key.text) is not None
        for span in found:
            if not (
                lettered and message.content[span.start : span.end].strip("*#([【 :：.")[:2] in ("A", "Q", "Ａ", "Ｑ")
            ):
                yield span
