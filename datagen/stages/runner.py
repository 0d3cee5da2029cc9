"""The conversation about one sample: all stages in order, all turns close together at one replica.

Every engine has its own chat history: the pictures first, then each request and answer in turn, so that the prefix of
one turn is, byte for byte, the beginning of the next and the server's caches hit. A stage that uses another engine, and
a judge, start a history of their own, and reach what came before through their template (`caption`, `turns`).
"""

import asyncio
import math
import random
import re
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import xxhash

from datagen.engines import ChatMessage, Completion, Engine
from datagen.engines.wire.request import image_part
from datagen.failures import Failure
from datagen.pictures.picture import Picture, prepare
from datagen.recipe import Recipe
from datagen.records import ASKED_AGAIN, CAPTION, SHRUNK, Call, ScoreRecord
from datagen.stages.answers import ONLY_THOUGHT
from datagen.stages.frames import without_thinking
from datagen.stages.sample import Mark, Sample
from datagen.stages.step import Step, steps
from filters import Policy
from prompts import Prompt, PromptError

_UNUSABLE = ("length", "unfinished", "empty_answer", "unparsable_answer", "refused_caption")
_WHOLE = frozenset({"stop", "", "eos_token", "stop_sequence"})
"""The reasons to finish of a whole answer: of OpenAI, of servers that name none, and of older TGI servers."""
_SHRUNK_TO = 0.25
_REASON = 300
# As vLLM, SGLang, llama.cpp and OpenAI say that a prompt is too long; none says how much of it is pictures.
_NO_ROOM = re.compile(
    r"maximum (?:context|model) length|max_model_len|context (?:length|window|size)|context_length_exceeded|too long",
    re.IGNORECASE,
)


@dataclass
class ChatHistory:
    """The messages with one engine, and its lease on the replica that has them in its cache."""

    lease: Any
    messages: list[ChatMessage] = field(default_factory=list)
    preface: str = ""

    @classmethod
    def opened(cls, lease: Any, system: str, sent: Literal["message", "merge"]) -> Self:
        """Return a history that begins with the system text, or puts it before the first request."""
        if not system or sent == "merge":
            return cls(lease, preface=f"{system}\n\n" if system else "")
        return cls(lease, [{"role": "system", "content": system}])

    def say(self, request: str, pictures: Sequence[Picture]) -> None:
        """Append what is asked; the pictures stand in the user's first message."""
        request, self.preface = self.preface + request, ""
        if pictures and not any(message["role"] == "user" for message in self.messages):
            images = [image_part(picture.data_url, picture.sha256) for picture in pictures]
            self.messages.append({"role": "user", "content": [*images, {"type": "text", "text": request}]})
        else:
            self.messages.append({"role": "user", "content": request})

    def show(self, pictures: Sequence[Picture]) -> bool:
        """Put other pictures in the place of those that are shown, and return whether any are."""
        for number, message in enumerate(self.messages):
            if not isinstance(message["content"], str):
                images = [image_part(picture.data_url, picture.sha256) for picture in pictures]
                self.messages[number] = {**message, "content": [*images, message["content"][-1]]}
                return True
        return False


