"""Words of the translator in the translation."""

import re

from filters.base import PatternRule


class TranslatorNote(PatternRule):
    """Finds what a translator says to whom he translates for, in questions too: a preface, a note, a label.

    >>> TranslatorNote().texts("以下が日本語訳です。赤い車が止まっています。")
    ['以下が日本語訳です']
    >>> TranslatorNote().texts("車です。（訳注：原文では複数形）"), TranslatorNote().texts("翻訳の本が並んでいます。")
    (['訳注', '原文では'], [])
    """

    captions = True
    pattern = re.compile(
        r"(?P<preface>(?:以下(?:が|は|に)|こちらが|これが|次(?:が|は))[^。\n]{0,12}(?:翻訳|日本語訳|和訳|訳文|訳)(?:結果|文)?"
        r"(?:です|になります|となります|を示します|:|$)|(?:翻訳|訳)(?:いた)?しました(?=[。:\n]|$)"
        r"|(?:対話|文章|会話|上記|原文)を(?:日本語に)?(?:翻訳|訳)(?:します|しました|すると))"
        r"|(?P<label>^[ \t]*\**(?:日本語訳|和訳|翻訳(?:文|結果)?|訳文?|Translation|Japanese(?: translation)?)"
        r"\**[ \t]*:)"
        r"|(?P<note>訳注|訳者注|翻訳者?注|※\s*(?:訳|原文|翻訳|注)|[(\[](?:注|Note|N\.B\.|原文)[:)\]]|^Note:"
        r"|Here(?: is|'s) the translation|原文(?:では|には|の英語|が))",
        re.MULTILINE,
    )

    @property
    def _roles(self) -> tuple[str, ...]:
        return ("caption", "user", "assistant")
