"""Answers that are the translation of the whole conversation."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from datagen.failures import Failure
from datagen.records import MessageRecord
from datagen.stages.asking import UNUSABLE
from datagen.stages.readers import Reader
from datagen.stages.readers.translating.marks import unmarked
from datagen.stages.readers.translating.numbered import NumberedText, numbered, read_back
from datagen.stages.sample import Sample

if TYPE_CHECKING:
    from datagen.stages.asking import Asking

_WHOLE_TRIES = 2


class Translation(Reader):
    """Puts all texts of a conversation into one request, and takes in nothing but a translation of each.

    Numbers, URLs, code, tags, option letters and quoted text of signs go behind marks. A translation that has lost a
    turn or a mark is asked for once more, with the fault named; then each text is translated alone, with those before
    it in view. The conversation as it was stays in the row as `original`.
    """

    own_history = True

    async def put(self, asking: "Asking", sample: Sample) -> None:
        """Translate the conversation, and the caption if there is one.

        Raises:
            Failure: `lost_structure`, or why a text could not be translated.
        """
        if not sample.messages:
            raise Failure("prompt_error", "there is no conversation to translate; a stage before has to make one")
        texts = numbered(sample.messages, sample.caption)
        translated = await self._whole(asking, texts)
        if translated is None:
            translated = await self._one_by_one(asking, texts)
        sample.original = list(sample.messages)
        if sample.caption:
            sample.caption, *translated = translated
        sample.messages = [
            MessageRecord(role=message.role, content=text)
            for message, text in zip(sample.messages, translated, strict=True)
        ]

    async def _whole(self, asking: "Asking", texts: Sequence[NumberedText]) -> list[str] | None:
        """Return the translations of all texts in one request; nothing where two requests have lost something."""
        dialogue = "\n".join(text.line for text in texts)
        fault = ""
        for attempt in range(1, min(_WHOLE_TRIES, asking.stage.attempts) + 1):
            try:
                answer = await asking.once(
                    asking.render(dialogue=dialogue, fault=fault, context="", turn=1), 1, attempt
                )
                return read_back(answer, texts)
            except Failure as failure:
                if failure.failure_class not in UNUSABLE:
                    raise
                fault = failure.message
        return None

    async def _one_by_one(self, asking: "Asking", texts: Sequence[NumberedText]) -> list[str]:
        """Return the translations of texts that are asked for alone, each with those before it."""
        done: list[str] = []
        for number, text in enumerate(texts, start=2):
            context = "\n".join(f"{before.head}: {said}" for before, said in zip(texts, done, strict=False))
            done.append(await self._alone(asking, text, context, number))
        return done

    async def _alone(self, asking: "Asking", text: NumberedText, context: str, turn: int) -> str:
        if text.is_opaque:
            return unmarked(text.marked.text, text.marked.hidden)
        fault = ""
        attempts = asking.stage.attempts
        for attempt in range(1, attempts + 1):
            request = asking.render(dialogue=text.line, fault=fault, context=context, turn=turn)
            try:
                return read_back(await asking.once(request, turn, attempt), [text])[0]
            except Failure as failure:
                if failure.failure_class not in UNUSABLE or attempt == attempts:
                    raise
                fault = failure.message
        raise AssertionError("the last try neither returned nor raised")
