"""Telephone numbers, e-mail addresses and postal addresses."""

import re
from collections.abc import Iterator

from filters.base import MessageRule, Span
from filters.sample import Message
from filters.screens import screen

_PREFECTURE = r"(?:北海道|東京都|(?:京都|大阪)府|(?:神奈川|和歌山|鹿児島|[一-龥]{2})県)"
_PATTERN = re.compile(
    r"(?P<telephone>(?<![\d\-])(?:\+81[\- ]?|0)\d{1,4}[\- (]\d{1,4}[\- )]\d{3,4}(?![\d\-])|(?<!\d)0[5789]0\d{8}(?!\d))"
    r"|(?P<email>[A-Za-z0-9._%+\-]{1,64}@[A-Za-z0-9\-]{1,63}(?:\.[A-Za-z0-9\-]{1,63}){0,8}\.[A-Za-z]{2,24})"
    r"|(?P<postal_code>〒\s?\d{3}-\d{4})"
    rf"|(?P<address>{_PREFECTURE}[一-龥ぁ-んァ-ヶ]{{1,12}}[市区町村郡][一-龥ぁ-んァ-ヶ0-9]{{0,16}}?\d{{1,4}}(?:丁目|番地?|号|-\d))"
)


class PersonalData(MessageRule):
    """Finds telephone numbers, e-mail addresses, postal codes and street addresses, in quotations too.

    Args:
        telephone: Look for telephone numbers.
        email: Look for e-mail addresses.
        address: Look for postal codes and street addresses.

    >>> PersonalData().texts("看板には「TEL 03-1234-5678」とあります。")
    ['03-1234-5678']
    >>> PersonalData().texts("連絡先は taro@example.co.jp、〒100-0001 東京都千代田区千代田1番地です。")
    ['taro@example.co.jp', '〒100-0001', '東京都千代田区千代田1番地']
    >>> PersonalData().texts("2024-05-01 に撮影され、東京都内の公園です。解像度は1920-1080です。")
    []
    """

    screen = screen(
        {
            "@＠〒": "",
            "0０": r"[\d０-９]{1,4}[-－ー‐ (（]?[\d０-９]{2}",
            "+＋": "[8８]",
            "都道府県": r"[^\n。]{2,20}[\d０-９]",
        }
    )

    def __init__(self, telephone: bool = True, email: bool = True, address: bool = True) -> None:
        self.sorts = {
            *(["telephone"] if telephone else []),
            *(["email"] if email else []),
            *(["postal_code", "address"] if address else []),
        }

    def spans(self, message: Message) -> Iterator[Span]:
        """Yields the spans of the sorts that the settings name."""
        for match in _PATTERN.finditer(message.key.text):
            if match.lastgroup in self.sorts:
                yield Span(*message.key.original(*match.span()), str(match.lastgroup).replace("_", " "))
