"""Letters and mails, whose apologies and requests speak to whom they are written to."""

import re

_LETTER = re.compile(
    r"(?:^|\n)[\W_]{0,4}(?:件名|宛先|拝啓|謹啓|前略|[^\n。、]{1,16}(?:様|御中|各位)[、,]?\s*\n)"
    r"|(?:^|\n)\W{0,4}(?:いつも)?(?:大変)?お世話になって(?:おり|い)ます|(?:敬具|草々|敬白)\W{0,3}(?:\n|$)"
)


def is_letter(text: str) -> bool:
    r"""Whether a text is a letter or a mail, by its address, its opening or its closing words.

    >>> is_letter("件名：日程のご相談"), is_letter("山田様\n先日はありがとうございました。"), is_letter("赤い車です。")
    (True, True, False)
    """
    return _LETTER.search(text) is not None
