"""How many calls it saves to choose pictures first, on a folder made for it, of which is known what each picture is.

    python -m benchmarks.saved_calls [--pictures 10000]

A stand-in answers in the model's place; two questions are asked about each picture that is not dropped before.
"""

import argparse
import io
import json
import random
import tempfile
import time
from collections import Counter
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image, ImageOps
from rich.console import Console
from rich.table import Table

import datagen
from datagen.recipe import Images, SourceSettings
from datagen.survey.fingerprints import make_fingerprints
from examples.recipes.stand_in import Writer

SHARES = {
    "good": 0.70,
    "near duplicate": 0.08,
    "the same file": 0.04,
    "of a benchmark": 0.03,
    "one colour": 0.04,
    "small": 0.04,
    "long": 0.03,
    "black": 0.02,
    "broken": 0.02,
}
OF_BENCHMARK = 200
TURNS = 2
_CHOOSING = (
    {"score": "duplicate", "at_most": 0},
    {"score": "benchmark_overlap", "at_most": 0.84},
)


class Speaker(Writer):
    """Answers every question, each in other words."""

    _answered = count(1)

    def answer(self, content: Any) -> str:
        """Return a question and its answer."""
        number = next(self._answered)
        turn = {"question": f"{number}番の絵には何が写っていますか？", "answer": f"{number}枚目の風景が写っています。"}
        return json.dumps(turn, ensure_ascii=False)


def landscape(seed: int, size: tuple[int, int] = (320, 240)) -> Image.Image:
    """Return soft shapes in colour, others for every seed."""
    cells = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return Image.fromarray(cells).resize(size, Image.Resampling.BICUBIC)


def encoded(picture: Image.Image, quality: int = 90) -> bytes:
    """Return a JPEG."""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return file.getvalue()


def write_folder(folder: Path, benchmark: Path, pictures: int) -> None:
    """Write the pictures, each in a folder of its kind, and those of a benchmark."""
    for number in range(OF_BENCHMARK):
        (benchmark / f"{number}.jpg").write_bytes(encoded(landscape(10**7 + number)))
    for kind, share in SHARES.items():
        (folder / kind).mkdir()
        for number in range(round(pictures * share)):
            (folder / kind / f"{number:06d}.jpg").write_bytes(_picture(kind, number))


def _picture(kind: str, number: int) -> bytes:
    colour = tuple(int(value) for value in np.random.default_rng(number).integers(40, 200, 3))
    match kind:
        case "near duplicate":
            return encoded(landscape(number).resize((256, 192)), quality=60)
        case "the same file":
            return encoded(landscape(number))
        case "of a benchmark":
            return encoded(ImageOps.mirror(landscape(10**7 + number % OF_BENCHMARK)).resize((224, 224)), quality=70)
        case "one colour":
            return encoded(Image.new("RGB", (320, 240), colour)) + b"%d" % number
        case "small":
            return encoded(landscape(10**8 + number, (90, 70)))
        case "long":
            return encoded(landscape(10**8 + 10**7 + number, (900, 200)))
        case "black":
            return encoded(landscape(10**8 + 2 * 10**7 + number).point(lambda value: value // 20))
        case "broken":
            return encoded(landscape(number))[:200]
    return encoded(landscape(number))


def recipe_of(pictures: Path, folder: Path, *, choosing: bool) -> dict[str, Any]:
    """Return a recipe that asks about all pictures, or chooses first."""
    recipe: dict[str, Any] = {
        "task": "saved_calls",
        "source": {"name": "made", "path": str(pictures)},
        "engines": {"speaker": {"kind": "benchmarks.saved_calls:Speaker", "model": "speaker"}},
        "stages": [{"prompt": "question_answer", "engine": "speaker", "repeat": TURNS}],
        "policy": "standard",
    }
    if choosing:
        policy = yaml.safe_load(Path("filters/policies/pictures_standard.yaml").read_text(encoding="utf-8"))
        (folder / "policy.yaml").write_text(
            yaml.safe_dump({**policy, "rules": [*_CHOOSING, *policy["rules"]]}, allow_unicode=True), encoding="utf-8"
        )
        recipe["policy"] = str(folder / "policy.yaml")
        recipe["checks"] = ["short_side", "aspect", "plain", "colours", "sharpness", "brightness"]
        recipe["survey"] = {"duplicates": 6, "benchmarks": [str(folder / "mine.fingerprints")]}
    return recipe


def asked(run: datagen.Run) -> Counter[str]:
    """Return of every kind about how many pictures a question was asked."""
    counts: Counter[str] = Counter()
    for state in ("kept", "dropped", "failed"):
        for row in run.rows(state):
            counts[row["key"].split("/")[0]] += bool(row["messages"])
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=10_000)
    pictures = parser.parse_args().pictures
    found: dict[bool, Counter[str]] = {}
    seconds: dict[bool, float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("pictures", "benchmark"):
            (folder / part).mkdir()
        write_folder(folder / "pictures", folder / "benchmark", pictures)
        source = SourceSettings(path=str(folder / "benchmark"))
        make_fingerprints(source, Images(), "mine", folder / "mine.fingerprints")
        for choosing in random.Random(0).sample([False, True], 2):
            recipe = datagen.load_recipe(recipe_of(folder / "pictures", folder, choosing=choosing))
            started = time.monotonic()
            found[choosing] = asked(datagen.run(recipe, folder / f"run {choosing}"))
            seconds[choosing] = time.monotonic() - started
        kinds = Counter(path.parent.name for path in (folder / "pictures").glob("*/*"))
    table = Table(title="pictures that are asked about")
    for column in ("kind", "pictures", "without choosing", "chosen first"):
        table.add_column(column)
    for kind, all_of_it in [*kinds.items(), ("in all", kinds.total())]:
        of = [counts.total() if kind == "in all" else counts[kind] for counts in (found[False], found[True])]
        table.add_row(kind, f"{all_of_it:,}", *(f"{each:,}" for each in of))
    Console().print(table)
    saved = 1 - found[True].total() / found[False].total()
    print(
        f"{TURNS * found[False].total():,} calls without choosing, {TURNS * found[True].total():,} chosen first: "
        f"{saved:.1%} saved; {seconds[True]:.0f} s with the survey and a model that answers at once, "
        f"{seconds[False]:.0f} s without"
    )


if __name__ == "__main__":
    main()
