"""The commands that make rows: `run`, `preview`, `filter`."""

from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer()
RecipeFile = Annotated[Path, typer.Argument(help="The recipe, a YAML file.")]
ImagesOption = Annotated[str | None, typer.Option("--images", help="Folder, table, Parquet or data set; source.path.")]
EndpointOption = Annotated[
    list[str] | None, typer.Option("--endpoint", help="Base URL of a running server, http://host:port/v1; repeatable.")
]
ModelOption = Annotated[str | None, typer.Option("--model", help="Model name, of every engine.")]
SliceOption = Annotated[
    str | None,
    typer.Option("--slice", help="k/n: every n-th image from the k-th on, for one of n jobs."),
]
LimitOption = Annotated[int | None, typer.Option("--limit", min=1, help="Only the first N images.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="Change a field of the recipe: key=value, e.g. stages.1.repeat=4.")
]


@app.command()
def run(
    recipe: RecipeFile,
    out: Annotated[Path, typer.Option(help="The run's directory.")],
    images: ImagesOption = None,
    endpoint: EndpointOption = None,
    model: ModelOption = None,
    limit: LimitOption = None,
    set_: SetOption = None,
    slice_: SliceOption = None,
    machines: Annotated[
        int | None, typer.Option(min=1, help="Wait until the Ray cluster of RAY_ADDRESS has so many machines.")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Throw away an earlier run in the directory.")] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Make failed images again.")] = False,
    relist: Annotated[
        bool, typer.Option("--relist", help="List the source again: what was added to it joins an earlier run.")
    ] = False,
    local: Annotated[bool, typer.Option("--local", help="Work in this process; a few images always do.")] = False,
) -> None:
    """Caption images, write question-answer pairs, judge them, and cut the shards.

    The same command goes on where an interrupted run stopped; with a higher --limit, or none, it takes in more images.
    """
    from datagen.pipeline.run import run as run_recipe
    from datagen.pipeline.summary import check_outcome, console, print_summary

    loaded = _load(recipe, images, endpoint, model, limit, set_, slice_)
    if machines is not None:
        from datagen.executors.ray_tasks import wait_for_machines

        wait_for_machines(machines, console)
    where: Any = "local" if local else "auto"
    outcome = run_recipe(loaded, out, console, fresh=fresh, retry_failed=retry_failed, relist=relist, where=where)
    print_summary(outcome)
    check_outcome(outcome.manifest, out)


@app.command()
def preview(
    recipe: RecipeFile,
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="How many images.")] = 4,
    images: ImagesOption = None,
    endpoint: EndpointOption = None,
    model: ModelOption = None,
    limit: LimitOption = None,
    set_: SetOption = None,
) -> None:
    """Show the real prompts, answers and verdicts for a few images, and an estimate for all."""
    from datagen.pipeline.preview import preview as preview_recipe
    from datagen.pipeline.summary import console

    preview_recipe(_load(recipe, images, endpoint, model, limit, set_), count, console)


@app.command("filter")
def filter_(
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="A run, Parquet, or JSON (lines or an array).")],
    out: Annotated[Path, typer.Option(help="Where verdicts and shards go.")],
    policy: Annotated[str, typer.Option(help="light, standard, strict, or the path of a policy file.")] = "standard",
    shard_bytes: Annotated[int, typer.Option(min=1, help="The size of a shard in bytes.")] = 500_000_000,
    what_if: Annotated[
        tuple[str, str] | None,
        typer.Option(help="Two policies: write the difference between them into --out, and cut no shards."),
    ] = None,
) -> None:
    """Judge stored conversations by a policy, with no model call, and cut them anew.

    INPUT is a run's directory, Parquet or JSON with id and messages, or id, question and answer; JSON may also be in
    the shape of ShareGPT, LLaVA, OpenAI or FineVision. Whole numbers as ids become text, and other columns are kept.
    """
    from datagen.pipeline.filtering import filter_rows
    from datagen.pipeline.summary import check_outcome, console, print_counts
    from datagen.recipe import Output
    from datagen.store.policies import read_policy

    if what_if is not None:
        from datagen.inspection.recutting import what_if as difference_of
        from datagen.inspection.terminal import print_difference

        before, after = map(read_policy, what_if)
        print_difference(difference_of(source, before, after, out), console)
        return
    manifest = filter_rows(source, read_policy(policy), out, Output(shard_bytes=shard_bytes))
    print_counts(manifest, out, console)
    check_outcome(manifest, out)


@app.command()
def unanswerable(
    run: Annotated[Path, typer.Argument(help="A finished run, or what datagen filter wrote.")],
    out: Annotated[Path, typer.Option(help="Where the shards go.")],
    rows: Annotated[int, typer.Option(min=1, help="How many are wanted.")] = 100,
    policy: Annotated[str, typer.Option(help="light, standard, strict, or the path of a policy file.")] = "standard",
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 0,
) -> None:
    """Put questions of a run to other pictures of it, which cannot answer them, with no model call."""
    from datagen.inspection.unanswerable import make_unanswerable
    from datagen.pipeline.summary import check_outcome, console, print_counts, print_samples
    from datagen.store.policies import read_policy

    manifest = make_unanswerable(run, out, rows, read_policy(policy), seed)
    print_samples(out, manifest)
    print_counts(manifest, out, console)
    check_outcome(manifest, out)


def _load(
    path: Path,
    images: str | None,
    endpoints: list[str] | None,
    model: str | None,
    limit: int | None,
    overrides: list[str] | None,
    slice_: str | None = None,
) -> Any:
    from datagen.recipe_file import load_recipe

    options: dict[str, Any] = {}
    if images is not None:
        options["source.path"] = images
    if limit is not None:
        options["source.limit"] = limit
    if slice_ is not None:
        options["source.slice"] = slice_
    if endpoints:
        options |= {"engines.*.endpoints": endpoints, "engines.*.stand_in": None}
    if model is not None:
        options |= {"engines.*.model": model, "engines.*.weights": None, "engines.*.stand_in": None}
    return load_recipe(path, overrides or (), options)
