"""Answers of a judge: a number with a reason, for the row as a whole or for each of its answers."""

import math
import random
from typing import Any

from datagen.failures import Failure
from datagen.records import ScoreRecord
from datagen.stages.answers import documents_in
from datagen.stages.readers import Reader
from datagen.stages.sample import Sample
from prompts import Prompt


class JudgeScore(Reader):
    """Reads `{"score": 0.8, "reason": "…"}`, or `{"scores": [{"turn": 1, "score": 0.8, "reason": "…"}, …]}`.

    The scores are named after the prompt. Turns count from 1, and a score of one speaks of its answer. A judge has a
    chat of its own, and decides nothing: the policy does.
    """

    own_history = True
    makes_scores = True

    def makes_turns(self, as_turn: bool) -> bool:
        """None."""
        return False

    def read(self, text: str, prompt: Prompt, as_turn: bool, sample: Sample, draw: random.Random) -> None:
        """Append the scores."""
        documents = documents_in(text)
        if len(documents) != 1 or not isinstance(documents[0], dict):
            raise _unreadable(text)
        listed = documents[0].get("scores", documents[0])
        try:
            if isinstance(listed, list):
                answers = [number for number, message in enumerate(sample.messages) if message.role == "assistant"]
                found = [_score(prompt.name, entry, answers[_turn(entry) - 1]) for entry in listed]
            else:
                found = [_score(prompt.name, listed, None)]
        except (LookupError, TypeError, ValueError) as error:
            raise _unreadable(text) from error
        sample.scores.extend(found)


def _turn(entry: Any) -> int:
    number = entry["turn"]
    if not isinstance(number, int) or number < 1:
        raise ValueError("turns count from 1")
    return number


def _score(name: str, entry: Any, message: int | None) -> ScoreRecord:
    value = float(entry["score"])
    if not math.isfinite(value):
        raise ValueError("no number")
    return ScoreRecord(name=name, value=value, reason=str(entry.get("reason") or ""), message=message)


def _unreadable(text: str) -> Failure:
    return Failure("unparsable_answer", f"no score with a number that can be read: {text[:200]!r}")
