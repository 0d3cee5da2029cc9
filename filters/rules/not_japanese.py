"""Answers that are not in Japanese."""

import re
from typing import TYPE_CHECKING, Literal

from filters.base import MessageRule, Span
from filters.sample import Message
from filters.settings import Count, Share

if TYPE_CHECKING:
    from lingua import LanguageDetector

_KANA = re.compile("[ぁ-ゖァ-ヺｦ-ﾝ]")
_JAPANESE = re.compile("[ぁ-ゖァ-ヺーｦ-ﾝ一-鿿々〆]")
_CHINESE_WORD = re.compile("[的是了我他她它也很着嗎麼這那您你們沒給還]|正在|有一|[坐站放]在")
_LETTER = re.compile(r"[^\W\d_]")


class NotJapanese(MessageRule):
    """Finds answers whose letters are for the most part not Japanese.

    Short answers are let through: NHK or Starbucks is the right answer to what a sign says.

    Args:
        length: Answers with fewer letters are not judged.
        share: The least share of kana and kanji among the letters.
        detector: "lingua" asks the language detector about answers without kana; it takes 100 MB and is loaded then.

    >>> NotJapanese().texts("A dog is running on the grass in the park.")
    ['A dog is running on the grass in the park.']
    >>> NotJapanese().texts("看板にはWELCOME TO OUR COFFEE SHOPと書かれています。")
    []
    >>> NotJapanese().texts("Starbucks Coffee")
    []
    >>> lingua = NotJapanese(length=6, detector="lingua")
    >>> lingua.texts("会場：札幌市中央区北一条西二丁目"), lingua.texts("那是我的黒色的車")
    ([], ['那是我的黒色的車'])
    """

    captions = True

    def __init__(self, length: Count = 20, share: Share = 0.3, detector: Literal["none", "lingua"] = "none") -> None:
        self.length = length
        self.share = share
        self.detector = detector
        self._lingua: LanguageDetector | None = None

    def spans(self, message: Message) -> tuple[Span, ...]:
        """Returns the whole answer if it is not Japanese."""
        content = message.content
        length = len(content)
        # Kana and kanji take three bytes in UTF-8 and Latin letters one: enough bytes and kana settle most answers.
        if length < self.length or (len(content.encode(errors="ignore")) > 2.2 * length and _KANA.search(content)):
            return ()
        letters = len(_LETTER.findall(content))
        japanese = len(_JAPANESE.findall(content))
        if letters < self.length:
            return ()
        if japanese < self.share * letters:
            return (Span(0, len(content), f"{japanese} of {letters} letters are kana or kanji"),)
        if self.detector == "lingua" and not _KANA.search(content):
            language = self._detect(content)
            # Addresses, dates and names in kanji alone look like any other; a Chinese sentence has words of its own.
            if language != "JAPANESE" and not (japanese == letters and len(set(_CHINESE_WORD.findall(content))) < 3):
                return (Span(0, len(content), f"lingua says {language.lower()}"),)
        return ()

    def _detect(self, content: str) -> str:
        if self._lingua is None:
            from lingua import Language, LanguageDetectorBuilder

            languages = [Language.JAPANESE, Language.CHINESE, Language.KOREAN, Language.ENGLISH]
            self._lingua = LanguageDetectorBuilder.from_languages(*languages).build()
        language = self._lingua.detect_language_of(content)
        return "nothing" if language is None else language.name
