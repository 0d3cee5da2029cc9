"""Options of multiple-choice questions that a translation has moved."""

import re
from collections.abc import Iterator

from filters.base import Span
from filters.sample import Message
from filters.translated import TranslationRule, whole

_LISTED = re.compile(r"^[ \t]*\(?([A-J])[).:．。：）](?=\s|[^\x00-\x7f])", re.MULTILINE)
_ALONE = re.compile(r"\A\W*([A-J])\W*\Z")
_NAMED = re.compile(r"(?:option|choice|answer:|answer is)\s*\(?([A-J])\)?(?![\w'])(?! [a-z])", re.IGNORECASE)


class TranslationOptions(TranslationRule):
    r"""Finds translations whose option letters are not those of the original, in their order.

    >>> rule = TranslationOptions()
    >>> rule.texts("Which?\nA. A dog\nB. A cat", "どれですか？\nA. 犬\nB. 猫", "user")
    []
    >>> rule.texts("Which?\nA. A dog\nB. A cat", "どれですか？\nB. 犬\nA. 猫", "user"), rule.texts("B", "C")
    (['the options were A B'], ['the answer was B'])
    """

    def spans(self, original: Message, message: Message) -> Iterator[Span]:
        """Yields the message."""
        listed = _LISTED.findall(original.key.text)
        if len(listed) > 1 and _LISTED.findall(message.key.text) != listed:
            yield whole(message, f"the options were {' '.join(listed)}")
        alone = _ALONE.search(original.key.text)
        named = alone or _NAMED.search(original.key.text)
        if alone and not re.match(rf"\W*{alone[1]}(?![A-Za-z])", message.key.text):
            yield whole(message, f"the answer was {alone[1]}")
        elif named and not alone and not re.search(rf"(?<![A-Za-z]){named[1]}(?![A-Za-z])", message.key.text):
            yield whole(message, f"{named[1]} is not named")
