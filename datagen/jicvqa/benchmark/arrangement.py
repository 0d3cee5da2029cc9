"""Which image gets which option set, and in which order its options stand.

Everything is drawn from the seed and stable names, so that the same table gives the same questions on every machine.
The options of an image stand in a circle whose order does not depend on the answer; it is turned until the answer is
at its position. The answer is as often at the first position as at the second, third and fourth: within every option
set and answer as far as their numbers allow, then within the set, then within the subset.
"""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TypeVar

from datagen.jicvqa.classes.lists import CHOICES
from datagen.jicvqa.distractors.design import Design

_Item = TypeVar("_Item")


def arrange(
    design: Design, names: Sequence[str], ids: Mapping[str, Sequence[str]], seed: int
) -> dict[str, tuple[str, ...]]:
    """Return the ordered options of every image.

    Args:
        design: whole questions; class numbers are indices into `names`.
        names: the class names.
        ids: by class name, the ids of its images; as many as the design has questions of the class.
        seed: of all draws.
    """
    waiting = {name: _shuffled(sorted(own), seed, "images", name) for name, own in ids.items()}
    used_in_subset: Counter[int] = Counter()
    arranged: dict[str, tuple[str, ...]] = {}
    for members, answers in zip(design.members.tolist(), design.answers.tolist(), strict=True):
        options = [names[member] for member in members]
        used_in_set: Counter[int] = Counter()
        for answer, count in _shuffled(list(zip(options, answers, strict=True)), seed, "answers", *options):
            own = [waiting[answer].pop() for _ in range(round(count))]
            positions = _positions(len(own), used_in_set, used_in_subset, random.Random(_key(seed, *options, answer)))
            for image, position in zip(own, positions, strict=True):
                circle = circle_of(options, seed, image)
                start = circle.index(answer) - position
                arranged[image] = tuple(circle[(start + step) % CHOICES] for step in range(CHOICES))
    return arranged


def circle_of(options: Sequence[str], seed: int, image: str) -> list[str]:
    """Return the order of an image's options up to rotation, which is drawn without a look at the answer.

    So the order tells nothing even to a player who knows the seed and this program.
    """
    return _shuffled(sorted(options), seed, "order", image)


def _positions(count: int, used_in_set: Counter[int], used_in_subset: Counter[int], draw: random.Random) -> list[int]:
    """Return the positions of so many answers: whole rounds, then those that were used least; in random order."""
    rounds, rest = divmod(count, CHOICES)
    tie = {position: draw.random() for position in range(CHOICES)}
    least = sorted(
        range(CHOICES), key=lambda position: (used_in_set[position], used_in_subset[position], tie[position])
    )
    positions = [*range(CHOICES)] * rounds + least[:rest]
    used_in_set.update(positions)
    used_in_subset.update(positions)
    draw.shuffle(positions)
    return positions


def _shuffled(items: list[_Item], *key: object) -> list[_Item]:
    random.Random(_key(*key)).shuffle(items)
    return items


def _key(*parts: object) -> str:
    return "\x1f".join(map(str, parts))
