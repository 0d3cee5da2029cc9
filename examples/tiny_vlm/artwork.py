"""Fetch open emoji artwork from npm and draw it as RGBA pictures.

Two sets are what the model is about: Twemoji (CC BY 4.0) and Noto Emoji (Apache-2.0); the example pictures come from
these alone. Five more sets help the vision tower to see the thing rather than the drawing of it: Fluent Emoji and
Fluent Emoji Flat (MIT), EmojiOne 2 and Streamline Emojis (CC BY 4.0) and Firefox OS Emojis (Apache-2.0); the last two
have a third of the concepts. Proprietary artwork is not used.

All sets come as SVG from the Iconify packages, so that one code path draws every size.
"""

import io
import json
import shutil
import subprocess
import tarfile
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from concepts import Concept
from PIL import Image


@dataclass(frozen=True)
class ArtworkSet:
    """One artwork set.

    Attributes:
        name: Prefix of the set in Iconify, also its name here.
        package: npm package and the version that was used.
        license: SPDX identifier of the artwork.
        shown: Whether pictures of it are shown to users and evaluated; the others are for training alone.
    """

    name: str
    package: str
    license: str
    shown: bool


SETS = (
    ArtworkSet("twemoji", "@iconify-json/twemoji@1.2.5", "CC-BY-4.0", shown=True),
    ArtworkSet("noto", "@iconify-json/noto@1.2.9", "Apache-2.0", shown=True),
    ArtworkSet("fluent-emoji", "@iconify-json/fluent-emoji@1.2.7", "MIT", shown=False),
    ArtworkSet("fluent-emoji-flat", "@iconify-json/fluent-emoji-flat@1.2.6", "MIT", shown=False),
    ArtworkSet("emojione", "@iconify-json/emojione@1.2.3", "CC-BY-4.0", shown=False),
    ArtworkSet("fxemoji", "@iconify-json/fxemoji@1.2.2", "Apache-2.0", shown=False),
    ArtworkSet("streamline-emojis", "@iconify-json/streamline-emojis@1.2.4", "CC-BY-4.0", shown=False),
)

OTHER_THINGS = {("fxemoji", "sunglasses"), ("fxemoji", "keyboard"), ("streamline-emojis", "turkey")}
"""Icons that show something else than their namesakes of the other sets: a face, a piano's keys, a flag."""

Picture = npt.NDArray[np.uint8]


def fetch(cache_folder: Path) -> None:
    """Download the packages into `cache_folder` with npm; a package that lies there already is left alone."""
    for artwork_set in SETS:
        target = cache_folder / artwork_set.name
        if (target / "icons.json").exists():
            continue
        target.mkdir(parents=True, exist_ok=True)
        npm = shutil.which("npm")
        if npm is None:
            raise RuntimeError("npm is needed to fetch the artwork: install Node.js, then run this again.")
        packed = subprocess.run(
            [npm, "pack", "--silent", "--pack-destination", str(target), artwork_set.package],
            check=True,
            capture_output=True,
            text=True,
        )
        archive = target / packed.stdout.strip().splitlines()[-1]
        with tarfile.open(archive) as tar:
            for name in ("icons.json", "chars.json", "info.json"):
                member = tar.extractfile(f"package/{name}")
                if member is not None:
                    (target / name).write_bytes(member.read())
        archive.unlink()


@cache
def _icons(cache_folder: Path, set_name: str) -> dict[str, Any]:
    icons: dict[str, Any] = json.loads((cache_folder / set_name / "icons.json").read_text())
    return icons


@cache
def _slugs(cache_folder: Path) -> dict[str, str]:
    """Map an emoji's code points (`1f363`, no variation selector) to its icon name, the same in all sets."""
    slugs: dict[str, str] = {}
    for set_name in ("fluent-emoji-flat", "noto", "twemoji"):
        chars = json.loads((cache_folder / set_name / "chars.json").read_text())
        slugs.update({code.replace("-fe0f", ""): slug for code, slug in chars.items()})
    return slugs


def draw(cache_folder: Path, emoji: str, set_name: str, size: int) -> Picture | None:
    """Draw one emoji of one set.

    Returns:
        RGBA picture of (size, size, 4), not premultiplied, or None where the set lacks the emoji.
    """
    import resvg_py

    icons = _icons(cache_folder, set_name)
    code = "-".join(f"{ord(character):x}" for character in emoji if character != "\ufe0f")
    slug = _slugs(cache_folder).get(code)
    if slug is None or (set_name, slug) in OTHER_THINGS:
        return None
    for _ in range(3):
        if slug not in icons["icons"] and slug in icons.get("aliases", {}):
            slug = icons["aliases"][slug]["parent"]
    icon = icons["icons"].get(slug)
    if icon is None:
        return None
    width, height = icon.get("width", icons["width"]), icon.get("height", icons["height"])
    view_box = f"{icon.get('left', 0)} {icon.get('top', 0)} {width} {height}"
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="{view_box}">'
    png = bytes(resvg_py.svg_to_bytes(svg_string=f"{svg}{icon['body']}</svg>", width=size, height=size))
    picture = Image.open(io.BytesIO(png)).convert("RGBA")
    if picture.size != (size, size):
        square = Image.new("RGBA", (size, size))
        square.paste(picture, ((size - picture.width) // 2, (size - picture.height) // 2))
        picture = square
    return np.asarray(picture)


def prepare(cache_folder: Path, concepts: list[Concept], size: int) -> dict[tuple[str, str], Picture]:
    """Draw every concept's emoji in every set, kept in one file in the cache folder.

    Returns:
        Pictures of (size, size, 4) by (emoji, set name).
    """
    fetch(cache_folder)
    kept = cache_folder / f"artwork-{size}.npz"
    wanted = [(emoji, artwork_set.name) for concept in concepts for emoji in concept.emoji for artwork_set in SETS]
    if kept.exists():
        try:
            with np.load(kept) as arrays:
                if json.loads(str(arrays["wanted"])) == [list(key) for key in wanted]:
                    return dict(zip(map(tuple, json.loads(str(arrays["keys"]))), arrays["pictures"], strict=True))
        except (OSError, KeyError, zipfile.BadZipFile):
            kept.unlink()
    pictures = {key: picture for key in wanted if (picture := draw(cache_folder, *key, size)) is not None}
    np.savez(
        kept,
        wanted=json.dumps(wanted),
        keys=json.dumps(list(pictures)),
        pictures=np.stack(list(pictures.values())),
    )
    return pictures
