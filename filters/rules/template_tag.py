"""Media placeholders and chat-template tokens in the text."""

import re

from filters.base import PatternRule
from filters.screens import screen


class TemplateTag(PatternRule):
    r"""Finds tags that stand for media or belong to a chat template: where an image stands is structural, never text.

    >>> TemplateTag().texts("<image>\n犬が走っています。<|im_end|>")
    ['<image>', '<|im_end|>']
    >>> TemplateTag().texts("犬です。<end_of_turn>[THINK]◁think▷<IMG_CONTEXT><0x0A><unused0><turn|>")
    ['<end_of_turn>', '[THINK]', '◁think▷', '<IMG_CONTEXT>', '<0x0A>', '<unused0>', '<turn|>']
    >>> TemplateTag().texts("赤です。[UNUSED_TOKEN_145][IMG_END]<ImageHere><observation>")
    ['[UNUSED_TOKEN_145]', '[IMG_END]', '<ImageHere>', '<observation>']
    >>> TemplateTag().texts("改行には <br> タグを使うと書かれています。型は List<String> です。")
    []
    >>> TemplateTag().texts("[画像]をご覧ください。{caption}にあるとおりです。")
    ['[画像]', '{caption}']
    >>> TemplateTag().texts("矢印は<右>を向き、値は3<5です。[図書館]の表示があります。")
    []
    """

    captions = True
    in_quotations = True
    screen = screen(
        {
            "<＜": r"[|｜/a-zA-Z画0]",
            "[［【": r"(?:/?[A-Z]{3}|画像|写真|動画|image|img|video)",
            "◁": "",
            "{｛": r"[{%a-z_]",
            "!！": r"[\[［]",
            "�": "",
        }
    )
    pattern = re.compile(
        r"(?P<chat_template><\|[^|>\n]{1,40}\|>|<[a-z]\w{1,30}\|>|<\|[a-z]\w{1,30}>|</?s>|<</?SYS>>"
        r"|\[/?(?:INST|THINK|EOS|BOS|PAD|UNK|MASK|SEP|CLS|SYSTEM_PROMPT|TOOL_CALLS|TOOL_RESULTS|AVAILABLE_TOOLS)\]"
        r"|(?-i:\[/?[A-Z]{3,}(?:_[A-Z0-9]+)+\])"
        r"|◁/?[a-z]\w{1,30}▷|</?[a-z][a-z0-9]*(?:_[a-z0-9]+)+>|<(?:0x[0-9a-f]{2}|unused\d+|reserved\d+)>"
        r"|</?(?:think|thinking|reasoning|answer|observation|speech|imagehere|user|assistant|system|model|bos|eos|pad|unk|mask|cls|sep)>)"
        r"|(?P<media_placeholder></?(?:image|img|video|audio|im|画像)\b[^>\n]{0,80}/?>"
        r"|[\[【](?:画像|写真|動画|image|img|video)\s*\d*[\]】]|!\[[^\]\n]*\]\([^)\n]*\))"
        r"|(?P<grounding></?(?:box|ref|quad|point)>)"
        r"|(?P<html></?(?:br|p|div|span|b|i|ul|li|table|tr|td)\s*/?>(?!\W{0,2}(?:タグ|要素|で改行|と書)))"
        r"|(?P<unfilled_placeholder>\{\{[^}\n]{0,60}\}\}|\{%[^%\n]{0,60}%\}"
        r"|\{(?:caption|image|question|answer|text|prompt)\})"
        r"|(?P<broken_character>\ufffd+)",
        re.IGNORECASE,
    )
