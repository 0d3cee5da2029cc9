"""What the rules read: a conversation, cut into messages, and batches of them.

A `Message` keeps the original text and derives from it, once and only when a rule asks, what several rules need: the
normalised matching key and the text without its quotations. Rules therefore never normalise for themselves.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

from filters.matching import MatchingKey, matching_key
from filters.questions.sentences import mask_quotations

CAPTION = -1
"""The index that stands for the caption."""

_SEPARATOR = "\n\x00\n"


class Message:
    """One message of a conversation, or its caption.

    Attributes:
        index: Position in `messages`; -1 for the caption.
        role: "user", "assistant", "system", or "caption".
        content: The text as it was given. Spans of findings count its code points.
    """

    __slots__ = ("_key", "_own_words", "content", "index", "role")

    def __init__(self, index: int, role: str, content: str) -> None:
        self.index = index
        self.role = role
        self.content = content
        self._key: MatchingKey | None = None
        self._own_words: str | None = None

    @property
    def key(self) -> MatchingKey:
        """The text with compatibility forms unified, and the way back to the offsets of `content`."""
        if self._key is None:
            self._key = matching_key(self.content)
        return self._key

    @property
    def own_words(self) -> str:
        """`key.text` with quotations, code and URLs masked; offsets stay those of the key."""
        if self._own_words is None:
            self._own_words = mask_quotations(self.key.text)
        return self._own_words


class Score(NamedTuple):
    """What a check or a judge has measured.

    Attributes:
        name: Of the check, or of the judge's prompt.
        value: The number.
        reason: In words, or empty.
        message: Index into `messages`; -1 for the caption, None for the sample as a whole; below -1 it is -2 minus the
            index of a message that a repair took out.
    """

    name: str
    value: float
    reason: str = ""
    message: int | None = None


class Sample:
    """A conversation as the rules see it; `original` is what it was translated from, empty if it was not.

    >>> sample = Sample({"messages": [{"role": "user", "content": "何色？"}, {"role": "assistant", "content": "赤。"}]})
    >>> [message.content for message in sample.answers]
    ['赤。']
    """

    __slots__ = ("caption", "messages", "original", "scores")

    def __init__(self, sample: Mapping[str, Any]) -> None:
        try:
            self.messages = tuple(
                Message(index, message["role"], _text(message["content"]))
                for index, message in enumerate(sample["messages"])
            )
            self.original = tuple(
                Message(index, message["role"], _text(message["content"]))
                for index, message in enumerate(sample.get("original") or ())
            )
            caption = sample.get("caption")
            self.caption = None if caption is None else Message(CAPTION, "caption", _text(caption))
            self.scores = tuple(
                Score(score["name"], float(score["value"]), score.get("reason") or "", score.get("message"))
                for score in sample.get("scores") or ()
            )
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(
                'a sample must be a mapping with "messages", a list of {"role": text, "content": text}, and optionally '
                f'"caption", a text; this one is not ({type(error).__name__}: {error})'
            ) from error

    @property
    def answers(self) -> tuple[Message, ...]:
        """The assistant's messages."""
        return tuple(message for message in self.messages if message.role == "assistant")

    @property
    def questions(self) -> tuple[Message, ...]:
        """The user's messages."""
        return tuple(message for message in self.messages if message.role == "user")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, got {type(value).__name__}")
    return value


class Batch:
    """Samples that are judged together.

    Screens are regular expressions that run once over the joined text of the whole batch, which costs a fraction of a
    call a text, and name the messages that a rule has to look at.
    """

    def __init__(self, samples: Sequence[Mapping[str, Any]]) -> None:
        self.samples = tuple(Sample(sample) for sample in samples)
        self._joined: dict[str, _Joined] = {}

    @classmethod
    def of(cls, sample: Sample) -> "Batch":
        """Makes a batch of one sample that is read already."""
        batch = cls(())
        batch.samples = (sample,)
        return batch

    def messages(self, role: str, screen: re.Pattern[str] | None = None) -> Iterator[tuple[int, Message]]:
        """Yields (position of the sample, message) for the messages of a role in which the screen finds something."""
        joined = self._joined.get(role)
        if joined is None:
            joined = self._joined[role] = _Joined(self.samples, role)
        return iter(joined.entries) if screen is None else joined.search(screen)


class _Joined:
    """The messages of one role in a batch, and their texts as one string."""

    def __init__(self, samples: Sequence[Sample], role: str) -> None:
        if role == "caption":
            self.entries = [(number, sample.caption) for number, sample in enumerate(samples) if sample.caption]
        else:
            self.entries = [
                (number, message)
                for number, sample in enumerate(samples)
                for message in sample.messages
                if message.role == role
            ]
        contents = [message.content for _, message in self.entries]
        self._text = _SEPARATOR.join(contents)
        self._starts = list(accumulate((len(text) + len(_SEPARATOR) for text in contents), initial=0))

    def search(self, screen: re.Pattern[str]) -> Iterator[tuple[int, Message]]:
        """Yields the entries with a match; one match is enough, so the search goes on at the next text."""
        text, starts, find = self._text, self._starts, screen.search
        match = find(text)
        while match is not None:
            number = bisect_right(starts, match.start()) - 1
            if number >= len(self.entries):
                return
            yield self.entries[number]
            match = find(text, starts[number + 1])
