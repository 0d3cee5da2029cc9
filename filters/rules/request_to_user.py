"""Answers that ask the user for something, or offer to go on."""

import re
from collections.abc import Iterator

from filters.base import PatternRule, Span
from filters.letters import is_letter
from filters.sample import Message
from filters.screens import screen

_GIVE = r"(?:ください|下さい|いただければ|頂ければ|もらえれば|くれれば|ほしいです)"


class RequestToUser(PatternRule):
    r"""Finds requests and offers back to the user: nobody will answer them in training data.

    Requests in the form of a question (…てもらえますか。) are questions and found by `question_in_answer`. Advice
    (お召し上がりください) is what an answer may hold.

    >>> RequestToUser().texts("秋の公園です。よろしければ、詳しい場所を教えてください。")
    ['よろしければ、詳しい場所を教えてください']
    >>> RequestToUser().texts("ほかに気になる点があれば、お気軽にお尋ねください。")
    ['ほかに気になる点があれば、お気軽にお尋ねください']
    >>> RequestToUser().texts("熱いうちにお召し上がりください。ポスターは「教えてください」と呼びかけます。")
    []
    >>> RequestToUser().texts("山田様\n日程を教えてください。敬具")
    []
    """

    screen = screen(
        {
            "くい下頂": r"(?:ださい|ただければ|さい|ければ)",
            "お": "(?:気軽に|申し付け|手伝い(?:でき|します|いたし)|待ち(?:して|ください))",
            "ど": "うぞ",
            "質疑知気不": r"(?:問|りたい|になる|明)[^。\n]{0,14}(?:あれば|したら|場合)",
        }
    )
    pattern = re.compile(
        rf"(?P<request>(?:(?:よろしければ|もしよければ|差し支えなければ|可能であれば|できれば)[^。\n]{{0,40}}?)?"
        r"(?:教えて|お教え|お?知らせ(?:て)?|お聞かせ|聞かせて|お?送って|お送り|お?尋ね(?:て)?|お聞き|聞いて|お?伝え(?:て)?"
        r"|共有して|ご?共有|アップロードして|添付して|(?:情報|画像|写真)を(?:ご?提供|ご?提示)(?:して)?|おっしゃって|お申し付け"
        r"|ご?指定(?:して)?|ご?質問(?:して)?|ご?連絡(?:して)?)"
        rf"{_GIVE}(?!と|という|、と))"
        r"|(?P<offer>[^。\n、]{0,12}(?:質問|知りたい|気になる|不明な?|お困り|ご?要望|疑問)[^。\n]{0,14}"
        r"(?:あれば|ございましたら|ありましたら|場合は)[^。\n]{0,20}(?:ください|下さい|どうぞ|お気軽に|ご相談|お手伝い|お答え)"
        r"|(?:いつでも|喜んで|さらに)[^。\n]{0,10}お手伝い(?:します|いたします|できます))"
    )

    def spans(self, message: Message) -> Iterator[Span]:
        """Yields the requests, but for those that a letter makes to its reader."""
        found = list(super().spans(message))
        if found and not is_letter(message.content):
            yield from found
