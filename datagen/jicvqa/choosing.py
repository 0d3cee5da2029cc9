"""Asking a model for one of a few names, whatever its server knows of constrained answers.

vLLM holds an answer to a list by `structured_outputs`; other servers know a JSON schema, or nothing. What works is
found by trying, once for all requests. An answer counts only if it is one of the names: nothing is matched loosely.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from datagen.engines.openai import ChatClient
from datagen.engines.wire.chat import Completion
from datagen.failures import Failure
from datagen.jicvqa.classes.names import key_of
from datagen.stages.frames import json_documents, without_thinking
from prompts import Sampling

_ANSWER_TOKENS = 32
_THINKING_TOKENS = 4096
_AROUND = " \n\t。.、,「」『』\"'`*"


class Way(IntEnum):
    """How an answer is held to the list."""

    STRUCTURED_OUTPUTS = 0
    JSON_SCHEMA = 1
    PLAIN = 2


class OutsideTheListError(Exception):
    """A model answered with a name that was not offered."""

    def __init__(self, answer: str) -> None:
        super().__init__(answer)
        self.answer = answer


@dataclass
class Chooser:
    """Asks for one of a few names.

    Attributes:
        way: the first that is tried.
        tokens: that an answer may have; more once a model was met that thinks first.
        calls: how many requests were answered; `prompt_tokens` and `completion_tokens` are their tokens.
    """

    way: Way = Way.STRUCTURED_OUTPUTS
    tokens: int = _ANSWER_TOKENS
    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    async def choose(
        self, client: ChatClient, content: str | list[dict[str, Any]], choices: Sequence[str], seed: int
    ) -> str:
        """Ask, by one way after the other until an answer is one of the names.

        Args:
            client: of the model.
            content: what is asked: text, or parts with pictures.
            choices: the only answers allowed.
            seed: of sampling, which is greedy all the same.

        Raises:
            OutsideTheListError: no answer was one of the names.
            Failure: the request could not be answered.
        """
        refused: Failure | None = None
        answer = ""
        for way in Way:
            if way < self.way:
                continue
            try:
                answer = await self._asked(client, content, choices, seed, way)
            except Failure as failure:
                if failure.failure_class != "http_error" or way is Way.PLAIN:
                    raise
                refused = failure  # it may be the way that the server does not take
                continue
            if answer in choices:
                if refused:
                    self.way = max(self.way, way)
                return answer
        raise OutsideTheListError(answer)

    def spent(self) -> str:
        """Return what was asked as a clause.

        >>> Chooser(calls=12, prompt_tokens=3400, completion_tokens=60).spent()
        '12 calls, 3,400 prompt tokens, 60 completion tokens'
        """
        return (
            f"{self.calls:,} calls, {self.prompt_tokens:,} prompt tokens, {self.completion_tokens:,} completion tokens"
        )

    async def _asked(
        self, client: ChatClient, content: str | list[dict[str, Any]], choices: Sequence[str], seed: int, way: Way
    ) -> str:
        completion = await self._completion(client, content, choices, seed, way)
        answer = _read(completion.text, choices, way)
        cut = completion.finish_reason == "length" or not answer
        if answer not in choices and cut and completion.completion_tokens < _THINKING_TOKENS:
            self.tokens = _THINKING_TOKENS  # it thinks first
            answer = _read((await self._completion(client, content, choices, seed, way)).text, choices, way)
        return answer

    async def _completion(
        self, client: ChatClient, content: str | list[dict[str, Any]], choices: Sequence[str], seed: int, way: Way
    ) -> Completion:
        messages: list[Mapping[str, Any]] = [{"role": "user", "content": content}]
        async with client.lease() as conversation:
            completion = await client.complete(
                conversation,
                messages,
                sampling=Sampling(temperature=0.0, top_p=1.0, max_tokens=self.tokens),
                seed=seed,
                choices=choices if way is Way.STRUCTURED_OUTPUTS else None,
                schema=_schema(choices) if way is Way.JSON_SCHEMA else None,
            )
        self.calls += 1
        self.prompt_tokens += completion.prompt_tokens
        self.completion_tokens += completion.completion_tokens
        return completion


def _schema(choices: Sequence[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"answer": {"type": "string", "enum": list(choices)}},
        "required": ["answer"],
        "additionalProperties": False,
    }


def _read(text: str, choices: Sequence[str], way: Way) -> str:
    """Return the name that an answer is, or the answer itself when it is none."""
    answer = without_thinking(text)
    if way is Way.JSON_SCHEMA:
        documents = json_documents(answer) if answer.startswith("{") else None
        found = documents[0].get("answer") if documents and isinstance(documents[0], dict) else answer
        answer = found if isinstance(found, str) else answer
    if answer in choices:
        return answer
    key = key_of(answer.strip(_AROUND))
    same = [choice for choice in choices if key_of(choice) == key]
    return same[0] if len(same) == 1 else answer
