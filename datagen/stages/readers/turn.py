"""Answers that are one question with its answer."""

import random

from datagen.stages.answers import read_turns
from datagen.stages.readers import Reader
from datagen.stages.sample import Sample
from prompts import Prompt


class OneTurn(Reader):
    """Reads exactly one turn."""

    def read(self, text: str, prompt: Prompt, as_turn: bool, sample: Sample, draw: random.Random) -> None:
        """Append the turn."""
        for turn in read_turns(text, "turn"):
            sample.add(turn)
