"""The conversation about one picture: all stages in order, all turns close together at one replica.

Every engine has its own thread of messages: the picture first, then each request and answer in turn, so that the
prefix of one turn is, byte for byte, the beginning of the next and the server's caches hit. A stage that uses another
engine starts a thread there, and reaches what came before through its template (`caption`, `turns`).
"""

import random
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import xxhash

from datagen.engines.openai import ChatClient, ChatMessage, Conversation
from datagen.engines.wire.chat import Completion
from datagen.failures import Failure
from datagen.pictures.picture import Picture
from datagen.recipe import Recipe, Stage
from datagen.records import Call, Message
from datagen.stages.answers import ONLY_THOUGHT, Turn, read_caption, read_turns
from prompts import Prompt, PromptError, Sampling

_UNUSABLE = ("length", "unfinished", "empty_answer", "unparsable_answer", "refused_caption")
_WHOLE = frozenset({"stop", "", "eos_token", "stop_sequence"})
"""The reasons to finish of a whole answer: of OpenAI, of servers that name none, and of older TGI servers."""


@dataclass
class Dialogue:
    """What has been said about one picture so far.

    Attributes:
        caption: the text of the last caption stage, or empty.
        turns: the question-answer pairs.
        calls: every answer of a model, unusable ones included.
    """

    caption: str = ""
    turns: list[Turn] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)

    @property
    def messages(self) -> list[Message]:
        """The turns as messages of a user and an assistant; the picture belongs to the first."""
        return [
            Message(role=role, content=content)
            for turn in self.turns
            for role, content in (("user", turn.question), ("assistant", turn.answer))
        ]


@dataclass(frozen=True)
class _Step:
    """A stage, ready to be put."""

    number: int
    stage: Stage
    prompt: Prompt
    sampling: Sampling


@dataclass
class _Thread:
    """The messages with one engine."""

    place: Conversation
    messages: list[ChatMessage]


class Interviewer:
    """Holds the conversations of a recipe; one instance serves any number of pictures at once.

    Args:
        recipe: the stages and the seed.
        clients: an open client for every engine, by name.
    """

    def __init__(self, recipe: Recipe, clients: Mapping[str, ChatClient]) -> None:
        self._recipe = recipe
        self._clients = clients
        self._steps = [
            _Step(number, stage, recipe.prompt(stage), recipe.sampling(stage))
            for number, stage in enumerate(recipe.stages)
        ]

    async def converse(self, row_id: str, picture: Picture, dialogue: Dialogue) -> None:
        """Put all stages to their engines; `dialogue` grows as answers come in.

        Raises:
            Failure: an answer stayed unusable, or a server refused; `dialogue` holds what came before.
            EndpointsGoneError: an engine is out of reach.
        """
        threads: dict[str, _Thread] = {}
        async with AsyncExitStack() as places:
            for step in self._steps:
                engine = step.stage.engine
                if engine not in threads:
                    place = await places.enter_async_context(self._clients[engine].conversation())
                    opening = [{"role": "system", "content": step.prompt.system}] if step.prompt.system else []
                    threads[engine] = _Thread(place, list(opening))
                focuses = self._focuses(row_id, step)
                for turn in range(1, step.stage.repeat + 1):
                    focus = focuses[(turn - 1) % len(focuses)] if focuses else ""
                    request = self._request(step.prompt, turn, focus, dialogue)
                    self._say(threads[engine], request, picture if self._recipe.engines[engine].vision else None)
                    await self._ask(threads[engine], step, turn, row_id, request, dialogue)

    def _request(self, prompt: Prompt, turn: int, focus: str, dialogue: Dialogue) -> str:
        turns = [turn._asdict() for turn in dialogue.turns]
        try:
            return prompt.render(turn=turn, focus=focus, caption=dialogue.caption, turns=turns)
        except PromptError as error:
            raise Failure("prompt_error", str(error)) from error

    def _say(self, thread: _Thread, request: str, picture: Picture | None) -> None:
        first = not any(message["role"] == "user" for message in thread.messages)
        if first and picture is not None:
            image = {"type": "image_url", "image_url": {"url": picture.data_url}}
            thread.messages.append({"role": "user", "content": [image, {"type": "text", "text": request}]})
        else:
            thread.messages.append({"role": "user", "content": request})

    async def _ask(
        self, thread: _Thread, step: _Step, turn: int, row_id: str, request: str, dialogue: Dialogue
    ) -> None:
        """Ask until the answer is usable, each time with another seed, `stage.attempts` times at most."""
        stage = step.stage
        client = self._clients[stage.engine]
        for attempt in range(1, stage.attempts + 1):
            seed = self._seed(row_id, step.number, turn, attempt)
            completion = await client.complete(
                thread.place,
                thread.messages,
                sampling=step.sampling,
                seed=seed,
                schema=step.prompt.answer.json_schema,
            )
            dialogue.calls.append(
                Call(
                    stage=step.number,
                    engine=stage.engine,
                    model=client.model,
                    prompt=step.prompt.name,
                    prompt_digest=step.prompt.digest,
                    sampling=step.sampling.model_dump_json(),
                    seed=seed,
                    attempt=attempt,
                    request=request,
                    answer=completion.text,
                    finish_reason=completion.finish_reason,
                    prompt_tokens=completion.prompt_tokens,
                    completion_tokens=completion.completion_tokens,
                )
            )
            try:
                self._take(completion, step, row_id, dialogue)
            except Failure as failure:
                if failure.failure_class not in _UNUSABLE or attempt == stage.attempts:
                    raise
            else:
                thread.messages.append({"role": "assistant", "content": completion.text})
                return

    def _take(self, completion: Completion, step: _Step, row_id: str, dialogue: Dialogue) -> None:
        """Read an answer into the dialogue."""
        if completion.finish_reason == "length":
            raise Failure("length", f"the answer reached max_tokens ({step.sampling.max_tokens})")
        if completion.finish_reason not in _WHOLE:
            raise Failure("unfinished", f"the server ended the answer early ({completion.finish_reason[:60]})")
        if completion.only_thought:
            raise Failure("empty_answer", ONLY_THOUGHT)
        reads_as = step.prompt.answer.reads_as
        if reads_as != "caption":
            dialogue.turns.extend(read_turns(completion.text, reads_as))
            return
        dialogue.caption = read_caption(completion.text)
        if step.stage.as_turn:
            instruction = random.Random(self._seed(row_id, step.number, 0, 0)).choice(step.prompt.instructions)
            dialogue.turns.append(Turn(instruction, dialogue.caption))

    def _focuses(self, row_id: str, step: _Step) -> list[str]:
        """Return the prompt's focuses in the row's own order."""
        return random.Random(self._seed(row_id, step.number, 0, 0)).sample(
            step.prompt.focuses, len(step.prompt.focuses)
        )

    def _seed(self, *parts: Any) -> int:
        """Return 31 bits that depend on the recipe's seed and `parts` alone."""
        text = "/".join(map(str, (self._recipe.seed, *parts)))
        return xxhash.xxh3_64_intdigest(text.encode()) & 0x7FFFFFFF
