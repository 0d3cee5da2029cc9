"""A dialogue as one numbered text for a translator, and the strict reading of what comes back."""

import re
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from typing import NamedTuple

from datagen.failures import Failure
from datagen.records import MessageRecord
from datagen.stages.frames import BrokenFrameError, unfenced, without_thinking
from datagen.stages.readers.translating.marks import MarkedText, mark_faults, marked, unmarked

_LETTERS = {"user": "Q", "assistant": "A", "system": "S", "caption": "C"}
_HEAD = re.compile(r"^[ \t]*\**[\[［【]\s*([QASC]|[ＱＡＳＣ])\s*(\d{1,4})\s*[\]］】]\**[ \t]*", re.MULTILINE)
_HALF_WIDTH = str.maketrans("ＱＡＳＣ０１２３４５６７８９", "QASC0123456789")
_FAULTS_TOLD = 6


class NumberedText(NamedTuple):
    """One text of a dialogue, made ready.

    Attributes:
        head: Q1 for the first question, A1 for its answer, S1 for a system message, C1 for the caption.
        marked: the text, with marks.
    """

    head: str
    marked: MarkedText

    @property
    def line(self) -> str:
        """As the translator sees it."""
        return f"[{self.head}] {self.marked.text}"

    @property
    def is_opaque(self) -> bool:
        """Whether nothing is left to translate."""
        return not re.search(r"[^\W\d_]", re.sub(r"⟦\d+⟧", "", self.marked.text))


def numbered(messages: Sequence[MessageRecord], caption: str = "") -> list[NumberedText]:
    """Return the texts of a dialogue with their heads; the marks are numbered through.

    >>> [text.line for text in numbered([MessageRecord(role="user", content="Is it 3 or 4?")])]
    ['[Q1] Is it ⟦1⟧ or ⟦2⟧?']
    """
    texts = [("caption", caption)] if caption else []
    texts += [(message.role, message.content) for message in messages]
    counters = {role: count(1) for role in _LETTERS}
    made: list[NumberedText] = []
    first = 1
    for role, content in texts:
        text = marked(content, first)
        first += len(text.hidden)
        made.append(NumberedText(f"{_LETTERS[role]}{next(counters[role])}", text))
    return made


def read_back(answer: str, texts: Sequence[NumberedText]) -> list[str]:
    r"""Return the translations of the texts, in their order, without marks.

    What a translator says before the first head belongs to no text and is left out.

    >>> texts = numbered([MessageRecord(role="user", content="Is it 3?")], caption="A cat.")
    >>> read_back("訳です。\n[C1] 猫です。\n[Q1] ⟦1⟧ですか？", texts)
    ['猫です。', '3ですか？']

    Raises:
        Failure: `lost_structure`: a text is missing, there twice or out of order, or marks are not those of the
            original. `empty_answer`: there is no text at all.
    """
    said = without_thinking(answer)
    if not said:
        raise Failure("empty_answer", "the answer has no text")
    with suppress(BrokenFrameError):  # a fence that is no frame, or half of one: it stands in a text, and is seen there
        said = unfenced(said)
    heads = list(_HEAD.finditer(said))
    found = [f"{head[1]}{int(head[2])}".translate(_HALF_WIDTH) for head in heads]
    wanted = [text.head for text in texts]
    if found != wanted:
        raise Failure("lost_structure", _order_fault(found, wanted))
    ends = [*(head.start() for head in heads[1:]), len(said)]
    bodies = [
        _body(said[head.end() : end].strip(), text.marked.text.strip())
        for head, end, text in zip(heads, ends, texts, strict=True)
    ]
    faults = [
        f"{text.head}: {fault}"
        for text, body in zip(texts, bodies, strict=True)
        for fault in (
            ["it is empty"] if not body and text.marked.text.strip() else mark_faults(body, text.marked.hidden)
        )
    ]
    if faults:
        more = f" and {len(faults) - _FAULTS_TOLD} more" if len(faults) > _FAULTS_TOLD else ""
        raise Failure("lost_structure", "; ".join(faults[:_FAULTS_TOLD]) + more)
    return [unmarked(body, text.marked.hidden) for text, body in zip(texts, bodies, strict=True)]


def _body(said: str, original: str) -> str:
    """Return a text without the colon that may stand behind its head."""
    return said if original.startswith((":", "：")) else said.removeprefix(":").removeprefix("：").lstrip()


def _order_fault(found: list[str], wanted: list[str]) -> str:
    missing = [head for head in wanted if head not in found]
    twice = [head for head in dict.fromkeys(found) if found.count(head) > 1]
    foreign = [head for head in dict.fromkeys(found) if head not in wanted]
    told = [
        f"{', '.join(heads[:_FAULTS_TOLD])} {what}"
        for heads, what in ((missing, "missing"), (twice, "there more than once"), (foreign, "not in the original"))
        if heads
    ]
    return "; ".join(told) or f"the order is {' '.join(found)} and was {' '.join(wanted)}"
