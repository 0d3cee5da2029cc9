"""How answers are read: one module for each `reads_as` of a prompt, with a class that extends `Reader`.

A new way to read answers is one new file here, or a class anywhere that a prompt names as `package.module:Class`, or an
entry point of the group `datagen.readers`.
"""

import random
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from filters.registry import Registry

if TYPE_CHECKING:
    from datagen.stages.asking import Asking
    from datagen.stages.sample import Sample
    from prompts import Prompt


class Reader:
    """Reads the answers of a stage into the sample: a subclass overrides `read`, or `put` as a whole.

    Attributes:
        own_history: whether the stage has a chat of its own, and does not go on in that of its engine: a judge is not
            to see how the answers came to be.
        makes_scores: whether the answers become scores, named after the prompt.
    """

    own_history: ClassVar[bool] = False
    makes_scores: ClassVar[bool] = False

    def makes_turns(self, as_turn: bool) -> bool:
        """Whether the answers become turns of the dialogue; `as_turn` is the stage's setting."""
        return True

    async def put(self, asking: "Asking", sample: "Sample") -> None:
        """Put the stage: `repeat` questions, one after the other in its chat; readers that ask otherwise override it.

        Raises:
            Failure: an answer stayed unusable, or a server refused.
        """
        read = partial(self.read, prompt=asking.prompt, as_turn=asking.stage.as_turn, sample=sample)
        for turn in range(1, asking.stage.repeat + 1):
            request = asking.render(turn=turn, focus=asking.focus(turn))
            await asking.until_read(request, turn, lambda text: read(text, draw=asking.draw()))

    def read(self, text: str, prompt: "Prompt", as_turn: bool, sample: "Sample", draw: random.Random) -> None:
        """Read an answer into the sample.

        Args:
            text: what the model said.
            prompt: that asked for it.
            as_turn: the stage's setting.
            sample: what is known so far, and grows.
            draw: random numbers that depend on the recipe's seed, the row and the stage alone.

        Raises:
            Failure: `empty_answer` or `unparsable_answer`: it is asked for again, with another seed.
        """
        raise NotImplementedError(f"{type(self).__name__} reads no single answers")


READERS: Registry[type[Reader]] = Registry(
    "datagen.stages.readers",
    kind="reader",
    group="datagen.readers",
    asked="a class that extends datagen.stages.readers.Reader",
    fits=lambda found: isinstance(found, type) and issubclass(found, Reader) and found is not Reader,
)


def reader(name: str, field: str = "answer.reads_as") -> Reader:
    """Return the reader that a prompt names.

    Raises:
        RegistryError: there is no such reader.
    """
    return READERS.find(name, field)()
