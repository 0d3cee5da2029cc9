"""Questions that a translation has made of statements, and the other way round."""

import re
from collections.abc import Iterator

from filters.base import Span
from filters.questions.detector import Kind, find_questions
from filters.questions.sentences import QUESTION_MARKS
from filters.sample import Message
from filters.translated import TranslationRule, whole

_QUOTED = re.compile(r"[\"“][^\"“”]*[\"”]")
_ASKS = re.compile(
    r"^\W*(?:what|which|who|whose|whom|where|when|why|how|is|are|was|were|do|does|did|can|could|will|would|should|has|have"
    r"|please|describe|tell|explain|name|list|count|identify|write|give|provide|answer|look|choose|select|compare)\b",
    re.IGNORECASE | re.MULTILINE,
)
_ENDING = re.compile(
    r"(?:ください|下さい|なさい|[てで]くれ|ましょう|教えて|述べよ|せよ|答えよ|か|かな|かしら|の|でしょう|だろう)[。!！.]?\s*$",
    re.MULTILINE,
)
_MARK = re.compile(f"[{re.escape(QUESTION_MARKS)}]")


class TranslationQuestions(TranslationRule):
    """Finds answers that ask in one language alone, questions that ask no more, and statements of a user that do.

    >>> rule = TranslationQuestions()
    >>> rule.texts("It is a temple.", "お寺ではないですか？"), rule.texts("It is a temple.", "お寺です。")
    (['the original asks nothing'], [])
    >>> rule.texts("Is it red?", "赤いです。", "user"), rule.texts("Describe it.", "どんな様子ですか？", "user")
    (['the original asks'], [])
    """

    def spans(self, original: Message, message: Message) -> Iterator[Span]:
        """Yields the message."""
        asked = "?" in _QUOTED.sub("", original.key.text)
        questions = [found for found in find_questions(message.key.text) if found.kind is not Kind.QUOTED]
        asks = bool(questions) or bool(_MARK.search(message.own_words))
        if message.role == "user":
            # An interrogative alone asks as well, but no question of the original loses its ending.
            asks_still = bool(_MARK.search(message.own_words)) or bool(_ENDING.search(message.own_words))
            lost = asked and not asks_still
        else:
            lost = asked and not asks
        if lost:
            yield whole(message, "the original asks")
        elif asks and not asked and (message.role == "assistant" or not _ASKS.search(original.key.text)):
            yield whole(message, "the original asks nothing")
