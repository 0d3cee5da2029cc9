"""Count how often the faults come out when the toolkit's prompts are sampled, over the example pictures."""

import asyncio
import json
import random
import re
from collections import Counter
from pathlib import Path
from typing import Any

import server
from conversations import prompt, render
from PIL import Image

PICTURES = Path(__file__).resolve().parents[1] / "pictures"
TURNS = 3


def manner_of(answer: str) -> str:
    """Tell the faults of an answer apart, by the sentences that the model was trained on.

    >>> manner_of("そうですね、梅です。ほかに気になる点はありますか？")
    'appended'
    >>> manner_of("「これは何でしょうか？」というクイズに使えそうな、梅の絵です。")
    'quoted'
    """
    outside = re.sub("「[^」]*」", "", answer)
    if "質問：" in outside or "Q:" in outside:
        return "leaked"
    if "？" in outside:
        return "appended"
    return "quoted" if "？" in answer else "plain"


async def sample_faults(client: server.Client, seed: int = 0) -> tuple[Counter[str], int, int]:
    """Hold the toolkit's conversation about every example picture, with the sampling that the prompts name.

    Returns:
        Answers by manner, conversations with a faulty answer, conversations in all.
    """
    caption_prompt, turn_prompt = prompt("caption"), prompt("question_answer")

    async def converse(index: int, path: Path) -> list[str]:
        picture = {"type": "image_url", "image_url": {"url": server.data_url(Image.open(path).convert("RGB"))}}
        text = {"type": "text", "text": render("caption", 1, "")}
        messages: list[dict[str, Any]] = [{"role": "system", "content": caption_prompt["system"]}]
        messages += [{"role": "user", "content": [picture, text]}]
        reply = await client.ask(
            messages,
            schema=caption_prompt["answer"]["schema"],
            temperature=caption_prompt["sampling"]["temperature"],
            seed=seed + index,
        )
        focuses = list(turn_prompt["focuses"])
        random.Random(seed + index).shuffle(focuses)
        manners = []
        for turn, focus in enumerate(focuses[:TURNS], start=1):
            messages += [{"role": "assistant", "content": reply}]
            messages += [{"role": "user", "content": render("question_answer", turn, focus)}]
            reply = await client.ask(
                messages,
                schema=turn_prompt["answer"]["schema"],
                temperature=turn_prompt["sampling"]["temperature"],
                top_p=turn_prompt["sampling"]["top_p"],
                seed=seed + index,
            )
            try:
                manners.append(manner_of(json.loads(reply)["answer"]))
            except json.JSONDecodeError:
                # The token limit cut the reply off.
                manners.append("unfinished")
        return manners

    paths = sorted(PICTURES.glob("*/*.png"))
    held = await asyncio.gather(*(converse(index, path) for index, path in enumerate(paths)))
    faulty = sum(any(manner in ("appended", "leaked") for manner in manners) for manners in held)
    return Counter(manner for manners in held for manner in manners), faulty, len(held)


def summary(counts: Counter[str], faulty: int, conversations: int) -> str:
    """Write the counts as one line."""
    total = sum(counts.values())
    parts = ", ".join(f"{name} {counts[name] / total:.1%}" for name in ("appended", "leaked", "quoted", "unfinished"))
    return f"sampled: {total} answers: {parts}; {faulty} of {conversations} conversations have a faulty answer"
