"""Answers that are a whole dialogue."""

import random

from datagen.stages.answers import read_turns
from datagen.stages.readers import Reader
from datagen.stages.sample import Sample
from prompts import Prompt


class Dialogue(Reader):
    """Reads all turns of a dialogue."""

    def read(self, text: str, prompt: Prompt, as_turn: bool, sample: Sample, draw: random.Random) -> None:
        """Append the turns."""
        for turn in read_turns(text, "dialogue"):
            sample.add(turn)
