"""The pictures of the miniature: those of `examples/pictures`, altered for training, and otherwise for asking."""

import hashlib
import io
import json
import random
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from colours import main_colours
from concepts import Concept, load_concepts
from PIL import Image, ImageEnhance, ImageFilter, ImageOps
from rendering import compose

from datagen.files.writing import json_text, write_bytes, write_text

PICTURES = Path(__file__).resolve().parents[1] / "pictures"
TRAINING, HELD_OUT = "training", "held_out"
_SIDE = 128


class Drawing(NamedTuple):
    """What a picture shows: the name of its concept, and its main colours."""

    name: str
    colours: tuple[str, ...]

    @property
    def concept(self) -> Concept:
        """All that is known of it."""
        return concepts()[self.name]


@cache
def concepts() -> dict[str, Concept]:
    """Return the concepts by their names."""
    return {concept.name: concept for concept in load_concepts()}


def draw(folder: Path, things: int, pictures_each: int, held_out_each: int) -> None:
    """Write the pictures of so many things for training and for asking, each with a book of what they show.

    Training sees small rotations, scales and brightness, and mirror images; held out are larger rotations, smaller
    scales, blur and coarse JPEG.
    """
    for part, each, ways in ((TRAINING, pictures_each, (_mild,)), (HELD_OUT, held_out_each, _STRONG)):
        if (folder / f"{part}.json").exists():
            continue
        book: dict[str, tuple[str, tuple[str, ...]]] = {}
        for path in sorted(PICTURES.rglob("*.png"))[:things]:
            with Image.open(path) as image:
                picture = image.convert("RGB")
            colours = _colours_of(picture)
            for number in range(each):
                draws = random.Random(f"{part}/{path.stem}/{number}")
                data = _encoded(draws.choice(ways)(picture, draws))
                (folder / part).mkdir(parents=True, exist_ok=True)
                write_bytes(folder / part / f"{path.stem}-{number}.png", data)
                book[hashlib.sha256(data).hexdigest()] = (path.stem, colours)
        write_text(folder / f"{part}.json", json_text(book))


def read_book(path: Path) -> dict[str, Drawing]:
    """Return what pictures show, by the SHA-256 of their files."""
    book = json.loads(path.read_text(encoding="utf-8"))
    return {digest: Drawing(name, tuple(colours)) for digest, (name, colours) in book.items()}


def _colours_of(picture: Image.Image) -> tuple[str, ...]:
    """Return the main colours of a drawing without its background, which is plain."""
    pixels = np.asarray(picture)
    drawn = np.abs(pixels.astype(int) - pixels[0, 0].astype(int)).sum(axis=2) > 24
    return main_colours(np.dstack([pixels, np.where(drawn, 255, 0).astype(np.uint8)]))


def _placed(picture: Image.Image, scale: float, angle: float) -> Image.Image:
    background = picture.getpixel((0, 0))
    assert isinstance(background, tuple)
    red, green, blue = (int(value) for value in background[:3])
    opaque = np.asarray(picture.convert("RGBA"))
    return compose(opaque, _SIDE, scale=scale, angle=angle, background=(red, green, blue))


def _mild(picture: Image.Image, draws: random.Random) -> Image.Image:
    placed = _placed(picture, draws.uniform(0.75, 1.0), draws.uniform(-15, 15))
    placed = ImageOps.mirror(placed) if draws.random() < 0.3 else placed
    return ImageEnhance.Brightness(placed).enhance(draws.uniform(0.9, 1.1))


def _turned(picture: Image.Image, draws: random.Random) -> Image.Image:
    return _placed(picture, 0.85, draws.choice((-1, 1)) * draws.uniform(20, 28))


def _small(picture: Image.Image, draws: random.Random) -> Image.Image:
    return _placed(picture, draws.uniform(0.55, 0.65), 0)


def _blurred(picture: Image.Image, draws: random.Random) -> Image.Image:
    return _placed(picture, 1.0, 0).filter(ImageFilter.GaussianBlur(draws.uniform(1.0, 1.8)))


def _coarse(picture: Image.Image, draws: random.Random) -> Image.Image:
    buffer = io.BytesIO()
    _placed(picture, 1.0, 0).save(buffer, "JPEG", quality=draws.randint(15, 35))
    return Image.open(buffer).convert("RGB")


_STRONG: tuple[Callable[[Image.Image, random.Random], Image.Image], ...] = (_turned, _small, _blurred, _coarse)


def _encoded(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
