"""Answers that say too little."""

from filters.base import MessageRule, Span
from filters.sample import Message
from filters.settings import Count


class TooShort(MessageRule):
    """Finds answers with fewer letters and digits than a minimum; marks and spaces do not count.

    Args:
        minimum: The fewest letters and digits an answer may have. One character (赤) is a good short answer.

    >>> TooShort(minimum=1).texts("。")
    ['。']
    >>> TooShort(minimum=1).texts("赤")
    []
    >>> TooShort(minimum=4).texts("犬です。")
    ['犬です。']
    """

    def __init__(self, minimum: Count = 1) -> None:
        self.minimum = minimum

    def spans(self, message: Message) -> tuple[Span, ...]:
        """Returns the whole answer if it is too short."""
        content = message.content
        # Counting letters is only needed for texts that are short as a whole or all marks.
        if len(content) > 4 * self.minimum + 8 and not content[:8].isspace():
            return ()
        letters = sum(character.isalnum() for character in content)
        if letters >= self.minimum:
            return ()
        return (Span(0, len(content), f"{letters} letters, at least {self.minimum}"),)
