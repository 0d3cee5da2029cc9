"""Answers that say too much."""

from filters.base import MessageRule, Span
from filters.sample import Message
from filters.settings import Count


class TooLong(MessageRule):
    """Finds answers of more characters than a maximum.

    Args:
        maximum: The most characters an answer may have. Asagi drops texts of 1,000 characters and more.

    >>> TooLong(maximum=10).texts("赤い屋根の小さな家です。")
    ['す。']
    """

    def __init__(self, maximum: Count = 1000) -> None:
        self.maximum = maximum

    def spans(self, message: Message) -> tuple[Span, ...]:
        """Returns what goes beyond the maximum."""
        length = len(message.content)
        if length <= self.maximum:
            return ()
        return (Span(self.maximum, length, f"{length} characters, at most {self.maximum}"),)
