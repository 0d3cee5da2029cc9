"""Measure the tiny model through a vLLM server: names, answers, JSON and four-choice questions, by split.

    python examples/tiny_vlm/evaluate.py --cache /tmp/tiny_vlm

starts a server of its own; `--url` asks one that runs already.
"""

import argparse
import asyncio
import json
import random
import time
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import artwork
import sampling
import server
from colours import main_colours
from concepts import Concept, held_out_artwork, load_concepts
from conversations import prompt, render
from PIL import Image
from rendering import HELD_OUT, alter, compose
from sentences import write_four_choice

SIDE = 224
QUESTIONS = {
    "name": "この画像には何が写っていますか？",
    "kind": "これは何の仲間ですか？",
    "colour": "主な色は何色ですか？",
    "place": "これはどこで見かけますか？",
}


@dataclass(frozen=True)
class Shot:
    """A picture to ask about: what it shows, its measured colours, which split it belongs to."""

    split: str
    concept: Concept
    colours: tuple[str, ...]
    picture: Image.Image


@dataclass
class Score:
    """Counts of right answers by measure."""

    right: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    asked: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, measure: str, right: bool) -> None:
        """Count one answer."""
        self.asked[measure] += 1
        self.right[measure] += right

    def share(self, measure: str) -> float:
        """Share of right answers, NaN where nothing was asked."""
        return self.right[measure] / self.asked[measure] if self.asked[measure] else float("nan")


@cache
def _names() -> tuple[str, ...]:
    return tuple(sorted({concept.name for concept in load_concepts()}, key=len, reverse=True))


def names_in(text: str) -> set[str]:
    """Find the concept names in a text; a name inside a longer one does not count.

    >>> sorted(names_in("しおれたバラの絵が写っています。"))
    ['しおれたバラ']
    """
    found = set()
    for name in _names():
        if name in text:
            found.add(name)
            text = text.replace(name, "／")
    return found


def shots(cache_folder: Path, limit: int, seed: int) -> list[Shot]:
    """Make the pictures of all splits, at most `limit` drawings a split.

    Splits: `seen` (artwork of the training set on a plain background), one for each alteration of `HELD_OUT` (the same
    artwork, altered as training never did), and `artwork` (the drawings that training never saw).
    """
    draws = random.Random(seed)
    concepts = load_concepts()
    pictures = artwork.prepare(cache_folder, concepts, 192)
    held_out = held_out_artwork(concepts)
    seen: list[tuple[Concept, artwork.Picture]] = []
    unseen: list[tuple[Concept, artwork.Picture]] = []
    for concept in concepts:
        for emoji in concept.emoji:
            for artwork_set in artwork.SETS:
                if artwork_set.shown:
                    group = unseen if held_out.get(concept.name) == artwork_set.name else seen
                    group.append((concept, pictures[emoji, artwork_set.name]))
    result = []
    drawings = draws.sample(seen, min(limit, len(seen)))
    for concept, drawing in drawings:
        colours = main_colours(drawing[::3, ::3])
        background = draws.choice(((255, 255, 255), (255, 255, 255), (236, 240, 245), (250, 240, 220)))
        result.append(Shot("seen", concept, colours, compose(drawing, SIDE, background=background)))
        result += [Shot(kind, concept, colours, alter(drawing, SIDE, kind, draws)) for kind in HELD_OUT]
    for concept, drawing in draws.sample(unseen, min(limit, len(unseen))):
        result.append(Shot("artwork", concept, main_colours(drawing[::3, ::3]), compose(drawing, SIDE)))
    return result


def _opening(shot: Shot, text: str, system: str | None) -> list[dict[str, Any]]:
    picture = {"type": "image_url", "image_url": {"url": server.data_url(shot.picture)}}
    user = {"role": "user", "content": [picture, {"type": "text", "text": text}]}
    return [{"role": "system", "content": system}, user] if system else [user]


def _parsed(text: str, keys: set[str]) -> dict[str, str] | None:
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        return None
    return value if isinstance(value, dict) and set(value) == keys else None


async def ask_toolkit_prompts(client: server.Client, shot: Shot, score: Score, *, free: bool) -> None:
    """Hold the toolkit's conversation: a caption, then three question–answer turns, greedily.

    Args:
        client: The server's client.
        shot: The picture.
        score: Where the results are counted.
        free: Ask without structured output, to see what JSON the model writes by itself.
    """
    caption_prompt, turn_prompt = prompt("caption"), prompt("question_answer")
    messages = _opening(shot, render("caption", 1, ""), caption_prompt["system"])
    schema = None if free else caption_prompt["answer"]["schema"]
    kind = "free JSON" if free else "JSON"
    text = await client.ask(messages, schema=schema)
    value = _parsed(text, {"caption"})
    score.add(kind, value is not None)
    if not free:
        score.add("caption name", shot.concept.name in names_in(value["caption"] if value else ""))
    focuses = list(turn_prompt["focuses"])
    random.Random(shot.concept.name).shuffle(focuses)
    for turn, focus in enumerate(focuses[:3], start=1):
        messages += [{"role": "assistant", "content": text}]
        messages += [{"role": "user", "content": render("question_answer", turn, focus)}]
        text = await client.ask(messages, schema=None if free else turn_prompt["answer"]["schema"])
        score.add(kind, _parsed(text, {"question", "answer"}) is not None)


