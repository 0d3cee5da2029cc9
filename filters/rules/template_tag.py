"""Media placeholders and chat-template tokens in the text."""

import re

from filters.base import PatternRule
from filters.screens import screen


class TemplateTag(PatternRule):
    r"""Finds tags that stand for media or belong to a chat template: where an image stands is structural, never text.

    >>> TemplateTag().texts("<image>\n犬が走っています。<|im_end|>")
    ['<image>', '<|im_end|>']
    >>> TemplateTag().texts("[画像]をご覧ください。{caption}にあるとおりです。")
    ['[画像]', '{caption}']
    >>> TemplateTag().texts("矢印は<右>を向き、値は3<5です。[図書館]の表示があります。")
    []
    """

    in_quotations = True
    screen = screen(
        {
            "<＜": r"[|｜/a-zA-Z画]",
            "[［【": r"(?:/?INST|画像|写真|動画|image|img|IMG|IMAGE|video)",
            "{｛": r"[{%a-z_]",
            "!！": r"[\[［]",
            "�": "",
        }
    )
    pattern = re.compile(
        r"(?P<chat_template><\|[^|>\n]{1,40}\|>|</?s>|\[/?INST\]|<</?SYS>>"
        r"|</?(?:think|user|assistant|system|bos|eos|pad|unk)>)"
        r"|(?P<media_placeholder></?(?:image|img|video|audio|im|画像)\b[^>\n]{0,80}/?>"
        r"|[\[【](?:画像|写真|動画|image|img|video)\s*\d*[\]】]|!\[[^\]\n]*\]\([^)\n]*\))"
        r"|(?P<grounding></?(?:box|ref|quad|point)>)"
        r"|(?P<html></?(?:br|p|div|span|b|i|ul|li|table|tr|td)\s*/?>)"
        r"|(?P<unfilled_placeholder>\{\{[^}\n]{0,60}\}\}|\{%[^%\n]{0,60}%\}"
        r"|\{(?:caption|image|question|answer|text|prompt)\})"
        r"|(?P<broken_character>\ufffd+)",
        re.IGNORECASE,
    )
