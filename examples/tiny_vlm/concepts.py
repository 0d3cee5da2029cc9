"""The concepts that the tiny model knows: name, kind, what it is for, where one sees it."""

import random
from dataclasses import dataclass
from pathlib import Path

import yaml

SUBSETS = ("花", "食べ物", "ランドマーク", "施設")


@dataclass(frozen=True)
class Concept:
    """One named thing.

    Attributes:
        name: Everyday Japanese name, what the model answers.
        emoji: The emoji that show it.
        kind: What it is one of (果物, 施設, …).
        sort: Which sentence templates fit (food, site, animal, …).
        folder: Sub-folder of the example pictures.
        subset: Word of the four-choice question, or None where the kind belongs to none of its subsets.
        use: What one does with it, a clause in dictionary form.
        place: Where one sees it, a noun phrase.
    """

    name: str
    emoji: tuple[str, ...]
    kind: str
    sort: str
    folder: str
    subset: str | None
    use: str
    place: str


def load_concepts() -> list[Concept]:
    """Read the concepts of `concepts.yaml`, in the order of the file."""
    path = Path(__file__).with_name("concepts.yaml")
    concepts: list[Concept] = []
    for kind in yaml.safe_load(path.read_text(encoding="utf-8")):
        emoji_by_name: dict[str, list[str]] = {}
        for emoji, name in kind["members"].items():
            emoji_by_name.setdefault(name, []).append(emoji)
        for name, emoji in emoji_by_name.items():
            concepts.append(
                Concept(
                    name=name,
                    emoji=tuple(emoji),
                    kind=kind["kind"],
                    sort=kind["sort"],
                    folder=kind["folder"],
                    subset=kind.get("subset"),
                    use=kind.get("uses", {}).get(name, kind["use"]),
                    place=kind.get("places", {}).get(name, kind["place"]),
                )
            )
    names = [concept.name for concept in concepts]
    repeated = {name for name in names if names.count(name) > 1}
    if repeated:
        raise ValueError(f"{path.name}: names under two kinds: {sorted(repeated)}; give each one kind.")
    return concepts


def held_out_artwork(concepts: list[Concept], share: float = 0.2) -> dict[str, str]:
    """Draw the concepts of which one shown artwork set is never trained on.

    Half of them lose their Noto picture, half their Twemoji picture. The draw does not depend on the training seed.

    Returns:
        Name of the set that is held out, by concept name.
    """
    names = sorted(concept.name for concept in concepts)
    random.Random(20250211).shuffle(names)
    count = round(share * len(names))
    return {name: ("noto", "twemoji")[index % 2] for index, name in enumerate(names[:count])}
