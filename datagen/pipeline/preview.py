"""`datagen preview`: a few images through the real conversation, everything shown, nothing written."""

import asyncio
import random
import tempfile
import time
from pathlib import Path

from rich.console import Console

from datagen.console import on_one_line, styled
from datagen.engines.servers.serving import served
from datagen.pipeline.row_maker import RowMaker
from datagen.pipeline.summary import sample_lines
from datagen.progress import duration
from datagen.recipe import Recipe
from datagen.records import Row
from datagen.sources import Entry, open_source, settled
from datagen.stages.step import check_names
from datagen.store.index import Listed, no_images, row_id
from datagen.store.policies import CarriedPolicy, read_policy


def preview(recipe: Recipe, count: int, console: Console) -> None:
    """Converse about `count` images drawn from the source, and show prompts, answers, verdicts and an estimate.

    Raises:
        DatagenError: as for a run.
    """
    policy = read_policy(recipe.policy)
    check_names(recipe, policy)
    recipe = recipe.model_copy(update={"source": settled(recipe.source, recipe.images.max_bytes)})
    drawn, total = _draw(recipe, count)
    with (
        tempfile.TemporaryDirectory(prefix="datagen-") as folder,
        served(recipe, Path(folder), console) as (ready, keys, _),
    ):
        started = time.monotonic()
        rows = asyncio.run(_rows(RowMaker(ready, CarriedPolicy.of(policy), keys), drawn))
        seconds = time.monotonic() - started
    for row in rows:
        console.rule(on_one_line(row.key))
        _print(row, console)
    console.rule()
    prompt_tokens = sum(call.prompt_tokens for row in rows for call in row.calls)
    answer_tokens = sum(call.completion_tokens for row in rows for call in row.calls)
    console.print(
        f"{len(rows)} images in {seconds:.1f} s: {prompt_tokens:,} prompt and {answer_tokens:,} answer tokens. For all "
        f"{total:,} images about {prompt_tokens * total // len(rows):,} and {answer_tokens * total // len(rows):,} "
        f"tokens, and at the pace of this preview at most {duration(seconds * total / len(rows))} "
        "(a run has many more images under way at once).",
        soft_wrap=True,
    )


def _draw(recipe: Recipe, count: int) -> tuple[list[Listed], int]:
    """Draw images evenly from the whole source in one pass (reservoir sampling, Vitter 1985), and count it."""
    draw = random.Random(recipe.seed)
    kept: list[tuple[int, Entry]] = []
    total = 0
    source = open_source(recipe.source, recipe.images.max_bytes)
    for position, entry in enumerate(source.entries()):
        if recipe.source.limit is not None and position >= recipe.source.limit:
            break
        total = position + 1
        if len(kept) < count:
            kept.append((position, entry))
        elif (place := draw.randrange(total)) < count:
            kept[place] = (position, entry)
    if not kept:
        raise no_images(source)
    return [Listed(position, row_id(entry.key), entry) for position, entry in sorted(kept)], total


async def _rows(maker: RowMaker, drawn: list[Listed]) -> list[Row]:
    async with maker:
        return [row for row, _ in await asyncio.gather(*map(maker.make, drawn))]


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
