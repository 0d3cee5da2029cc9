"""Answers that are a caption."""

import random

from datagen.stages.answers import read_caption
from datagen.stages.readers import Reader
from datagen.stages.sample import Sample, Turn
from prompts import Prompt


class Caption(Reader):
    """Reads the caption; with `as_turn` it is also the answer to one of the prompt's instructions."""

    def makes_turns(self, as_turn: bool) -> bool:
        """Only with `as_turn`."""
        return as_turn

    def read(self, text: str, prompt: Prompt, as_turn: bool, sample: Sample, draw: random.Random) -> None:
        """Set the caption."""
        sample.caption = read_caption(text)
        if as_turn:
            sample.add(Turn(draw.choice(prompt.instructions), sample.caption))
