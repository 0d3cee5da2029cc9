"""A stand-in for the text models of the recipes, so that they run without one.

It translates what stands in a phrase book, and makes a dialogue of the sentences of a caption: it shows how a recipe
goes, and nothing of how a model writes.
`stand_in: examples.recipes.stand_in:Writer` of an engine names it; `--model` and `--endpoint` take it away again.
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
        request = messages[-1]["content"]
        caption = _CAPTION.search(request)
        answer = dialogue(caption[1]) if caption else translation(request)
        return Completion(answer, "stop", len(request) // 2, len(answer) // 2)


def dialogue(caption: str) -> str:
    """Return three turns that say what a caption says, as JSON."""
    sentences = re.findall(r"[^。]+。?", caption.strip()) or [caption]
    said = [
        sentences[number] if number < len(sentences) else "写真からは分かりません。"
        for number in range(len(_QUESTIONS))
    ]
    turns = [{"question": question, "answer": answer} for question, answer in zip(_QUESTIONS, said, strict=True)]
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
def phrases() -> dict[str, str]:
    """Return the phrase book as texts with marks."""
    book: dict[str, str] = json.loads(_PHRASES.read_text(encoding="utf-8"))
    return dict(_with_marks(english, japanese) for english, japanese in book.items())


def _with_marks(english: str, japanese: str) -> tuple[str, str]:
    text = marked(english)
    for number, hidden in text.hidden.items():
        japanese = japanese.replace(hidden, f"⟦{number}⟧", 1)
    return text.text, japanese