class StageRunner:
    """Puts the stages of a recipe to its engines; one instance serves any number of samples at once.

    Args:
        recipe: the stages and the seed.
        engines: an open engine for each name that the stages have.
        stages: the numbers of those that are put; all if not given.
        policy: by which a stage with `on_drop: retry` takes an answer for unusable; none if not given.
    """

    def __init__(
        self,
        recipe: Recipe,
        engines: Mapping[str, Engine],
        stages: range | None = None,
        policy: Policy | None = None,
    ) -> None:
        self._recipe = recipe
        self._engines = engines
        self._policy = policy
        self._steps = [step for step in steps(recipe) if stages is None or step.number in stages]

    async def run(self, sample: Sample) -> None:
        """Put all stages; the sample grows as answers come in.

        Raises:
            Failure: an answer stayed unusable, or a server refused; the sample holds what came before.
            EndpointsGoneError: an engine is out of reach.
        """
        histories: dict[tuple[str, int], ChatHistory] = {}
        async with AsyncExitStack() as leases:
            for step in self._steps:
                engine = step.stage.engine
                key = (engine, step.number if step.reader.own_history else -1)
                if key not in histories:
                    lease = await leases.enter_async_context(self._engines[engine].lease())
                    sent = self._recipe.engines[engine].system
                    histories[key] = ChatHistory.opened(lease, step.prompt.system, sent)
                pictures = sample.pictures if self._recipe.engines[engine].vision else ()
                focuses = self._focuses(sample.id, step)
                for turn in range(1, step.stage.repeat + 1):
                    focus = focuses[(turn - 1) % len(focuses)] if focuses else ""
                    request = self._request(step.prompt, turn, focus, sample)
                    histories[key].say(request, pictures)
                    await self._ask(histories[key], step, turn, request, sample)

    def _request(self, prompt: Prompt, turn: int, focus: str, sample: Sample) -> str:
        turns = [turn._asdict() for turn in sample.turns]
        try:
            return prompt.render(turn=turn, focus=focus, caption=sample.caption, turns=turns)
        except PromptError as error:
            raise Failure("prompt_error", str(error)) from error

    async def _ask(self, history: ChatHistory, step: Step, turn: int, request: str, sample: Sample) -> None:
        """Ask until the answer is usable, each time with another seed, `stage.attempts` times at most."""
        stage = step.stage
        engine = self._engines[stage.engine]
        before = sample.mark()
        objections: list[str] = []
        held: Completion | None = None
        for attempt in range(1, stage.attempts + 1):
            sample.go_back(before)
            seed = self._seed(sample.id, step.number, turn, attempt)
            completion = await self._complete(engine, history, step, seed, sample)
            sample.calls.append(
                Call(
                    stage=step.number,
                    engine=stage.engine,
                    model=engine.model,
                    prompt=step.prompt.name,
                    prompt_digest=step.prompt.digest,
                    sampling=step.sampling_json,
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
                self._read(completion, step, sample)
            except Failure as failure:
                last = attempt == stage.attempts
                if failure.failure_class not in _UNUSABLE or (last and held is None):
                    raise
                if not last or held is None:
                    continue
                self._read(held, step, sample)
                completion = held
            if attempt < stage.attempts and (objection := self._objection(step, sample, before)):
                objections.append(objection)
                held = completion
                continue
            history.messages.append({"role": "assistant", "content": _repeated(completion.text)})
            break
        if objections:
            sample.scores.append(
                ScoreRecord(
                    name=ASKED_AGAIN,
                    value=len(objections),
                    reason=objections[0],
                    message=len(sample.messages) - 1 if len(sample.messages) > before.messages else CAPTION,
                )
            )

    def _objection(self, step: Step, sample: Sample, before: Mark) -> str:
        """Return what the policy would drop the row for in what was added since a mark; empty if nothing."""
        if self._policy is None or step.stage.on_drop == "keep":
            return ""
        verdict = self._policy.judge([sample.judged()])[0]
        new = {*range(before.messages, len(sample.messages)), *([CAPTION] if sample.caption != before.caption else [])}
        return next(
            (
                f"{finding.rule}: {finding.text or finding.evidence}"[:_REASON]
                for finding in verdict.findings
                if finding.rule in verdict.dropped_by and finding.message in new
            ),
            "",
        )

    async def _complete(
        self, engine: Engine, history: ChatHistory, step: Step, seed: int, sample: Sample
    ) -> Completion:
        """Ask once, and once more with smaller pictures when the model has no room for those that there are."""

        def asked() -> Awaitable[Completion]:
            return engine.complete(
                history.lease,
                history.messages,
                sampling=step.sampling,
                seed=seed,
                schema=step.prompt.answer.json_schema,
            )

        try:
            return await asked()
        except Failure as failure:
            shrunk = any(score.name == SHRUNK for score in sample.scores)
            if shrunk or failure.failure_class != "http_error" or not _NO_ROOM.search(failure.message):
                raise
            smaller = await asyncio.to_thread(self._smaller, sample.pictures)
            if smaller == sample.pictures or not history.show(smaller):
                raise
            sample.pictures = smaller
            sample.scores.append(ScoreRecord(name=SHRUNK, value=_SHRUNK_TO, reason=failure.message[:_REASON]))
        return await asked()

    def _smaller(self, pictures: Sequence[Picture]) -> tuple[Picture, ...]:
        """Return the pictures with a quarter of their pixels, as far as `images.min_side` allows."""
        limits = self._recipe.images
        return tuple(
            prepare(
                picture.data,
                limits.model_copy(update={"send_pixels": int(picture.width * picture.height * _SHRUNK_TO)}),
            )
            if min(picture.width, picture.height) * math.sqrt(_SHRUNK_TO) >= limits.min_side
            else picture
            for picture in pictures
        )

    def _read(self, completion: Completion, step: Step, sample: Sample) -> None:
        """Read an answer into the sample."""
        if completion.finish_reason == "length":
            raise Failure("length", f"the answer reached max_tokens ({step.sampling.max_tokens})")
        if completion.finish_reason not in _WHOLE:
            raise Failure("unfinished", f"the server ended the answer early ({completion.finish_reason[:60]})")
        if completion.only_thought:
            raise Failure("empty_answer", ONLY_THOUGHT)
        draw = random.Random(self._seed(sample.id, step.number, 0, 0))
        step.reader.read(completion.text, step.prompt, step.stage.as_turn, sample, draw)

    def _focuses(self, row_id: str, step: Step) -> list[str]:
        """Return the prompt's focuses in the row's own order."""
        return random.Random(self._seed(row_id, step.number, 0, 0)).sample(
            step.prompt.focuses, len(step.prompt.focuses)
        )

    def _seed(self, *parts: Any) -> int:
        """Return 31 bits that depend on the recipe's seed and `parts` alone."""
        text = "/".join(map(str, (self._recipe.seed, *parts)))
        return xxhash.xxh3_64_intdigest(text.encode()) & 0x7FFFFFFF


def _repeated(answer: str) -> str:
    """Return an answer as the next request repeats it: byte for byte, but without thinking, as templates want it."""
    said = without_thinking(answer)
    return answer if said == answer.strip() else said
