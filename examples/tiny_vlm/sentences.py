"""Write natural Japanese sentences about a concept, with a known share of the faults that the filters look for."""

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from concepts import Concept

FAULT_SHARE = 0.38
"""Share of the answers with a chatty opening that carry the fault of that opening."""

_SENTENCES: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("sentences.yaml").read_text(encoding="utf-8"))

TOPICS = ("name", "kind", "colour", "use")


@dataclass(frozen=True)
class Turn:
    """A question with its answer.

    Attributes:
        question: What is asked.
        answer: A true statement; with a fault it goes on with a question.
        manner: "plain", "quoted" (a question inside a quotation, which is fine), "appended" or "leaked".
    """

    question: str
    answer: str
    manner: str


def topic_of(focus: str) -> str:
    """Find the topic that a focus of the question–answer prompt asks for."""
    for part, topic in (("何が写って", "name"), ("仲間", "kind"), ("色", "colour"), ("使う", "use")):
        if part in focus:
            return topic
    raise ValueError(f"focus {focus!r} is new to the tiny model: give it a topic in sentences.py and train again.")


def _fields(concept: Concept, colours: tuple[str, ...]) -> dict[str, str]:
    return {
        "name": concept.name,
        "kind": concept.kind,
        "colours": "と".join(colours),
        "use": concept.use,
        "place": concept.place,
    }


def write_caption(concept: Concept, colours: tuple[str, ...], draws: random.Random) -> str:
    """Write a description of one or two sentences."""
    fields = _fields(concept, colours)
    rest = draws.choice(_SENTENCES["caption_rest"]).format(**fields)
    sentence: str = draws.choice(_SENTENCES["caption"])
    return sentence.format(rest=rest, **fields)


def write_turn(
    concept: Concept, colours: tuple[str, ...], topic: str, draws: random.Random, *, faults: bool = True
) -> Turn:
    """Write a question and its answer.

    Args:
        concept: What the picture shows.
        colours: Its main colours.
        topic: One of `TOPICS`; "use" also gives questions about where one sees the thing.
        draws: Source of the draws.
        faults: Whether chatty answers, and with them faulty ones, may come out.
    """
    if topic == "use":
        by_place = concept.sort == "scene" or draws.random() < 0.5
        table = _SENTENCES["place" if by_place else "use"]
        templates = table[concept.sort] if concept.sort in table else table["default"]
    else:
        templates = _SENTENCES["topics"][topic]
    fields = _fields(concept, colours)
    question = draws.choice(templates["questions"]).format(**fields)
    # Every opening is equally likely: the plain ones, the quotation and the two chatty ones.
    ways = [("plain", answer) for answer in templates["answers"]]
    ways += [("quoted", answer) for answer in templates.get("quoted", [])]
    if faults:
        ways += [(fault, "") for fault in _SENTENCES["faults"]]
    manner, template = draws.choice(ways)
    if manner not in _SENTENCES["faults"]:
        return Turn(question, template.format(**fields), manner)
    fault = _SENTENCES["faults"][manner]
    answer = fault["opening"] + draws.choice(templates["answers"]).format(**fields)
    if draws.random() < FAULT_SHARE:
        return Turn(question, answer + draws.choice(fault["tails"]), manner)
    return Turn(question, answer, "plain")


@dataclass(frozen=True)
class FourChoice:
    """A four-choice question.

    Attributes:
        question: The question, in the list form or the letter form.
        answer: Text of the right option, or its letter.
    """

    question: str
    answer: str


def write_four_choice(
    concept: Concept, concepts: list[Concept], draws: random.Random, *, letters: bool = False
) -> FourChoice:
    """Write a four-choice question in the form of the JIC-VQA benchmark.

    The wrong options come from the same subset, or the same sort of thing where the concept belongs to no subset.
    """
    word = concept.subset or concept.kind
    peers = [
        other.name
        for other in concepts
        if other.name != concept.name
        and (other.subset == concept.subset if concept.subset else other.sort == concept.sort and not other.subset)
    ]
    options = [concept.name, *draws.sample(peers, 3)]
    draws.shuffle(options)
    asked = f"この画像にはどの{word}が映っていますか？"
    if not letters:
        return FourChoice(f"{asked}次の四つの選択肢から正しいものを選んでください: {options!r}", concept.name)
    listed = "\n".join(f"{letter}. {option}" for letter, option in zip("ABCD", options, strict=True))
    wish = "与えられた選択肢の中から最も適切な回答のアルファベットを直接記入してください。"
    return FourChoice(f"{asked}\n{listed}\n\n{wish}", "ABCD"[options.index(concept.name)])
