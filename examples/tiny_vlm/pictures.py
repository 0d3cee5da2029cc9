"""Draw the example pictures (`examples/pictures`) and the miniature of the JIC-VQA image table.

    python examples/tiny_vlm/pictures.py --cache /tmp/tiny_vlm

Both are written anew each time; the same packages give the same bytes.
"""

import argparse
import csv
import json
import random
import shutil
from collections import defaultdict
from pathlib import Path

import artwork
from concepts import Concept, held_out_artwork, load_concepts
from PIL import Image
from rendering import HELD_OUT, alter, compose

EXAMPLES = Path(__file__).resolve().parents[1]
BACKGROUNDS = ((255, 255, 255), (255, 255, 255), (255, 255, 255), (238, 244, 250), (252, 243, 226), (236, 248, 236))
SIDES = (96, 128, 160, 192, 224, 256)
COUNTS = {
    "food": 44,
    "flower": 9,
    "landmark": 10,
    "facility": 20,
    "animal": 26,
    "vehicle": 12,
    "nature": 9,
    "thing": 20,
}
SUBSETS = {"flower": 9, "food": 24, "landmark": 10, "facility": 16}
NOT_ONE_THING = ("しおれたバラ", "廃屋", "建設現場", "結婚式場")
"""Left out of the pictures: another class is true of them as well."""
LICENSE_URLS = {
    "CC-BY-4.0": "https://creativecommons.org/licenses/by/4.0/",
    "Apache-2.0": "https://www.apache.org/licenses/LICENSE-2.0",
}
SHOWN = {artwork_set.name: artwork_set for artwork_set in artwork.SETS if artwork_set.shown}


def _save(picture: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, "PNG", optimize=True)


def _by_folder(concepts: list[Concept]) -> dict[str, list[Concept]]:
    grouped: dict[str, list[Concept]] = defaultdict(list)
    for concept in concepts:
        if concept.name not in NOT_ONE_THING:
            grouped[concept.folder].append(concept)
    return grouped


def draw_examples(cache: Path, target: Path) -> int:
    """Write the quickstart's input: one picture a concept, artwork sets, sizes and backgrounds mixed.

    Returns:
        How many pictures were written.
    """
    draws = random.Random(3)
    concepts = load_concepts()
    held_out = held_out_artwork(concepts)
    grouped = _by_folder(concepts)
    rows = []
    for folder, count in COUNTS.items():
        shutil.rmtree(target / folder, ignore_errors=True)
        group = grouped[folder]
        for concept in sorted(draws.sample(group, min(count, len(group))), key=lambda one: one.name):
            # The drawing that training saw: these pictures show the tool at work, they are no test of the model.
            set_name = draws.choice([name for name in SHOWN if held_out.get(concept.name) != name])
            side = draws.choice(SIDES)
            drawing = artwork.draw(cache, concept.emoji[0], set_name, 256)
            if drawing is None:
                continue
            picture = compose(drawing, side, scale=draws.uniform(0.8, 0.95), background=draws.choice(BACKGROUNDS))
            _save(picture, target / folder / f"{concept.name}.png")
            rows.append((f"{folder}/{concept.name}.png", set_name, SHOWN[set_name].license, concept.emoji[0]))
    with (target / "SOURCES.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("path", "artwork", "license", "emoji"))
        writer.writerows(rows)
    return len(rows)


def draw_miniature(cache: Path, target: Path) -> int:
    """Write a miniature of the image table behind JIC-VQA: four pictures a class, two of them altered.

    `images.csv` has paths, labels and licences, and no ids: numbers in the order of the classes would tell a blind
    player the answers, so that the build makes ids of the pictures. `classes.json` has the class names by subset.

    Returns:
        How many pictures were written.
    """
    draws = random.Random(4)
    grouped = _by_folder(load_concepts())
    shutil.rmtree(target / "pictures", ignore_errors=True)
    classes: dict[str, list[str]] = {}
    rows: list[tuple[str, str, str, str, str]] = []
    for subset, count in SUBSETS.items():
        group = [concept for concept in grouped[subset] if concept.subset]
        chosen = draws.sample(group, min(count, len(group)))
        classes[subset] = [concept.name for concept in chosen]
        for concept in chosen:
            for set_name, artwork_set in SHOWN.items():
                drawing = artwork.draw(cache, concept.emoji[0], set_name, 256)
                if drawing is None:
                    continue
                plain = compose(drawing, 128, background=draws.choice(BACKGROUNDS))
                for picture in (plain, alter(drawing, 128, draws.choice(HELD_OUT), draws)):
                    number = len(rows) + 1
                    path = f"pictures/{subset}/{number:04d}.png"
                    _save(picture, target / path)
                    license_url = LICENSE_URLS[artwork_set.license]
                    rows.append((path, artwork_set.license, license_url, concept.name, subset))
    with (target / "images.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("path", "license", "license_url", "category", "subset"))
        writer.writerows(rows)
    (target / "classes.json").write_text(json.dumps(classes, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    return len(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, required=True, help="folder for the artwork, filled where it is empty")
    arguments = parser.parse_args()
    artwork.fetch(arguments.cache)
    print(draw_examples(arguments.cache, EXAMPLES / "pictures"), "example pictures")
    print(draw_miniature(arguments.cache, EXAMPLES / "jic_miniature"), "pictures of the JIC miniature")


if __name__ == "__main__":
    main()
