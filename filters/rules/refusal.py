"""Answers that refuse, or say that there is no image."""

import re
from collections.abc import Iterator

from filters.base import PatternRule, Span
from filters.letters import is_letter
from filters.sample import Message
from filters.screens import screen

_IMAGE = r"(?:画像|写真|イメージ|添付ファイル)"


class Refusal(PatternRule):
    r"""Finds refusals, "I see no image", and the model speaking of itself as one.

    That something in the picture cannot be made out is an honest answer and no refusal.

    >>> Refusal().texts("申し訳ありませんが、その質問にはお答えできません。")
    ['申し訳ありませんが', 'お答えできません']
    >>> Refusal().texts("画像が添付されていないようです。")
    ['画像が添付されていない']
    >>> Refusal().texts("私はAIなので、画像を見ることができません。")
    ['私はAI', '画像を見ることができません']
    >>> Refusal().texts("これは画像で学習済みのAIモデルです。")
    []
    >>> Refusal().texts("店員が「申し訳ありません」と頭を下げています。文字が小さく、画像からは読み取れません。")
    []
    >>> Refusal().texts("件名：お詫び\n\n申し訳ありませんが、本日は参加できません。")
    []
    """

    captions = True
    screen = screen(
        {
            "申": "し訳",
            "す": "(?:み|い)ません",
            "ご": "めんなさい",
            "像真ルジ": r"[がはもを]?(?:ま|正|添|表示|提供|共有|ア|読み込|送信|見え|見当|見る|届|受け取|確認"
            r"|閲|認識|分|処|直|あ|な)",
            "お": "(?:答え|手伝い|応え)",
            "回": "答(?:する|を|でき|は差)",
            "私": "は[^。\n]{0,6}(?:AI|人工|言語|大規模|テキスト|ＡＩ)",
            "AＡ": "(?:I|Ｉ)(?:アシスタント|言語|モデル|で|な|と)",
            "言": "語モデル",
            "Ii": r"(?:'m|’m| am| can|mage)[^。\n]{0,20}",
        }
    )
    pattern = re.compile(
        r"(?P<apology>(?:^|(?<=[\n。!]))\s*(?:大変)?"
        r"(?:申し訳(?:ありません|ございません|ないです)が?|す[みい]ませんが?|ごめんなさい)(?!と))"
        rf"|(?P<no_image>{_IMAGE}[がはもを]?(?:まだ|正しく|正常に)?"
        r"(?:添付|表示|提供|共有|アップロード|読み込|送信|見え|見当た|届い|受け取|確認)"
        r"[^。\n、]{0,8}?(?:ていない|ていません|れません|ません|れない|できない)(?!(?:部分|ところ|箇所))"
        rf"|{_IMAGE}を(?:直接)?(?:見る|確認する|閲覧する|認識する|表示する|分析する|処理する)ことは?が?(?:でき|出来)(?:ません|ない)"
        rf"|{_IMAGE}が(?:ありません|ないため|ないので))"
        r"|(?P<refused>お(?:答え|手伝い|応え)(?:は|が|する(?:こと)?(?:は|が)?)?(?:でき|出来|いたし)(?:かねます|ません)"
        r"|回答(?:は|を)?(?:差し控え|控えさせ|できかね|いたしかね|できません)"
        r"|回答することは?が?(?:でき|出来)(?:ません|ない))"
        r"|(?P<machine>私は(?:、)?(?:AI|人工知能|言語モデル|大規模言語モデル|テキストベース)"
        r"|(?<!の)(?:AI|人工知能)(?:アシスタント|言語モデル|モデル)(?:として|なので|であ|です)|言語モデル(?:として|なので|である私))"
        r"|(?P<English_refusal>\bI(?:'m|’m| am) (?:sorry|unable|an AI)"
        r"|\bI can(?:not|'t|’t) (?:see|view|assist|help|answer))",
        re.IGNORECASE,
    )

    def spans(self, message: Message) -> Iterator[Span]:
        """Yields the refusals; that a letter apologises to its reader is none."""
        for span in super().spans(message):
            if not (span.evidence.startswith("apology") and is_letter(message.content)):
                yield span
