"""`datagen preview`: a few images through the real conversation, everything shown, nothing written."""

import asyncio
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from datagen.console import on_one_line, styled
from datagen.engines.servers.serving import served
from datagen.event_loops import run_to_end
from datagen.executors import suited
from datagen.pictures.picture import Picture
from datagen.pipeline.row_maker import Known, RowMaker
from datagen.pipeline.summary import sample_lines
from datagen.progress import duration
from datagen.recipe import Recipe
from datagen.records import Row
from datagen.sources import Entry, open_source, settled
from datagen.stages.step import check_names
from datagen.store.index import IndexEntry, no_images, row_id
from datagen.store.policies import CarriedPolicy, read_policy


class Previewed(NamedTuple):
    """A few rows with their pictures, what they took, and how many there would be.

    Attributes:
        rows: with the pictures of each.
        seconds: that they took.
        total: images of the source.
    """

    rows: list[tuple[Row, tuple[Picture, ...]]]
    seconds: float
    total: int

    def estimate(self) -> str:
        """Return what the whole source would take, as a sentence."""
        count = len(self.rows)
        calls = [call for row, _ in self.rows for call in row.calls]
        prompts = sum(call.prompt_tokens for call in calls)
        answers = sum(call.completion_tokens for call in calls)
        return (
            f"{count} images in {self.seconds:.1f} s: {prompts:,} prompt and {answers:,} answer tokens. For all "
            f"{self.total:,} images about {prompts * self.total // count:,} and {answers * self.total // count:,} "
            f"tokens, and at the pace of this preview at most {duration(self.seconds * self.total / count)} "
            "(a run has many more images under way at once)."
        )


def preview_rows(recipe: Recipe, count: int, console: Console) -> Previewed:
    """Converse about `count` images drawn from the source; nothing is written.

    Raises:
        DatagenError: as for a run.
    """
    policy = read_policy(recipe.policy)
    check_names(recipe, policy)
    recipe = recipe.model_copy(update={"source": settled(recipe.source, recipe.images.max_bytes)})
    drawn, total = _draw(recipe, count)
    with (
        suited(few=True),
        tempfile.TemporaryDirectory(prefix="datagen-") as folder,
        served(recipe, Path(folder), console) as (ready, keys, _),
    ):
        started = time.monotonic()
        purposes = recipe.mix.purposes if recipe.mix else ()
        rows = run_to_end(_rows(RowMaker(ready, CarriedPolicy.of(policy), keys), drawn, purposes))
        return Previewed(rows, time.monotonic() - started, total)


def preview(recipe: Recipe, count: int, console: Console) -> None:
    """Show prompts, answers, verdicts and an estimate for a few images.

    Raises:
        DatagenError: as for a run.
    """
    previewed = preview_rows(recipe, count, console)
    for row, _ in previewed.rows:
        console.rule(on_one_line(row.key))
        _print(row, console)
    console.rule()
    console.print(previewed.estimate(), soft_wrap=True)


def _draw(recipe: Recipe, count: int) -> tuple[list[IndexEntry], int]:
    """Draw images evenly from the whole source in one pass (reservoir sampling, Vitter 1985), and count it."""
    draw = random.Random(recipe.seed)
    kept: list[tuple[int, Entry]] = []
    total = 0
    source = open_source(recipe.source, recipe.images.max_bytes)
    for position, entry in enumerate(recipe.source.chosen(source.entries())):
        total = position + 1
        if len(kept) < count:
            kept.append((position, entry))
        elif (slot := draw.randrange(total)) < count:
            kept[slot] = (position, entry)
    if not kept:
        raise no_images(source)
    return [IndexEntry(position, row_id(entry.key), entry) for position, entry in sorted(kept)], total


async def _rows(
    maker: RowMaker, drawn: list[IndexEntry], purposes: Sequence[str]
) -> list[tuple[Row, tuple[Picture, ...]]]:
    """Make the rows; the purposes of a mix take turns."""
    known = [Known(purposes[number % len(purposes)]) if purposes else Known() for number in range(len(drawn))]
    async with maker:
        return await asyncio.gather(
            *(maker.make(listed, known=each) for listed, each in zip(drawn, known, strict=True))
        )


def _print(row: Row, console: Console) -> None:
    for call in row.calls:
        to = f" to {call.model}, {call.sampling}, seed {call.seed}"
        console.print(styled((f"→ {call.prompt}", "bold"), to), soft_wrap=True)
        console.print(styled((call.request, "dim")), soft_wrap=True)
        console.print(styled(("←", "bold"), f" {call.answer}"), soft_wrap=True)
        tokens = f"  {call.prompt_tokens} + {call.completion_tokens} tokens, {call.finish_reason}"
        console.print(styled((tokens, "dim")), soft_wrap=True)
    for line in sample_lines(row.model_dump(by_alias=True)):
        console.print(line, soft_wrap=True)
