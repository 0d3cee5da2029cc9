"""Asking one engine for what one stage wants of one sample: the calls, their seeds, and second tries."""

import asyncio
import math
import random
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import xxhash

from datagen.engines import Completion, Engine
from datagen.failures import Failure
from datagen.pictures.picture import Picture, prepare
from datagen.recipe import Recipe, Stage
from datagen.records import ASKED_AGAIN, CAPTION, SHRUNK, Call, ScoreRecord
from datagen.stages.answers import ONLY_THOUGHT
from datagen.stages.chat_history import ChatHistory
from datagen.stages.frames import without_thinking
from datagen.stages.sample import Mark, Sample
from filters import Policy
from prompts import Prompt, PromptError, Sampling

UNUSABLE = ("length", "unfinished", "empty_answer", "unparsable_answer", "refused_caption", "lost_structure")
"""Failures after which another seed may answer better."""
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
class Asking:
    """What a reader puts its stage with, for one sample.

    Attributes:
        recipe: with the limits on pictures, and the seed.
        number: of the stage in the recipe, from 0; `stage` is that stage.
        prompt: what it asks; `sampling` how the answers are drawn.
        engine: that answers.
        history: the chat so far.
        sample: that grows.
        policy: by which `on_drop: retry` takes an answer for unusable, if there is one.
    """

    recipe: Recipe
    number: int
    stage: Stage
    prompt: Prompt
    sampling: Sampling
    engine: Engine
    history: ChatHistory
    sample: Sample
    policy: Policy | None = None

    def render(self, **variables: object) -> str:
        """Return the prompt's request about the sample as it stands, with further variables.

        Raises:
            Failure: `prompt_error`.
        """
        turns = [turn._asdict() for turn in self.sample.turns]
        try:
            return self.prompt.render(caption=self.sample.caption, turns=turns, **variables)
        except PromptError as error:
            raise Failure("prompt_error", str(error)) from error

    def focus(self, turn: int) -> str:
        """Return what the `turn`th question is about, from the prompt's focuses in the row's own order."""
        focuses = self.prompt.focuses
        return self.draw().sample(focuses, len(focuses))[(turn - 1) % len(focuses)] if focuses else ""

    def draw(self) -> random.Random:
        """Return random numbers that depend on the recipe's seed, the row and the stage alone."""
        return random.Random(self._seed(0, 0))

    async def once(self, request: str, turn: int, attempt: int) -> str:
        """Ask in a chat of its own, which nothing of before has to do with but the system text, and return the answer.

        Raises:
            Failure: there is no whole answer.
        """
        history = self.history.fresh()
        history.say(request, self._pictures)
        return self._whole(await self._call(history, request, turn, attempt))

    async def until_read(self, request: str, turn: int, read: Callable[[str], None]) -> None:
        """Go on with the chat: ask until the answer is usable, with another seed each time, `attempts` times at most.

        Args:
            request: what is asked.
            turn: which one it is of the stage's, for the seed.
            read: takes an answer into the sample, and raises `Failure` where it is not usable.

        Raises:
            Failure: none was; the sample is as it was before, but for the calls.
        """
        self.history.say(request, self._pictures)
        attempts = self.stage.attempts
        before = self.sample.mark()
        objections: list[str] = []
        held: Completion | None = None
        for attempt in range(1, attempts + 1):
            last = attempt == attempts
            completion = await self._call(self.history, request, turn, attempt)
            try:
                read(self._whole(completion))
            except Failure as failure:
                if failure.failure_class not in UNUSABLE or (last and held is None):
                    raise
                if not last or held is None:
                    continue
                completion = held
                read(completion.text)
            if last or not (objection := self._objection(before)):
                break
            objections.append(objection)
            held = completion
            self.sample.go_back(before)
        self.history.messages.append({"role": "assistant", "content": _repeated(completion.text)})
        if objections:
            spoken = len(self.sample.messages) > before.messages
            message = len(self.sample.messages) - 1 if spoken else CAPTION
            again = ScoreRecord(name=ASKED_AGAIN, value=len(objections), reason=objections[0], message=message)
            self.sample.scores.append(again)

    def _objection(self, before: Mark) -> str:
        """Return what the policy would drop the row for in what was added since a mark; empty if nothing."""
        if self.policy is None or self.stage.on_drop == "keep":
            return ""
        sample = self.sample
        verdict = self.policy.judge([sample.judged()])[0]
        new = {*range(before.messages, len(sample.messages)), *([CAPTION] if sample.caption != before.caption else [])}
        return next(
            (
                f"{finding.rule}: {finding.text or finding.evidence}"[:_REASON]
                for finding in verdict.findings
                if finding.rule in verdict.dropped_by and finding.message in new
            ),
            "",
        )

    @property
    def _pictures(self) -> tuple[Picture, ...]:
        return self.sample.pictures if self.recipe.engines[self.stage.engine].vision else ()

    async def _call(self, history: ChatHistory, request: str, turn: int, attempt: int) -> Completion:
        """Ask what the chat ends with, and record the call."""
        seed = self._seed(turn, attempt)
        completion = await self._complete(history, seed)
        self.sample.calls.append(
            Call(
                stage=self.number,
                engine=self.stage.engine,
                model=self.engine.model,
                prompt=self.prompt.name,
                prompt_digest=self.prompt.digest,
                sampling=self.sampling.model_dump_json(),
                seed=seed,
                attempt=attempt,
                request=request,
                answer=completion.text,
                finish_reason=completion.finish_reason,
                prompt_tokens=completion.prompt_tokens,
                completion_tokens=completion.completion_tokens,
            )
        )
        return completion

    async def _complete(self, history: ChatHistory, seed: int) -> Completion:
        """Ask once, and once more with smaller pictures when the model has no room for those that there are."""

        def asked() -> Awaitable[Completion]:
            return self.engine.complete(
                history.lease,
                history.messages,
                sampling=self.sampling,
                seed=seed,
                schema=self.prompt.answer.json_schema,
            )

        sample = self.sample
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
        limits = self.recipe.images
        return tuple(
            prepare(
                picture.data,
                limits.model_copy(update={"send_pixels": int(picture.width * picture.height * _SHRUNK_TO)}),
            )
            if min(picture.width, picture.height) * math.sqrt(_SHRUNK_TO) >= limits.min_side
            else picture
            for picture in pictures
        )

    def _whole(self, completion: Completion) -> str:
        """Return the text of an answer that is whole."""
        if completion.finish_reason == "length":
            raise Failure("length", f"the answer reached max_tokens ({self.sampling.max_tokens})")
        if completion.finish_reason not in _WHOLE:
            raise Failure("unfinished", f"the server ended the answer early ({completion.finish_reason[:60]})")
        if completion.only_thought:
            raise Failure("empty_answer", ONLY_THOUGHT)
        return completion.text

    def _seed(self, *parts: Any) -> int:
        """Return 31 bits that depend on the recipe's seed, the row, the stage and `parts` alone."""
        text = "/".join(map(str, (self.recipe.seed, self.sample.id, self.number, *parts)))
        return xxhash.xxh3_64_intdigest(text.encode()) & 0x7FFFFFFF


def _repeated(answer: str) -> str:
    """Return an answer as the next request repeats it: byte for byte, but without thinking, as templates want it."""
    said = without_thinking(answer)
    return answer if said == answer.strip() else said
