"""Conversations about a picture in the form that the toolkit holds them, with the repository's own prompts."""

import json
import random
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import yaml
from concepts import Concept
from sentences import topic_of, write_caption, write_four_choice, write_turn

PROMPTS = Path(__file__).resolve().parents[2] / "prompts"


@dataclass(frozen=True)
class Message:
    """One message. The picture belongs to the first user message of a conversation, before its text."""

    role: str
    text: str


@cache
def prompt(name: str) -> dict[str, Any]:
    """Read a prompt template of the repository."""
    content: dict[str, Any] = yaml.safe_load((PROMPTS / f"{name}.yaml").read_text(encoding="utf-8"))
    return content


@cache
def render(name: str, turn: int, focus: str) -> str:
    """Render the user text of a prompt."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=False, autoescape=False)
    return environment.from_string(prompt(name)["user"]).render(turn=turn, focus=focus).strip()


def reply(**values: str) -> str:
    """Write a reply with the spaces that the model keeps: `{"question": "…", "answer": "…"}`."""
    return json.dumps(values, ensure_ascii=False)


def _shortened(text: str, draws: random.Random) -> str:
    """Drop single instructions of a prompt now and then, so that an edited prompt does not throw the model."""
    if draws.random() < 0.85:
        return text
    lines = text.split("\n")
    return "\n".join(line for line in lines if not line.startswith("- ") or draws.random() < 0.5)


def hold_conversation(
    concept: Concept, concepts: list[Concept], colours: tuple[str, ...], draws: random.Random
) -> list[Message]:
    """Write one training conversation.

    Shares: 50 % caption then question–answer turns, 10 % question–answer turns alone, 12 % four-choice questions, two
    in a row, 18 % four-choice questions answered with a letter, four in a row, 10 % plain questions.
    """
    kind = draws.random()
    messages: list[Message] = []
    if kind < 0.60:
        messages.append(Message("system", prompt("caption")["system"]))
        if kind < 0.50:
            messages.append(Message("user", _shortened(render("caption", 1, ""), draws)))
            messages.append(Message("assistant", reply(caption=write_caption(concept, colours, draws))))
        focuses = list(prompt("question_answer")["focuses"])
        draws.shuffle(focuses)
        for turn, focus in enumerate(focuses[: draws.choice((1, 2, 3, 3, 3, 4))], start=1):
            written = write_turn(concept, colours, topic_of(focus), draws)
            messages.append(Message("user", _shortened(render("question_answer", turn, focus), draws)))
            messages.append(Message("assistant", reply(question=written.question, answer=written.answer)))
        return messages
    if draws.random() < 0.3:
        messages.append(Message("system", prompt("caption")["system"]))
    topics = ["name", "kind", "colour", "use"]
    draws.shuffle(topics)
    if kind < 0.90:
        letters = kind >= 0.72
        for _ in range(4 if letters else 2):
            choice = write_four_choice(concept, concepts, draws, letters=letters)
            messages += [Message("user", choice.question), Message("assistant", choice.answer)]
        topics = topics[:1]
    else:
        topics = topics[:3]
    for topic in topics:
        written = write_turn(concept, colours, topic, draws, faults=False)
        messages += [Message("user", written.question), Message("assistant", written.answer)]
    return messages


def ask_for_letters(concept: Concept, concepts: list[Concept], draws: random.Random, times: int) -> list[Message]:
    """Write a conversation of four-choice questions that are answered with a letter.

    To find the letter before an option is another skill than to name what is seen; a model this small learns it late,
    and within few steps once half of its conversations ask for nothing else.
    """
    messages: list[Message] = []
    if draws.random() < 0.3:
        messages.append(Message("system", prompt("caption")["system"]))
    for _ in range(times):
        choice = write_four_choice(concept, concepts, draws, letters=True)
        messages += [Message("user", choice.question), Message("assistant", choice.answer)]
    return messages
