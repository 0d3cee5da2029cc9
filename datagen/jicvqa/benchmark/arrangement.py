"""Which image gets which option set, in which order its options stand, and where its question stands in the table.

Three draws, none of which looks at the answer of the question that it is for:

- the images of a class are dealt to the option sets in an order drawn at random;
- the options of an image stand in an order drawn at random, all 24 being equally likely;
- the questions of a subset stand in an order drawn at random.

So the answers stand at the four positions as chance has it. Making them exactly even would betray them: whoever knows
that every (member, position) of an option set holds the answer equally often can solve for the answers (see
`audit.players.whole_table`). What protects is that every member of a set is the answer equally often, and that is the
design's work.

An image may be kept from a set of which another member is true of it as well; that looks at the picture, which no
blind player has, and leaves every set its answers.

All draws hang on a key, the digest of the seed and of every id with its label. The same rows and seed give the same
table on every machine, and nobody can repeat the draws who does not have all the labels.
"""

import math
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from datagen.files.writing import digest_of
from datagen.jicvqa.distractors.design import Design

FEW_BITS = 80
"""So many ways to label a table, as a power of two, are within reach of who tries them all."""

_Item = TypeVar("_Item")


def key_of_draws(seed: int, labels: Iterable[tuple[str, str]]) -> str:
    """Return the key of all draws.

    Args:
        seed: the user's.
        labels: (id, label) of every image of the table, in any order.

    >>> key_of_draws(0, [("1", "桜"), ("2", "梅")]) == key_of_draws(0, [("2", "梅"), ("1", "桜")])
    True
    >>> key_of_draws(0, [("1", "桜"), ("2", "梅")]) == key_of_draws(0, [("1", "梅"), ("2", "桜")])
    False
    """
    return digest_of("\n".join([str(seed), *sorted(f"{image}\t{label}" for image, label in labels)]).encode())


def arrange(
    design: Design,
    names: Sequence[str],
    ids: Mapping[str, Sequence[str]],
    key: str,
    avoid: Mapping[str, frozenset[str]] | None = None,
) -> dict[str, tuple[str, ...]]:
    """Return the ordered options of every image.

    Args:
        design: whole questions; class numbers are indices into `names`.
        names: the class names.
        ids: by class name, the ids of its images; as many as the design has questions of the class.
        key: of all draws, see `key_of_draws`.
        avoid: by image, the options that are true of it too; an image goes to a set without them where there is one.
    """
    places: dict[str, list[list[str]]] = {name: [] for name in ids}
    for members, answers in zip(design.members.tolist(), design.answers.tolist(), strict=True):
        options = sorted(names[member] for member in members)
        for member, count in zip(members, answers, strict=True):
            if count:
                places[names[member]] += [options] * round(count)
    arranged: dict[str, tuple[str, ...]] = {}
    for name, own in ids.items():
        images = _shuffled(sorted(own), key, "images", name)
        if avoid:
            images = _kept_clear(images, places[name], avoid)
        for image, options in zip(images, places[name], strict=True):
            arranged[image] = tuple(_shuffled(list(options), key, "options", image))
    return arranged


def _kept_clear(images: list[str], places: Sequence[Sequence[str]], avoid: Mapping[str, frozenset[str]]) -> list[str]:
    """Return the images in the order of the places such that as few options as possible are true of their image too."""
    if not any(image in avoid for image in images):
        return images
    from scipy.optimize import linear_sum_assignment

    clashes = np.zeros((len(places), len(images)))
    for column, image in enumerate(images):
        if options := avoid.get(image):
            clashes[:, column] = [len(options.intersection(place)) for place in places]
    return [images[column] for column in linear_sum_assignment(clashes)[1]]


def place_of(image: str, key: str) -> str:
    """Return what the questions of a subset are sorted by.

    Tables are often sorted by class; neighbouring questions would then tell each other's answers.
    """
    return digest_of(f"{key}\x1f{image}".encode())


def secrecy(options_and_answers: Iterable[tuple[Sequence[str], str]]) -> float:
    """Return how many bits of the labels a question table leaves open.

    That is log₂ of the number of ways to label the images so that every option set has the answers that it has. A
    player with this program can try them all, and knows the right one by its table: a guarantee that is to hold
    against such a player needs many bits.

    >>> round(secrecy([(("桜", "梅", "桃", "梨"), answer) for answer in ("桜", "梅", "桃", "梨")]), 2)
    4.58
    """
    sets: dict[frozenset[str], Counter[str]] = {}
    for options, answer in options_and_answers:
        sets.setdefault(frozenset(options), Counter())[answer] += 1
    ways = sum(
        math.lgamma(answers.total() + 1) - sum(math.lgamma(count + 1) for count in answers.values())
        for answers in sets.values()
    )
    return ways / math.log(2)


def _shuffled(items: list[_Item], *key: str) -> list[_Item]:
    random.Random("\x1f".join(key)).shuffle(items)
    return items
