"""Scripts that have no place in a Japanese answer."""

import re

from filters.base import PatternRule


class OtherScripts(PatternRule):
    """Finds words in Hangul, Cyrillic, Arabic, Hebrew, Thai, and Indic scripts, unless they are quoted.

    A single letter is no word: (´Д｀) is a face. Greek is left alone, for α and β are terms.

    >>> OtherScripts().texts("赤い 자동차 が停まっています。"), OtherScripts().texts("これは собака です。")
    (['자동차'], ['собака'])
    >>> OtherScripts().texts("看板には「환영합니다」と書かれています(´Д｀)。β版です。")
    []
    """

    captions = True
    screen = re.compile("[Ѐ-ӿ֐-׿؀-ۿऀ-෿฀-๿ᄀ-ᇿㄱ-ㆎ가-힣]")
    pattern = re.compile(
        "(?P<Hangul>[ᄀ-ᇿㄱ-ㆎ가-힣]+)|(?P<Cyrillic>[Ѐ-ӿ]{2,})|(?P<Arabic_or_Hebrew>[֐-ۿ]{2,})"
        "|(?P<Indic_or_Thai>[ऀ-๿]{2,})"
    )
