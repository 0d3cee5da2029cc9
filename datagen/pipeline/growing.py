"""Runs that grow: the first thousand images today, all tomorrow, and those that were added to the source since.

What is listed later becomes further parts of the run's index; no image that was there before is asked about again, and
the shards are those of a run that was started with all of them.
"""

from pathlib import Path

from rich.console import Console

from datagen.engines.servers.serving import check_given_endpoints
from datagen.errors import DatagenError
from datagen.executors import call
from datagen.recipe import Recipe, SourceSettings
from datagen.sources import open_source
from datagen.store.index import Index, grow_index
from datagen.store.run_directory import RunDirectory


def grows(wanted: SourceSettings, directory: RunDirectory, index: Index) -> bool:
    """Whether a run is to have more images than its index lists, by the recipe's limit.

    Raises:
        DatagenError: it is to have fewer.
    """
    before = index.limit(directory.stored_identity()["source"].get("limit"))
    if wanted.limit is not None and wanted.limit < index.count:
        raise DatagenError(
            f"source.limit (--limit) is {wanted.limit:,}, and {directory.path} has {index.count:,} images already: a "
            "run grows and never shrinks. Take a higher limit or none, or another --out."
        )
    return before is not None and (wanted.limit is None or wanted.limit > before)


def grown(recipe: Recipe, directory: RunDirectory, index: Index, console: Console, *, relist: bool) -> Index:
    """List the source again, and return the index with what came to it.

    Args:
        recipe: with the source and its limit.
        directory: of the run.
        index: of the images that the run has.
        console: where is said how many came to it.
        relist: whether what was added to the source since is meant, and not only what the limit left out.

    Raises:
        DatagenError: the source cannot be listed, or several jobs share it and it has changed.
    """
    if relist and recipe.source.slice is not None:
        raise DatagenError(
            f"--relist does not go with source.slice {recipe.source.slice}: what was added shifts the images between "
            "the slices, and two jobs would make the same ones. Give what was added a run of its own."
        )
    check_given_endpoints(recipe)  # before a source is listed, which may take long
    source = index.read_as(recipe.source, recipe.images.max_bytes)
    listing = directory.listing()
    further = call(_list, directory.index, source, recipe.images.max_bytes, listing, recipe.output.part_rows)
    before = index.count
    index.close()
    listing.replace(directory.index)
    console.print(f"The source was listed again: {further:,} images came to the {before:,} of before.")
    return Index(directory.index)


def _list(before: Path, settings: SourceSettings, max_bytes: int, path: Path, part_rows: int) -> int:
    return grow_index(Index(before), open_source(settings, max_bytes), path, part_rows, settings)
