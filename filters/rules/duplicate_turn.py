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
    >>> turns = [("user", "何色？"), ("assistant", "赤。"), ("user", "何色?"), ("assistant", "赤。")]
    >>> sample = Sample({"messages": [{"role": role, "content": content} for role, content in turns]})
    >>> [(finding.turn, finding.evidence) for finding in DuplicateTurn().find(sample)]
    [(2, 'same as turn 0')]
    """

    def __init__(self, answer_length: Count = 12) -> None:
        self.answer_length = answer_length

    def find(self, sample: Sample) -> Iterator[Finding]:
        """Yields the later one of equal turns."""
        if len(sample.turns) < 3:
            return
        seen: dict[tuple[str, str], int] = {}
        for turn in sample.turns:
            if turn.role == "user" or (turn.role == "assistant" and len(turn.content) >= self.answer_length):
                said = (turn.role, "".join(turn.key.text.split()))
                first = seen.setdefault(said, turn.index)
                if first != turn.index:
                    yield Finding(self.name, turn.index, 0, len(turn.content), turn.content, f"same as turn {first}")
