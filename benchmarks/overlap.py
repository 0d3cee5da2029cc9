"""How well copies of a benchmark's pictures are found, by alteration, and how seldom anything else is.

    python -m benchmarks.overlap [--pictures FOLDER] [--queries 2000]

Half of the pictures are the benchmark. Each is altered in many ways and looked for; the other half, altered likewise,
is not in it. Without a folder the pictures are synthetic photographs, which no threshold was chosen on.
"""

import argparse
import io
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from benchmarks.throughput import photograph
from datagen.survey.features import INLIERS, FeatureIndex, features_of
from datagen.survey.overlaps import NEAR, References, matches, nearest, unsigned
from datagen.survey.windows import query_hashes, window_hashes

Alteration = Callable[[Image.Image], Image.Image]
PHOTOGRAPHS = 120


def _jpeg(image: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    image.convert("RGB").save(file, "JPEG", quality=quality)
    return Image.open(file)


def _cut(image: Image.Image, left: float, top: float, right: float, bottom: float) -> Image.Image:
    width, height = image.size
    return image.crop((round(width * left), round(height * top), round(width * right), round(height * bottom)))


def _square(image: Image.Image, side: int) -> Image.Image:
    return ImageOps.fit(image, (side, side))


def _letterbox(image: Image.Image) -> Image.Image:
    return ImageOps.pad(image, (max(image.size), max(image.size)))


def _smaller(image: Image.Image, pixels: int) -> Image.Image:
    copy = image.copy()
    copy.thumbnail((pixels, pixels))
    return copy


ALTERATIONS: dict[str, Alteration] = {
    "the same": lambda image: image,
    "JPEG, quality 30": partial(_jpeg, quality=30),
    "512 px, quality 70": lambda image: _jpeg(_smaller(image, 512), 70),
    "stretched to 224 × 224": lambda image: image.resize((224, 224)),
    "grey": lambda image: image.convert("L").convert("RGB"),
    "brighter by 0.3": lambda image: ImageEnhance.Brightness(image).enhance(1.3),
    "centre, 10 % less": lambda image: _cut(image, 0.05, 0.05, 0.95, 0.95),
    "centre, 17 % less": lambda image: _cut(image, 0.085, 0.085, 0.915, 0.915),
    "centre, 27 % less": lambda image: _cut(image, 0.135, 0.135, 0.865, 0.865),
    "square from the middle": partial(_square, side=224),
    "15 % of one side off": lambda image: _cut(image, 0.15, 0, 1, 1),
    "white border, 6 %": lambda image: ImageOps.expand(image, round(0.06 * max(image.size)), "white"),
    "black border, 10 %": lambda image: ImageOps.expand(image, round(0.1 * max(image.size)), "black"),
    "letterbox": _letterbox,
    "white border, 6 %, quality 60": lambda image: _jpeg(
        ImageOps.expand(image, round(0.06 * max(image.size)), "white"), 60
    ),
    "mirrored": ImageOps.mirror,
    "mirrored, 512 px, quality 50": lambda image: _jpeg(_smaller(ImageOps.mirror(image), 512), 50),
    "80 % of each side, anywhere": lambda image: _cut(image, 0.03, 0.15, 0.83, 0.95),
    "60 % of each side, anywhere": lambda image: _cut(image, 0.05, 0.3, 0.65, 0.9),
}


def pictures_of(folder: Path | None) -> Iterator[Image.Image]:
    """Yield the pictures of a folder, or photographs that are made."""
    if folder is None:
        for number in range(PHOTOGRAPHS):
            yield Image.open(io.BytesIO(photograph(number))).convert("RGB")
        return
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp"):
            yield Image.open(path).convert("RGB")


def references_of(images: Sequence[Image.Image]) -> References:
    """Return the fingerprints of pictures, whose names are their numbers."""
    hashes = [window_hashes(image) for image in images]
    owners = np.repeat(np.arange(len(images)), [len(each) for each in hashes])
    phashes, dhashes = (unsigned([each[part] for windows in hashes for each in windows]) for part in (0, 1))
    names = [("benchmark", str(number)) for number in range(len(images))]
    return References(names, {}, {}, phashes, dhashes, owners)


def found(image: Image.Image, references: References) -> tuple[int, int]:
    """Return the number of the nearest picture, and its distance."""
    hashes = query_hashes(image)
    phashes, dhashes = (unsigned([each[part] for each in hashes]).reshape(1, 2) for part in (0, 1))
    ((place, away),) = matches(phashes, dhashes, references)
    return int(references.owners[place]), away


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--queries", type=int, default=2000)
    arguments = parser.parse_args()
    pictures = list(pictures_of(arguments.pictures))
    inside, outside = pictures[::2], pictures[1::2]
    references = references_of(inside)
    print(f"{len(inside)} pictures in the benchmark, {len(outside)} not in it; found at {NEAR} bits of 64 and less\n")
    index = FeatureIndex(
        [(number, features_of(each)) for number, image in enumerate(inside) for each in (image, ImageOps.mirror(image))]
    )
    print("| copy | found | as another picture | not in it, and found | by features | not in it, by features |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    pairs = wrong = 0
    for name, altered in ALTERATIONS.items():
        hits = [found(altered(image), references) for image in inside]
        right = sum(place == number and away <= NEAR for number, (place, away) in enumerate(hits))
        other = sum(place != number and away <= NEAR for number, (place, away) in enumerate(hits))
        alarms = sum(found(altered(image), references)[1] <= NEAR for image in outside)
        pairs += len(inside) * len(outside)
        wrong += alarms
        crops = [index.match(features_of(altered(image))) for image in pictures]
        agreed = sum(owner == at and count >= INLIERS for at, (owner, count) in enumerate(crops[::2]))
        alike = sum(count >= INLIERS for _, count in crops[1::2])
        shares = f"{right / len(inside):.2f} | {other} | {alarms} | {agreed / len(inside):.2f} | {alike}"
        print(f"| {name} | {shares} |")
    print(f"\n{wrong} false matches in {pairs:,} pairs of unrelated pictures")
    draw = np.random.default_rng(0)
    windows = len(references.hashes) // len(inside)
    many = draw.integers(0, 2**64, 10_000 * windows, np.uint64)
    queries = draw.integers(0, 2**64, 2 * arguments.queries, np.uint64)
    started = time.monotonic()
    nearest(queries, many)
    seconds = time.monotonic() - started
    print(
        f"{arguments.queries / seconds:,.0f} queries/s against 10,000 references of {windows} windows each, on one core"
    )


if __name__ == "__main__":
    main()
