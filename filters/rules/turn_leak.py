"""Answers into which the next message, or the frame of the conversation, leaked."""

import re

from filters.base import PatternRule
from filters.screens import screen

_QUESTIONER = r"(?:ユーザー?|質問者?|設問|問い|Q|user|human|question)"
_ANSWERER = r"(?:アシスタント|回答者?|解答|答え|応答|A(?![\s\S]*\bB\s*[:.])|assistant|answer|AI|bot|システム|system)"


class TurnLeak(PatternRule):
    r"""Finds markers of messages, 「質問：」「Q:」「アシスタント:」, at the start of a line or sentence.

    They appear where a model goes on to write the next message, or where a parser cut in the wrong place.

    >>> TurnLeak().texts("赤い車です。\nユーザー：運転手はいますか？\nアシスタント：いいえ。")
    ['ユーザー：', 'アシスタント：']
    >>> TurnLeak().texts("Q1. 何色ですか A1. 白です")
    ['Q1.']
    >>> TurnLeak().texts("画面には「ユーザー：山田」と表示されています。比率は3:2です。ビタミンA：不足")
    []
    """

    screen = screen(
        {
            "QＱqAＡ": r"(?=[\s\d０-９*\]】]{0,8}[:：.．])|[QＱAＡqa](?:uestion|nswer|ssistant|I)",
            "ユ": "ーザ",
            "質設回解答応問ア": r"(?:問|答|え|い|シスタント)",
            "シ": "ステム",
            "UuSsHhBb": r"(?:ser|SER|ystem|uman|ot)",
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
