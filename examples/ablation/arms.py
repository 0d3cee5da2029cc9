"""The data of an ablation: a run for every share of answers that ask back, cut and exported for every arm."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from drawings import TRAINING, draw
from settings import Settings

import datagen
from datagen.errors import DatagenError
from datagen.files.writing import json_text, write_text
from datagen.recipe import Recipe

_UNFILTERED = {"name": "unfiltered", "purpose": "Everything that was made.", "rules": []}
_PICTURES = "pictures"


class Arm(NamedTuple):
    """The data of one arm.

    Attributes:
        name: of the arm.
        share: of the answers that ask back, before filtering; none for data of one's own.
        export: the folder of its rows, in the format `messages`.
        rows: how many there are; `answers` likewise.
        asking: answers in it that ask back.
        digest: of the rows; arms with the same rows share their students.
    """

    name: str
    share: float | None
    export: Path
    rows: int
    answers: int
    asking: int
    digest: str


def make_arms(settings: Settings, out: Path) -> list[Arm]:
    """Make what is not there yet, and return all arms, the smallest share first.

    Raises:
        DatagenError: a run or a cut went wrong.
    """
    if settings.own is not None:
        return list(_cut(settings, datagen.open_run(settings.own.run), None, out / "data" / "own"))
    draw(out / _PICTURES, settings.things, settings.pictures_each, settings.held_out_each)
    arms: list[Arm] = []
    for share in settings.shares:
        folder = out / "data" / f"share-{share:g}"
        run = datagen.run(_recipe(settings, out, share), folder / "run", where="local")
        arms += _cut(settings, run, share, folder)
    return arms


def _recipe(settings: Settings, out: Path, share: float) -> Recipe:
    pictures = (out / _PICTURES).resolve()
    teacher = {
        "kind": "teacher:Teacher",
        "model": "templates",
        "weights": str(pictures / f"{TRAINING}.json"),
        "extra_body": {"asks_back": share},
    }
    return datagen.load_recipe(
        {
            "task": "ablation",
            "source": {"name": "altered_drawings", "path": str(pictures / TRAINING)},
            "engines": {"teacher": teacher},
            "stages": [{"prompt": "question_answer", "engine": "teacher", "repeat": settings.turns}],
            "policy": "standard",
        }
    )


def _cut(settings: Settings, run: datagen.Run, share: float | None, folder: Path) -> Iterator[Arm]:
    for name, policy in settings.arms.items():
        described = folder / f"{name}.json"
        export = folder / name / "messages"
        if not described.exists():
            cut = folder / f"{name}-cut"
            run.recut(policy or _UNFILTERED, cut)
            datagen.open_run(cut).export("messages", folder / name)
            write_text(described, json_text(_facts(export)))
        yield Arm(name, share, export, **json.loads(described.read_text(encoding="utf-8")))


def _facts(export: Path) -> dict[str, Any]:
    from fine_tuning import load_split
    from teacher import asks_back

    rows = load_split(export, "train")
    if rows is None:
        raise DatagenError(
            f"No row is left in {export}: nobody can be trained on it. Give more data, smaller shares, or other arms."
        )
    answers = [
        "".join(part["text"] or "" for part in message["content"])
        for messages in rows["messages"]
        for message in messages
        if message["role"] == "assistant"
    ]
    digest = hashlib.sha256()
    for path in sorted(export.glob("*.parquet")):
        digest.update(path.read_bytes())
    return {
        "rows": len(rows),
        "answers": len(answers),
        "asking": sum(map(asks_back, answers)),
        "digest": digest.hexdigest(),
    }
