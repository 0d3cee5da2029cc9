"""Stand-ins for models of the recipes, so that they run without one.

`Writer` translates what stands in a phrase book, and makes a dialogue of the sentences of a caption; `SignReader` knows
the pictures in `signs` by their SHA-256. They show how a recipe goes, and nothing of how a model writes.
`stand_in: examples.recipes.stand_in:Writer` of an engine names one; `--model` and `--endpoint` take it away again.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Self

from datagen.engine_settings import EngineSettings
from datagen.engines import ChatMessage, Completion
from datagen.stages.readers.translating.marks import MARK, marked
from prompts import Sampling

_PHRASES = Path(__file__).parent / "phrases.json"
_SIGNS = Path(__file__).parent / "signs.json"
_LINE = re.compile(r"^\[([QASC]\d+)\] ", re.MULTILINE)
_CAPTION = re.compile(r"\n---\n(.*?)\n---\n", re.DOTALL)
_QUESTIONS = (
    "この写真には何が写っていますか？",
    "写っているものの様子を教えてください。",
    "背景はどうなっていますか？",
)


class Writer:
    """Answers requests of the prompts `translation` and `dialogue_from_caption`."""

    needs_server: ClassVar[bool] = False

    def __init__(self, model: str) -> None:
        self.model = model
        self.retries = 0

    @classmethod
    def of(cls, engine: EngineSettings, key: str | None) -> Self:
        """Return the stand-in; it needs no key."""
        return cls(engine.model)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    @asynccontextmanager
    async def lease(self) -> AsyncIterator[None]:
        """Hold nothing."""
        yield

    async def complete(
        self,
        lease: None,
        messages: Sequence[ChatMessage],
        *,
        sampling: Sampling,
        seed: int,
        schema: Mapping[str, Any] | None = None,
        choices: Sequence[str] | None = None,
    ) -> Completion:
        """Answer the last request."""
        await asyncio.sleep(0)
        answer = self.reply(messages, seed)
        return Completion(answer, "stop", len(str(messages[-1]["content"])) // 2, len(answer) // 2)

    def reply(self, messages: Sequence[ChatMessage], seed: int) -> str:
        """Return the answer to the last message."""
        return self.answer(messages[-1]["content"])

    def answer(self, content: Any) -> str:
        """Return the answer to the content of a message."""
        caption = _CAPTION.search(content)
        return dialogue(caption[1]) if caption else translation(content)


class SignReader(Writer):
    """Answers requests of the prompt `dialogue` about the pictures in `signs`."""

    def answer(self, content: Any) -> str:
        """Return what stands in the book of signs; nothing for other pictures."""
        names = [part["uuid"] for part in content if part["type"] == "image_url"]
        return json.dumps({"turns": signs().get(names[0], [])}, ensure_ascii=False)


def dialogue(caption: str) -> str:
    """Return up to three turns that say what the sentences of a caption say, as JSON."""
    sentences = re.findall(r"[^。]+。?", caption.strip()) or [caption]
    pairs = zip(_QUESTIONS, sentences, strict=False)
    turns = [{"question": question, "answer": answer.strip()} for question, answer in pairs]
    return json.dumps({"turns": turns}, ensure_ascii=False)


def translation(request: str) -> str:
    """Return the translations of the numbered texts in a request, those that the phrase book has."""
    heads = list(_LINE.finditer(request))
    ends = [*(head.start() for head in heads[1:]), len(request)]
    texts = [(head[1], request[head.end() : end].strip()) for head, end in zip(heads, ends, strict=True)]
    return "\n".join(f"[{head}] {translated(text)}" for head, text in texts)


def translated(text: str) -> str:
    """Return the translation of one text with its marks; the text itself where the phrase book has none."""
    numbers = MARK.findall(text)
    order = iter(range(1, len(numbers) + 1))
    found = phrases().get(MARK.sub(lambda _: f"⟦{next(order)}⟧", text), text)
    return MARK.sub(lambda match: f"⟦{numbers[int(match[1]) - 1]}⟧", found) if found != text else text


@cache
def signs() -> dict[str, list[dict[str, str]]]:
    """Return the turns about each sign, by the SHA-256 of its picture."""
    book: dict[str, list[dict[str, str]]] = json.loads(_SIGNS.read_text(encoding="utf-8"))
    return book


@cache
def phrases() -> dict[str, str]:
    """Return the phrase book as texts with marks."""
    book: dict[str, str] = json.loads(_PHRASES.read_text(encoding="utf-8"))
    return dict(_with_marks(english, japanese) for english, japanese in book.items())


def _with_marks(english: str, japanese: str) -> tuple[str, str]:
    text = marked(english)
    for number, hidden in text.hidden.items():
        japanese = japanese.replace(hidden, f"⟦{number}⟧", 1)
    return text.text, japanese
