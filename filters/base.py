"""Findings, and the base of every rule."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Any, ClassVar, NamedTuple

from filters.sample import Batch, Message, Sample


class Finding(NamedTuple):
    """What a rule found, and where.

    Attributes:
        rule: Name of the rule.
        message: Index into `messages`; -1 for the caption, None for the sample as a whole.
        start: Offset of the first character in the content of that message, in code points.
        end: Offset behind the last one.
        text: `content[start:end]`.
        evidence: What made the rule say so, for a person to read.
    """

    rule: str
    message: int | None
    start: int
    end: int
    text: str
    evidence: str


class Span(NamedTuple):
    """A stretch of one message, and the evidence."""

    start: int
    end: int
    evidence: str


@dataclass(slots=True)
class RuleStatistics:
    """What one rule did: samples it judged, samples in which it found something, and its seconds."""

    samples: int = 0
    hits: int = 0
    seconds: float = 0.0


class Rule(ABC):
    """A rule reads a sample and says what it found.

    A subclass implements `find` and nothing else. Its settings are the arguments of its constructor, with annotations:
    a policy checks its values against them. The name is the class name in snake_case, unless the class sets `name`.
    """

    name: ClassVar[str]

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if "name" not in cls.__dict__:
            cls.name = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()

    @abstractmethod
    def find(self, sample: Sample) -> Iterable[Finding]:
        """Yields what the rule finds in a sample."""

    def fingerprint(self) -> object:
        """What the digest of a policy takes up besides the settings: the content of files that they name."""
        return None

    def find_in_batch(self, batch: Batch) -> Iterator[tuple[int, Finding]]:
        """Yields (position of the sample, finding); rules that can screen a batch at once override this."""
        for number, sample in enumerate(batch.samples):
            for finding in self.find(sample):
                yield number, finding

    def judge(self, batch: Batch, statistics: RuleStatistics) -> list[tuple[int, Finding]]:
        """Runs the rule over a batch, and counts and times it."""
        started = perf_counter()
        found = list(self.find_in_batch(batch))
        statistics.seconds += perf_counter() - started
        statistics.samples += len(batch.samples)
        statistics.hits += len({number for number, _ in found})
        return found


class MessageRule(Rule):
    """A rule that reads one message at a time: the answers, unless the class sets another `role`.

    With `captions` it reads the caption as well, which is an answer too: later stages build on it. A subclass
    implements `spans`. If it sets `screen`, only messages in which that expression finds something are
    shown to `spans`; the expression runs over the original text of a whole batch at once, so it has to allow for
    full-width and half-width forms, and may only use `^` and `$` with `re.MULTILINE`.
    """

    role: ClassVar[str] = "assistant"
    captions: ClassVar[bool] = False
    screen: re.Pattern[str] | None = None

    @abstractmethod
    def spans(self, message: Message) -> Iterable[Span]:
        """Yields the spans of the message that the rule objects to."""

    def find(self, sample: Sample) -> Iterator[Finding]:
        """Yields what the rule finds in the messages of its role."""
        caption = (sample.caption,) if sample.caption is not None else ()
        for message in (*caption, *sample.messages):
            if message.role in self._roles and (self.screen is None or self.screen.search(message.content)):
                yield from self._findings(message)

    def texts(self, content: str) -> list[str]:
        """The texts that the rule objects to in a text, taken as a message of its role; for examples."""
        messages = [{"role": self.role, "content": content}]
        said = {"messages": [], "caption": content} if self.role == "caption" else {"messages": messages}
        return [finding.text for finding in self.find(Sample(said))]

    def find_in_batch(self, batch: Batch) -> Iterator[tuple[int, Finding]]:
        """Shows `spans` the messages of the batch that pass the screen."""
        for role in self._roles:
            for number, message in batch.messages(role, self.screen):
                for finding in self._findings(message):
                    yield number, finding

    @property
    def _roles(self) -> tuple[str, ...]:
        return ("caption", self.role) if self.captions and self.role != "caption" else (self.role,)

    def _findings(self, message: Message) -> Iterator[Finding]:
        for start, end, evidence in self.spans(message):
            yield Finding(self.name, message.index, start, end, message.content[start:end], evidence)


class PatternRule(MessageRule):
    """A rule that is one expression, matched against the writer's own words or, with `in_quotations`, against all.

    The named groups of `pattern` are the sorts of what it finds; evidence names the group.
    """

    pattern: re.Pattern[str]
    in_quotations: bool = False

    def spans(self, message: Message) -> Iterator[Span]:
        """Yields the matches."""
        text = message.key.text if self.in_quotations else message.own_words
        for match in self.pattern.finditer(text):
            found = match.group().strip()
            if found:
                start = match.start() + match.group().index(found)
                sort = (match.lastgroup or self.name).replace("_", " ")
                yield Span(*message.key.original(start, start + len(found)), f"{sort}: {found[:40]}")
