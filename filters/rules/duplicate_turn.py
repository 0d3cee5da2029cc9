"""Conversations that say the same thing twice."""

from collections.abc import Iterator

from filters.base import Finding, Rule
from filters.sample import Sample
from filters.settings import Count


class DuplicateTurn(Rule):
    """Finds questions that were asked before, and longer answers that were given before.

    Args:
        answer_length: Answers shorter than this may come twice: はい, 二人です.

    >>> from filters import Sample
    >>> messages = [("user", "何色？"), ("assistant", "赤。"), ("user", "何色?"), ("assistant", "赤。")]
    >>> sample = Sample({"messages": [{"role": role, "content": content} for role, content in messages]})
    >>> [(finding.message, finding.evidence) for finding in DuplicateTurn().find(sample)]
    [(2, 'same as message 0')]
    """

    def __init__(self, answer_length: Count = 12) -> None:
        self.answer_length = answer_length

    def find(self, sample: Sample) -> Iterator[Finding]:
        """Yields the later one of equal messages."""
        if len(sample.messages) < 3:
            return
        seen: dict[tuple[str, str], int] = {}
        for message in sample.messages:
            if message.role == "user" or (message.role == "assistant" and len(message.content) >= self.answer_length):
                said = (message.role, "".join(message.key.text.split()))
                first = seen.setdefault(said, message.index)
                if first != message.index:
                    yield Finding(
                        self.name, message.index, 0, len(message.content), message.content, f"same as message {first}"
                    )
