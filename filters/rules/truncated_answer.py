"""Answers that break off."""

import re

from filters.base import MessageRule, Span
from filters.sample import Message
from filters.settings import Count

_OPEN_END = re.compile(r"[、，,・「『（(【\[:：－\-]\s*$")
_RULE = re.compile(r"\n\s*(?:-{3,}|={3,})\s*$")
_CLOSED_END = re.compile(r"[^\wー、，,・「『（(【\[:：]\s*$|[wｗ笑]\s*$")
_LIST_ITEM = re.compile(
    r"(?:^|\n)[ \t\u3000]*(?:[-*・●○◆■▪◦※|]|\d+[.．)、]|[（(]?[0-9０-９①-⑳一二三四五][)）.．、])[^\n]*$"
)
# A sentence is whole without 。 where its predicate is, and so are results, tags and rules of Markdown.
_WHOLE = re.compile(
    r"(?:です|ます|でした|ました|ません|でしょう|ましょう|ください|下さい|である|だった|だろう|なのだ|ございます|ですね|ますね|ですよ|ますよ)$"
    r"|[=＝≒→:：]\s*[-+\d.,]+\s*[^\W\d_]{0,4}$|#[^\s#]+$"
)
_ITEM_CUT = re.compile(r"(?:[^\W_][をがはへ]|という|および|または|ており|ながら)$")
_KANA_PARTICLE = re.compile(r"(?:[がをはにへとも]|から|ので|けど|ため|って|して|おり|など|よう|という|ている)$")


class TruncatedAnswer(MessageRule):
    r"""Finds answers that break off: at a comma or an opening bracket, or without the full stop that the rest has.

    Args:
        length: Answers shorter than this are not asked for a full stop.

    >>> TruncatedAnswer().texts("公園にはベンチがあり、")
    ['、']
    >>> TruncatedAnswer().texts("公園にはベンチがあります。その上には白い猫が座っていて、隣には古い")
    ['古い']
    >>> TruncatedAnswer().texts("屋根は赤い。壁は白い。窓は三つあります。庭には花が咲いています\n・バラ\n・ユリ")
    []
    >>> TruncatedAnswer().texts("公園にはベンチがあります。その上で白い猫がのんびりと昼寝をしているようです")
    []
    >>> TruncatedAnswer().texts("次のものが写っています。全部で二つあります。\n- 赤い屋根の家\n- 青い自転車を")
    ['車を']
    >>> TruncatedAnswer().texts("三匹の猫がいます"), TruncatedAnswer().texts("公園です！😊")
    ([], [])
    """

    captions = True

    def __init__(self, length: Count = 30) -> None:
        self.length = length

    def spans(self, message: Message) -> tuple[Span, ...]:
        """Returns the end of the answer if it breaks off there."""
        content = message.content
        last = content[-1:]
        if last in "。！？」!?）)" or not content:
            return ()
        match = _OPEN_END.search(content, max(0, len(content) - 8))
        if match and not _RULE.search(content):
            return (Span(match.start(), match.start() + 1, "ends where something has to follow"),)
        if len(content) < self.length or _CLOSED_END.search(content, max(0, len(content) - 8)):
            return ()
        end = len(content.rstrip())
        line = content[content.rfind("\n", 0, end) + 1 : end]
        if _LIST_ITEM.search(line):
            cut = _ITEM_CUT.search(line)
            return (Span(end - len(cut.group()), end, "an item of a list that breaks off"),) if cut else ()
        if _WHOLE.search(line) or not ("。" in content or _KANA_PARTICLE.search(line)):
            return ()
        return (Span(max(0, end - 2), end, "has full stops, but none at the end"),)
