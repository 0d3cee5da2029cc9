"""What a run cost: tokens by state, prompt and model, answers asked for again, and the time it took."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel, ValidationError

from datagen.inspection.stored_rows import StoredRows

SESSIONS = "run.log.jsonl"
"""In a run's directory: one line for each time that `datagen run` made something there."""


class Session(BaseModel):
    """One start of `datagen run`: how long it made rows and cut shards, and what it made."""

    making_seconds: float = 0.0
    cutting_seconds: float = 0.0
    images: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    retries: int = 0


@dataclass(frozen=True)
class Spent:
    """Answers and tokens of the rows with one property."""

    name: str
    answers: int
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True)
class Costs:
    """What a run cost.

    Attributes:
        states: by the state that the rows ended in: what the dropped and the failed rows cost stands here.
        prompts: by prompt and its digest; `models` by model.
        asked_again: answers that were asked for again because the one before was of no use.
        cut_off: answers that reached their limit of tokens.
        sessions: how long it took, if the run wrote that down.
    """

    states: tuple[Spent, ...]
    prompts: tuple[Spent, ...]
    models: tuple[Spent, ...]
    asked_again: int
    cut_off: int
    sessions: tuple[Session, ...]

    @property
    def answers(self) -> int:
        """How many answers there are."""
        return sum(spent.answers for spent in self.states)

    @property
    def prompt_tokens(self) -> int:
        """Tokens sent, in all."""
        return sum(spent.prompt_tokens for spent in self.states)

    @property
    def completion_tokens(self) -> int:
        """Tokens made, in all."""
        return sum(spent.completion_tokens for spent in self.states)

    @property
    def making_seconds(self) -> float:
        """Seconds in which rows were made, over all sessions."""
        return sum(session.making_seconds for session in self.sessions)

    @property
    def completed(self) -> int:
        """Tokens that the model wrote in those sessions."""
        return sum(session.completion_tokens for session in self.sessions)

    @property
    def made(self) -> int:
        """Images that those sessions made."""
        return sum(session.images for session in self.sessions)


_SPENT = """
SELECT {name} AS name, count(*), CAST(sum(call.prompt_tokens) AS BIGINT), CAST(sum(call.completion_tokens) AS BIGINT)
FROM (SELECT state, unnest(calls) AS call FROM rows) GROUP BY name ORDER BY count(*) DESC, name
"""
_TROUBLE = """
SELECT count(*) FILTER (WHERE call.again), count(*) FILTER (WHERE call.cut_off)
FROM (SELECT unnest(calls) AS call FROM rows)
"""


def costs(stored: StoredRows) -> Costs:
    """Return what the run cost."""
    ((asked_again, cut_off),) = stored.ask(_TROUBLE)
    return Costs(
        states=_spent(stored, "state"),
        prompts=_spent(stored, "call.prompt || ' ' || call.digest"),
        models=_spent(stored, "call.model"),
        asked_again=asked_again,
        cut_off=cut_off,
        sessions=read_sessions(stored.run),
    )


def read_sessions(run: Path) -> tuple[Session, ...]:
    """Return the sessions that a run wrote down; lines that are cut short do not count."""
    path = run / SESSIONS
    if not path.exists():
        return ()
    sessions: list[Session] = []
    for line in path.read_bytes().splitlines():
        try:
            document: Any = orjson.loads(line)
            sessions.append(Session.model_validate(document))
        except (orjson.JSONDecodeError, ValidationError):
            continue
    return tuple(sessions)


def _spent(stored: StoredRows, name: str) -> tuple[Spent, ...]:
    return tuple(Spent(*found) for found in stored.ask(_SPENT.format(name=name)))
