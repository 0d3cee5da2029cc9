"""The main job from end to end: list, make, cut, account."""

import os
import shutil
import time
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NamedTuple

from rich.console import Console

from datagen.engines.servers.serving import check_given_endpoints
from datagen.errors import DatagenError, InterruptedRunError
from datagen.executors import Executor, call, executor, is_chosen, using
from datagen.pipeline.growing import grown, grows
from datagen.pipeline.making import make
from datagen.pipeline.phases import phases
from datagen.recipe import Recipe, SourceSettings
from datagen.sources import open_source, settled, told
from datagen.stages.step import check_names
from datagen.store.cut import cut
from datagen.store.identity import identity, published
from datagen.store.index import Index, no_images, write_index
from datagen.store.judging import judge_parts, judged_by_others
from datagen.store.manifest import read_manifest, shards_are_there
from datagen.store.parts import check_rows_of_index
from datagen.store.policies import policy_facts, read_policy
from datagen.store.quotas import apply_quotas
from datagen.store.reopening import reopen_failed, reopen_unmade
from datagen.store.run_directory import RunDirectory
from datagen.survey.scores import survey_for_run
from filters import Policy

FEW = 16
"""So many images are made in this process, without Ray, unless the recipe or the caller says otherwise."""


class Outcome(NamedTuple):
    """A finished run: its directory, its manifest, and how long it took in seconds, the cut of the shards alone too."""

    directory: RunDirectory
    manifest: dict[str, Any]
    seconds: float
    cutting_seconds: float = 0.0


def run(
    recipe: Recipe,
    out: Path,
    console: Console,
    *,
    fresh: bool = False,
    retry_failed: bool = False,
    relist: bool = False,
    where: Executor | Literal["auto"] | None = None,
) -> Outcome:
    """Run a recipe into a directory, or go on with what is there.

    Args:
        recipe: what to make.
        out: the run's directory.
        console: where progress is shown.
        fresh: throw away an earlier run first.
        retry_failed: make the failed images of an earlier run again.
        relist: list the source again, and take what was added to it into an earlier run.
        where: the work is done; `auto` is this process for a few images and Ray for all else, unless a caller has
            chosen with `datagen.executors.using`.

    Raises:
        DatagenError: wrong input, or the run cannot go on; the message says what to do.
        AccountingError: the inputs are not the sum of what came out.
        InterruptedRunError: Ctrl-C.
    """
    try:
        with using(where if where == "local" or where == "ray" else _chosen(recipe, few=where == "auto")):
            return _run(recipe, out, console, fresh=fresh, retry_failed=retry_failed, relist=relist)
    except KeyboardInterrupt:
        raise InterruptedRunError(
            f"Stopped. What is done is kept in {out}; the same command goes on from there."
        ) from None


def _chosen(recipe: Recipe, *, few: bool) -> Executor:
    """Return where a run is made: a few images are done before Ray has started."""
    if is_chosen():
        return executor()
    if not few or os.environ.get("RAY_ADDRESS") or (recipe.workers or 1) > 1:
        return "ray"
    source = open_source(recipe.source, recipe.images.max_bytes)
    few = sum(1 for _ in islice(recipe.source.chosen(source.entries()), FEW + 1)) <= FEW
    return "local" if few else "ray"


def _run(recipe: Recipe, out: Path, console: Console, *, fresh: bool, retry_failed: bool, relist: bool) -> Outcome:
    policy = read_policy(recipe.policy)
    check_names(recipe, policy)
    directory = RunDirectory(out.absolute())
    source = _looked_at(recipe, directory.path) if fresh or not directory.index.exists() else None
    with directory.locked():
        directory.wait_for_workers(console)
        if fresh:
            directory.check_clearable()
            check_given_endpoints(recipe)  # before anything is thrown away
            directory.clear()
        resumed = directory.claim(recipe)
        index = _index(recipe, directory, source, console, relist=relist)
        if recipe.survey is not None and directory.unsealed(index):
            survey_for_run(
                recipe, index.read_as(recipe.source, recipe.images.max_bytes), directory.index, directory.survey
            )
        planned = phases(recipe, directory.parts)
        if retry_failed:
            again = sum(reopen_failed(directory.parts, number) for number in range(index.parts))
            for phase in planned[:-1]:
                for number in directory.unsealed(index):
                    reopen_failed(phase.parts, number)
            console.print(f"{again:,} failed images are tried again.")
        measured_before = (*recipe.checks, *(recipe.survey.scores if recipe.survey else ()))
        if measured_before and resumed:
            before_calls = policy.of_scores(measured_before)
            passing = sum(reopen_unmade(directory.parts, number, before_calls) for number in range(index.parts))
            for phase in planned[:-1]:
                for number in directory.unsealed(index):
                    reopen_unmade(phase.parts, number, before_calls)
            if passing:
                console.print(f"{passing:,} images that a check had dropped pass now, and are made.")
        made = make(recipe, directory, policy, index, planned, console, resumed=resumed)
        cutting_started = time.monotonic()
        manifest = _cut(recipe, directory, policy, index, console)
        ended = time.monotonic()
        directory.note_session(
            making_seconds=made.seconds,
            cutting_seconds=ended - cutting_started,
            images=sum(worker.states.total() for worker in made.progress),
            prompt_tokens=sum(worker.prompt_tokens for worker in made.progress),
            completion_tokens=sum(worker.completion_tokens for worker in made.progress),
            retries=sum(worker.retries for worker in made.progress),
        )
    cutting = ended - cutting_started
    return Outcome(directory, manifest, made.seconds + cutting, cutting)


