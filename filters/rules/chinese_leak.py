"""Chinese in Japanese answers."""

import re
from collections.abc import Iterable, Iterator

from filters.base import MessageRule, Span
from filters.sample import Message
from filters.settings import Count


def _simplified_only() -> str:
    """The characters of GB 2312 that neither Windows-31J nor JIS X 0213 has, such as 们, 这, 说."""
    found = []
    for lead in range(0xB0, 0xF8):
        for trail in range(0xA1, 0xFF):
            character = bytes((lead, trail)).decode("gb2312", errors="ignore")
            if not (character.encode("cp932", errors="ignore") or character.encode("euc_jis_2004", errors="ignore")):
                found.append(character)
    return "".join(found)


_SIMPLIFIED = re.compile(f"[{_simplified_only()}你您她吧呢啊哪啦]+")
_FUNCTION_WORDS = frozenset("的是了在我他它也很着嗎麼這那不和有")
_CLAUSE = re.compile(r"[一-鿿]{6,}(?:[,，、。][一-鿿]+)*")
_KANA = re.compile("[ぁ-ゖァ-ヺｦ-ﾝ]")


class ChineseLeak(MessageRule):
    """Finds simplified-only characters, and answers without kana that are built with Chinese function words.

    Models that know both languages slip from one into the other. What is quoted, such as a sign, may be Chinese.

    Args:
        characters: How many simplified-only characters it takes.

    >>> ChineseLeak().texts("这是一只猫。"), ChineseLeak().texts("猫がソファの上で休憩している样子です。")
    (['这'], ['样'])
    >>> ChineseLeak().texts("黒色的猫在沙発上。")
    ['黒色的猫在沙発上']
    >>> ChineseLeak().texts("看板には「欢迎光临」と書かれています。"), ChineseLeak().texts("東京都千代田区永田町一丁目")
    ([], [])
    """

    captions = True

    def __init__(self, characters: Count = 1) -> None:
        self.characters = characters

    def spans(self, message: Message) -> Iterable[Span]:
        """Returns the runs of simplified characters, or the clauses that are Chinese without any."""
        if _KANA.search(message.content) and not _SIMPLIFIED.search(message.content):
            return ()
        return self._chinese(message)

    def _chinese(self, message: Message) -> Iterator[Span]:
        runs = list(_SIMPLIFIED.finditer(message.own_words))
        if sum(len(run.group()) for run in runs) >= max(1, self.characters):
            for run in runs:
                yield Span(*message.key.original(*run.span()), f"simplified characters {run.group()}")
        elif not _KANA.search(message.content):
            for clause in _CLAUSE.finditer(message.own_words):
                words = _FUNCTION_WORDS.intersection(clause.group())
                if len(words) >= 2:
                    evidence = f"no kana, and the Chinese function words {''.join(sorted(words))}"
                    yield Span(*message.key.original(*clause.span()), evidence)
