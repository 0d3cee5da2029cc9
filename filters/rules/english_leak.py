"""English in Japanese answers."""

import re
from collections.abc import Iterator

from filters.base import MessageRule, Span
from filters.sample import Message
from filters.settings import Count

_RUN = re.compile(r"[A-Za-z][A-Za-z'’\-]{0,30}(?:[ \t,;:]+(?:[A-Za-z][A-Za-z'’\-]{0,30}|\d+))+[.!?]?")
_FUNCTION_WORDS = re.compile(
    r"(?:a|an|the|is|are|was|were|be|been|am|do|does|did|has|have|had|of|to|in|on|at|with|and|or|but|for|from|by|as|that"
    r"|this|these|those|it|its|he|she|they|we|you|i|his|her|their|there|which|who|what|not|can|will|would|should)"
)
_PREPOSITIONS = frozenset(("over", "under", "into", "after", "before", "between", "through"))
_VERBS = frozenset(("is", "are", "was", "were", "be", "been", "am", "do", "does", "did", "has", "have", "had", "can"))


class EnglishLeak(MessageRule):
    """Finds runs of English words, unless they are quoted: a translation that stopped halfway, a caption that shows.

    Names are runs of words as well (New York Yankees), so a run has to hold function words (the, is, of …) to count. A
    name or a title has them too (Girl with a Pearl Earring), but no verb, and its other words begin with capitals.

    Args:
        words: The shortest run, in words.
        function_words: How many of them have to be function words.

    >>> EnglishLeak().texts("犬が走っています。The dog is running on the grass.")
    ['The dog is running on the grass.']
    >>> EnglishLeak().texts("フェルメールの Girl with a Pearl Earring と、Kyoto University of the Arts の校舎です。")
    []
    >>> EnglishLeak().texts("New York Yankees の帽子です。「Keep out of the reach of children」とあります。")
    []
    """

    screen = re.compile(r"[A-Za-z][A-Za-z'’\-]{0,30}[ \t]+[A-Za-z]")

    def __init__(self, words: Count = 5, function_words: Count = 1) -> None:
        self.words = words
        self.function_words = function_words

    def spans(self, message: Message) -> Iterator[Span]:
        """Yields the runs."""
        for run in _RUN.finditer(message.own_words):
            words = re.findall(r"[A-Za-z'’\-]+", run.group())
            if _is_title(words):
                continue
            words = [word.lower() for word in words]
            if (
                len(words) >= self.words
                and sum(map(bool, map(_FUNCTION_WORDS.fullmatch, words))) >= self.function_words
            ):
                yield Span(*message.key.original(*run.span()), f"{len(words)} English words")


def _is_title(words: list[str]) -> bool:
    """Whether all words that are no function words begin with a capital, and none of these is a verb."""
    plain = [word for word in words if not word[0].isupper()]
    return all(_FUNCTION_WORDS.fullmatch(word) or word in _PREPOSITIONS for word in plain) and not _VERBS.intersection(
        map(str.lower, words)
    )
