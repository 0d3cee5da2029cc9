"""Starting again on a finished directory: seconds and memory, and that no server is asked.

    python -m benchmarks.resume [--images 100000]

The rows are written by the functions of datagen, without a model; the endpoint of the recipe is dead. The first start
cuts the shards, the second finds nothing to do.
"""

import argparse
import io
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from PIL import Image
from rich.console import Console

from benchmarks.memory import peak_megabytes
from datagen.pictures.picture import prepare
from datagen.recipe import Images, Recipe
from datagen.recipe_file import load_recipe
from datagen.records import Call, MessageRecord, Row
from datagen.sources import Entry, Loaded
from datagen.store.index import Index, IndexEntry, write_index
from datagen.store.journal import Journal
from datagen.store.run_directory import RunDirectory
from prompts import Prompt

RECIPE = """
source: {path: pictures}
engines: {vlm: {model: fake-vlm, endpoints: ["http://127.0.0.1:9/v1"]}}
stages: [{prompt: question_answer, engine: vlm, repeat: 3}]
"""
QUESTION = "{}枚目の写真には何が写っていますか？"
ANSWER = "{}番の通りにある、赤い屋根の建物の写真です。手前に木が立っています。"


class Names:
    """A source of names alone."""

    column = None

    def __init__(self, count: int) -> None:
        self.passed_over: Counter[str] = Counter()
        self._count = count

    def entries(self) -> Iterator[Entry]:
        """List them."""
        for number in range(self._count):
            name = f"{number // 1000:04}/{number:08}.jpg"
            yield Entry(name, b"pictures/" + name.encode())

    async def read(self, entry: Entry) -> Loaded:
        """Nothing is read."""
        raise NotImplementedError(entry.key)

    async def close(self) -> None:
        """Nothing is open."""


def row_of(listed: IndexEntry, recipe: Recipe, prompt: Prompt) -> Row:
    """Return a kept row with three turns."""
    stage = recipe.stages[0]
    sampling = prompt.sampling.model_dump_json()
    calls, messages = [], []
    for turn in range(stage.repeat):
        question, answer = QUESTION.format(listed.position + turn), ANSWER.format(listed.position + turn)
        messages += [MessageRecord(role="user", content=question), MessageRecord(role="assistant", content=answer)]
        calls.append(
            Call(
                stage=0,
                engine=stage.engine,
                model="fake-vlm",
                prompt=prompt.name,
                prompt_digest=prompt.digest,
                sampling=sampling,
                seed=listed.position * 3 + turn,
                attempt=1,
                request=question,
                answer=answer,
                finish_reason="stop",
                prompt_tokens=100,
                completion_tokens=40,
            )
        )
    return Row(
        id=listed.id,
        key=listed.entry.key,
        source="images",
        task=recipe.task,
        messages=messages,
        calls=calls,
        state="kept",
    )


def write_finished(folder: Path, recipe: Recipe, count: int) -> None:
    """Write a directory whose parts are all complete, with no shards yet."""
    encoded = io.BytesIO()
    Image.new("RGB", (32, 32), "green").save(encoded, "JPEG")
    picture = prepare(encoded.getvalue(), Images())
    directory = RunDirectory(folder / "out")
    directory.path.mkdir()
    directory.claim(recipe)
    write_index(Names(count), directory.index, recipe.output.part_rows)
    index = Index(directory.index)
    prompt = recipe.prompt(recipe.stages[0])
    for number in range(index.parts):
        with Journal(directory.parts, number) as journal:
            for listed in index.part(number):
                row = row_of(listed, recipe, prompt)
                row.pictures = [picture.record]
                journal.append(row, listed.position, [picture])
            journal.seal()


def main() -> None:
    """Print what each start took."""
    parser = argparse.ArgumentParser(description="Starting again on a finished directory.")
    parser.add_argument("--images", type=int, default=100_000)
    options = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "pictures").mkdir()
        (folder / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
        recipe = load_recipe(folder / "recipe.yaml", (), {"source.path": str(folder / "pictures")})
        write_finished(folder, recipe, options.images)
        command = [sys.executable, "-m", "datagen", "run", str(folder / "recipe.yaml"), "--out", str(folder / "out")]
        command += ["--images", str(folder / "pictures")]
        for name in ("cutting the shards", "nothing to do", "nothing to do, again"):
            peak, seconds = peak_megabytes(command)
            console.print(f"{options.images:,} images, {name}: {seconds:.1f} s, driver's peak {peak:.0f} MB")


if __name__ == "__main__":
    main()