async def ask_plain_questions(client: server.Client, shot: Shot, score: Score) -> None:
    """Ask for name, kind, colour and place in plain sentences."""
    for topic, question in QUESTIONS.items():
        answer = await client.ask(_opening(shot, question, None))
        if topic == "name":
            right = shot.concept.name in names_in(answer)
        elif topic == "colour":
            right = any(colour in answer for colour in shot.colours)
        else:
            right = (shot.concept.kind if topic == "kind" else shot.concept.place) in answer
        score.add(f"VQA {topic}", right)
        score.add("VQA", right)


async def ask_four_choice(client: server.Client, shot: Shot, score: Score, draws: random.Random) -> None:
    """Ask the four-choice question in both forms, for the concepts of its four subsets."""
    if shot.concept.subset is None:
        return
    for measure, letters in (("four-choice", False), ("four-choice letter", True)):
        choice = write_four_choice(shot.concept, load_concepts(), draws, letters=letters)
        answer = await client.ask(_opening(shot, choice.question, None))
        score.add(measure, answer.strip() == choice.answer)


async def measure(url: str, model: str, pictures: list[Shot]) -> tuple[dict[str, Score], float]:
    """Ask everything about all pictures.

    Returns:
        Scores by split, and answers a second with 32 in flight.
    """
    scores: dict[str, Score] = defaultdict(Score)
    async with server.Client(url, model) as client:
        started = time.monotonic()

        async def ask(index: int, shot: Shot) -> None:
            score = scores[shot.split]
            await ask_toolkit_prompts(client, shot, score, free=False)
            if shot.split in ("seen", "artwork"):
                await ask_toolkit_prompts(client, shot, score, free=True)
            await ask_plain_questions(client, shot, score)
            await ask_four_choice(client, shot, score, random.Random(index))

        gate = asyncio.Semaphore(64)

        async def wait_and_ask(index: int, shot: Shot) -> None:
            async with gate:
                await ask(index, shot)

        await asyncio.gather(*(wait_and_ask(index, shot) for index, shot in enumerate(pictures)))
        return scores, client.requests / (time.monotonic() - started)


MEASURES = (
    "caption name",
    "VQA",
    "VQA name",
    "VQA kind",
    "VQA colour",
    "VQA place",
    "JSON",
    "free JSON",
    "four-choice",
    "four-choice letter",
)


def table(scores: dict[str, Score]) -> str:
    """Write the scores as a Markdown table, a row a split; `held-out mean` is over the alterations."""
    mean = Score()
    for split in HELD_OUT:
        for name in MEASURES:
            mean.right[name] += scores[split].right[name]
            mean.asked[name] += scores[split].asked[name]
    rows = {"seen": scores["seen"], **{split: scores[split] for split in HELD_OUT}}
    rows |= {"held-out mean": mean, "held-out artwork": scores["artwork"]}
    lines = ["| split | pictures | " + " | ".join(MEASURES) + " |", "| --- |" + " ---: |" * (len(MEASURES) + 1)]
    for split, score in rows.items():
        cells = [f"{score.share(name):.3f}" if score.asked[name] else "–" for name in MEASURES]
        lines.append(f"| {split} | {score.asked['caption name']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, required=True, help="folder with the artwork, filled where it is empty")
    parser.add_argument("--model", type=Path, default=server.MODEL)
    parser.add_argument("--url", help="base URL of a running server; without it one is started")
    parser.add_argument("--served-name", default=server.NAME)
    parser.add_argument("--limit", type=int, default=300, help="drawings a split")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    pictures = shots(arguments.cache, arguments.limit, arguments.seed)

    async def sample(url: str, model: str) -> str:
        async with server.Client(url, model) as client:
            return sampling.summary(*await sampling.sample_faults(client))

    if arguments.url:
        scores, rate = asyncio.run(measure(arguments.url, arguments.served_name, pictures))
        print(table(scores), flush=True)
        sampled = asyncio.run(sample(arguments.url, arguments.served_name))
    else:
        started = time.monotonic()
        with server.running(arguments.model) as url:
            ready = time.monotonic() - started
            asyncio.run(measure(url, server.NAME, [shot for shot in pictures if shot.concept.subset is None][:1]))
            print(f"server ready after {ready:.1f} s; first conversation done after {time.monotonic() - started:.1f} s")
            scores, rate = asyncio.run(measure(url, server.NAME, pictures))
            print(table(scores), flush=True)
            sampled = asyncio.run(sample(url, server.NAME))
    print(f"{rate:.1f} answers/s, 32 in flight, client on the same cores\n\n{sampled}")


if __name__ == "__main__":
    main()
