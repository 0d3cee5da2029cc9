"""Answers that speak of a caption or a given text as their source."""

import re

from filters.base import PatternRule
from filters.screens import screen

_TEXT = r"(?:キャプション|説明文?|記述|文章|テキスト|情報|コンテキスト|文脈|プロンプト|アノテーション|メタデータ)"


class SourceMention(PatternRule):
    """Finds answers that give away that they were written from a text: the reader has the picture only.

    LLaVA's instructions ask for the same: never mention the caption or the boxes as the source.

    >>> SourceMention().texts("キャプションによると、犬は二匹います。")
    ['キャプションによると']
    >>> SourceMention().texts("提供された説明には色の記載がありません。")
    ['提供された説明']
    >>> SourceMention().texts("展示の横に説明文があり、看板によると営業は五時までです。")
    []
    >>> SourceMention().texts("壁の文章によると、寺は九世紀に建てられました。文脈によるところが大きい表現です。")
    []
    """

    screen = screen(
        {
            "キ": "ャプション",
            "説記文情": "(?:明文?|述|章|脈|報)(?:に|の中|で|から|を)",
            "テコ": "ン?テ?キスト(?:に|の中|で|から|を)",
            "提与上前": r"(?:供|え|記|述)(?:さ|ら|の)",
            "バ": "ウンディング",
            "座": "標",
        }
    )
    pattern = re.compile(
        r"(?P<caption>(?:この|その|画像の)?キャプション(?:によると|によれば|に基づ\w|に(?:は|も)?(?:記載|書|ある|あり|含ま|明記)"
        r"|では|から(?:は)?(?:判断|分か|わか|推測|読み)))"
        rf"|(?P<given_text>(?:提供|与え|入力|提示)(?:さ|ら)れた(?:画像の)?{_TEXT}"
        r"|(?:上記|前述)の(?:説明文?|記述|文章|テキスト|キャプション|コンテキスト))"
        r"|(?P<description>(?:説明文|記述|コンテキスト|画像の説明|写真の説明)"
        r"(?:によると|によれば|に基づく?(?:と|いて)|に(?:は|も)?(?:記載|明記)さ?れ)|(?:画像|写真)の説明(?:と[^。\n]{0,12})?から)"
        r"|(?P<boxes>バウンディングボックス|座標(?:情報|データ)?(?:によると|によれば|から(?:判断|推測)))"
    )