def _index(
    recipe: Recipe, directory: RunDirectory, source: SourceSettings | None, console: Console, *, relist: bool
) -> Index:
    """Return the index, listing the source if there is none yet, or if the run is to grow."""
    if directory.index.exists():
        index = Index(directory.index)
        if not grows(recipe.source, directory, index) and not relist:
            console.print(_listed_before(directory, index), markup=False, soft_wrap=True)
            return index
        return grown(recipe, directory, index, console, relist=relist)
    check_given_endpoints(recipe)  # before a source is listed, which may take long
    listing = directory.listing()
    source = source or _looked_at(recipe, directory.path)
    passed_over = call(_list, source, recipe.images.max_bytes, listing, recipe.output.part_rows)
    check_rows_of_index(Index(listing), directory.parts)
    listing.replace(directory.index)
    if passed_over:
        console.print(f"Not taken for pictures by their names: {passed_over}.", markup=False, soft_wrap=True)
    return Index(directory.index)


def _listed_before(directory: RunDirectory, index: Index) -> str:
    listed = datetime.fromtimestamp(directory.index.stat().st_mtime).astimezone()
    return (
        f"The source was listed on {listed:%Y-%m-%d %H:%M}: {index.count:,} images. What was added to it since is not "
        "in this run; --relist takes it in."
    )


def _looked_at(recipe: Recipe, out: Path) -> SourceSettings:
    """Return how the source is read, which is decided here once; one that is unreadable is found before the start.

    Raises:
        DatagenError: it cannot be read, or the run would be written into it.
    """
    folder = Path(recipe.source.path)
    if recipe.source.kind != "hub" and folder.is_dir() and out.resolve().is_relative_to(folder.resolve()):
        raise DatagenError(
            f"--out {out} lies in source.path {folder}, and what is written would be among the pictures; choose an "
            "--out outside of it."
        )
    decided = settled(recipe.source, recipe.images.max_bytes)
    source = open_source(decided, recipe.images.max_bytes)
    if next(decided.chosen(source.entries()), None) is None:
        raise no_images(source)
    return decided


def _list(settings: SourceSettings, max_bytes: int, path: Path, part_rows: int) -> str:
    """List a source into an index, and return what it passed over."""
    source = open_source(settings, max_bytes)
    write_index(source, path, part_rows, settings)
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return told(source.passed_over)


def _cut(recipe: Recipe, directory: RunDirectory, policy: Policy, index: Index, console: Console) -> dict[str, Any]:
    """Cut the shards, unless those of an earlier cut are still right."""
    facts: dict[str, Any] = {
        "task": recipe.task,
        "recipe": published(identity(recipe)),
        "output": recipe.output.model_dump(mode="json"),
        "policy": policy_facts(policy),
    }
    earlier = read_manifest(directory.path) if directory.manifest.exists() else None
    rule_failed = earlier is not None and "rule_error" in earlier["failures"]  # by data that the digest does not see
    if (
        earlier is not None
        and not directory.uncut
        and not rule_failed
        and all(earlier.get(key) == value for key, value in facts.items())
        and shards_are_there(directory.path, earlier)
    ):
        return earlier
    console.print("Cutting the shards.")
    free = shutil.disk_usage(directory.path).free
    needed = sum(path.stat().st_size for path in directory.parts.glob("*.tar"))
    if needed > free:
        raise DatagenError(
            f"The shards need about {needed / 1e9:.1f} GB, and {directory.path} has {free / 1e9:.1f} GB free. "
            "Make room and run the same command again: no model is called for what is done."
        )
    verdicts = None
    if judged_by_others(directory.parts, policy):
        console.print(f"Judging the stored answers by the policy {policy.name}; no model is called.")
        verdicts = directory.path / "verdicts.parquet"
        judge_parts(directory.parts, policy, verdicts, others_only=True)
    if recipe.mix is not None:
        judged, verdicts = verdicts, directory.path / "quotas.parquet"
        facts["mix"] = apply_quotas(directory.parts, judged, recipe.mix, recipe.seed, verdicts)
        facts["listed"] = index.count
    inputs = index.images(directory.needed(index))
    manifest = cut(directory.parts, directory.path, recipe.output, facts, inputs, verdicts)
    directory.note_cut()
    return manifest
