"""Questions that ask nothing."""

import re

from filters.base import MessageRule, Span
from filters.questions.detector import find_questions
from filters.sample import Message

_TASK = re.compile(
    r"(?:くだ|下)さい|ちょうだい|頂戴|お願い|教えて|聞かせて|見せて|挙げて|答えて|して(?:ほしい|欲しい|みて|$|[。!])"
    r"|知りたい|"
    r"(?:せよ|しろ|なさい|選べ|示せ|書け|[えけげせてねべめれ]よ|こと|事)(?:[。!\s]|$)|"
    r"(?:[いきしちにびみりっえけせてねべめれげぜ])て(?:ね|よ|ほしいな)?[。!\s]*$|[んい]で(?:ね|よ)?[。!\s]*$|[内で字文語章度位程点箇所]に[。!\s]*$|"
    r"(?:説明|描写|要約|記述|列挙|翻訳|回答|分類|推測|キャプション|一言|一文)"
    r"(?:で|を?(?:する|して|お願い|作成|生成))?[。:]?\s*$"
)
_ENGLISH_TASK = re.compile(
    r"^\s*(?:please|describe|explain|list|name|count|tell|write|give|identify|compare|summarize|answer|provide)\b",
    re.IGNORECASE,
)


class AsksNothing(MessageRule):
    """Finds user messages that neither ask a question nor set a task; the detector is that of `question_in_answer`.

    >>> AsksNothing().texts("赤い屋根の家が写っています。")
    ['赤い屋根の家が写っています。']
    >>> [AsksNothing().texts(said) for said in ("何が見えますか。", "この花の名前は？", "説明してください。", "何色")]
    [[], [], [], []]
    >>> [AsksNothing().texts(said) for said in ("俳句を詠んで。", "三点にまとめて", "一文で述べること。")]
    [[], [], []]
    """

    role = "user"

    def spans(self, message: Message) -> tuple[Span, ...]:
        """Returns the whole message if it asks nothing."""
        content = message.content
        if content.endswith(("か？", "か。", "？", "ください。")):
            return ()
        text = message.key.text
        if _TASK.search(text) or _ENGLISH_TASK.search(text) or find_questions(text):
            return ()
        return (Span(0, len(content), "neither a question nor a task"),)
