"""The command line: `run`, `preview`, `filter`, the commands that inspect, and `jicvqa`.

Commands are thin; each imports what it needs when it runs, so that `--help` is quick.
"""

import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, NoReturn, cast

import typer
from typer.core import TyperGroup

from datagen.console import PlainConsole, on_one_line, open_streams
from datagen.errors import DatagenError, InterruptedRunError, system_error
from datagen.jicvqa.commands import app as jicvqa


class _Commands(TyperGroup):
    """The commands; Ctrl-C in one that says nothing about it by itself is told in a sentence, too."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise InterruptedRunError(
                f"Stopped before datagen {ctx.invoked_subcommand} had finished; run the same command again."
            ) from None


app = typer.Typer(
    name="datagen",
    cls=_Commands,
    help="Japanese visual-instruction data: images in, judged question-answer pairs out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(jicvqa, name="jicvqa")

RecipeFile = Annotated[Path, typer.Argument(help="The recipe, a YAML file.")]
ImagesOption = Annotated[str | None, typer.Option("--images", help="Folder, table, Parquet or data set; source.path.")]
EndpointOption = Annotated[
    list[str] | None, typer.Option("--endpoint", help="Base URL of a running server, http://host:port/v1; repeatable.")
]
ModelOption = Annotated[str | None, typer.Option("--model", help="Model name, of every engine.")]
LimitOption = Annotated[int | None, typer.Option("--limit", min=1, help="Only the first N images.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="Change a field of the recipe: key=value, e.g. stages.1.repeat=4.")
]


_UsageError = cast("type[Exception]", typer.BadParameter.__base__)  # Typer has no public name for it


def _print_version(wanted: bool) -> None:
    if wanted:
        from datagen.version import VERSION

        typer.echo(VERSION)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    pass


@app.command()
def run(
    recipe: RecipeFile,
    out: Annotated[Path, typer.Option(help="The run's directory.")],
    images: ImagesOption = None,
    endpoint: EndpointOption = None,
    model: ModelOption = None,
    limit: LimitOption = None,
    set_: SetOption = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Throw away an earlier run in the directory.")] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Make failed images again.")] = False,
    local: Annotated[bool, typer.Option("--local", help="Work in this process; a few images always do.")] = False,
) -> None:
    """Caption images, write question-answer pairs, judge them, and cut the shards.

    The same command goes on where an interrupted run stopped.
    """
    from datagen.pipeline.run import run as run_recipe
    from datagen.pipeline.summary import check_outcome, console, print_summary

    loaded = _load(recipe, images, endpoint, model, limit, set_)
    where: Any = "local" if local else "auto"
    outcome = run_recipe(loaded, out, console, fresh=fresh, retry_failed=retry_failed, where=where)
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

    INPUT is a run's directory, Parquet or JSON with id and messages, or id, question and answer; whole numbers as ids
    become text, and other columns are kept.
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
def export(
    run: Annotated[Path, typer.Argument(help="A run, or what datagen filter wrote.")],
    format_: Annotated[str, typer.Option("--format", help="messages, or a format of your own as module:write.")],
    out: Annotated[Path, typer.Option(help="The folder that is made.")],
    state: Annotated[str, typer.Option(help="Which rows: kept, dropped or failed.")] = "kept",
) -> None:
    """Write the rows of a run in the form that a trainer reads."""
    from datagen.exporters import export as export_run
    from datagen.pipeline.summary import console
    from datagen.records import STATES
    from filters.errors import nearest

    if state not in STATES:
        raise DatagenError(f"--state {state} is no state: {nearest(state, STATES)}.")
    count = export_run(run, format_, out, cast("Any", state))
    console.print(f"{count:,} {state} rows in {out}", soft_wrap=True)
    console.print(f"  load_dataset({str(out)!r})    in Python, with Hugging Face datasets", soft_wrap=True)


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="A run, or what datagen filter wrote.")],
    html: Annotated[
        Path | None, typer.Option(help="Write a page with charts and samples that needs no network.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for machines instead.")] = False,
    seed: Annotated[int, typer.Option(help="Of the draw of samples in the page.")] = 0,
) -> None:
    """Show which rule dropped how much, what only it dropped, and what the run cost."""
    from datagen.inspection.report import report_of
    from datagen.inspection.report_page import write_report_page
    from datagen.inspection.terminal import print_report
    from datagen.pipeline.summary import console

    made = write_report_page(run, html, seed) if html is not None else report_of(run)
    if json:
        console.print(made.to_json(), soft_wrap=True)
        return
    print_report(made, console)
    if html is not None:
        console.print(f"Page: {html} ({html.stat().st_size / 1e6:,.1f} MB)", soft_wrap=True)


@app.command()
def recut(
    run: Annotated[Path, typer.Argument(help="A run, or what datagen filter wrote.")],
    policy: Annotated[str, typer.Option(help="light, standard, strict, or the path of a policy file.")],
    out: Annotated[
        Path | None, typer.Option(help="Where new shards go; without it the difference alone is shown.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with the rows that change.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for machines instead.")] = False,
) -> None:
    """Decide a finished run by another policy, with no model call, and show what changes."""
    from datagen.inspection.difference_page import write_difference_page
    from datagen.inspection.recutting import recut as recut_run
    from datagen.inspection.terminal import print_difference
    from datagen.pipeline.summary import check_outcome, console, print_counts
    from datagen.store.policies import read_policy

    difference, manifest = recut_run(run, read_policy(policy), out)
    if html is not None:
        write_difference_page(difference, html, run, run)
    if json:
        console.print(difference.to_json(), soft_wrap=True)
        return
    print_difference(difference, console)
    if out is not None and manifest is not None:
        print_counts(manifest, out, console)
        check_outcome(manifest, out)


@app.command()
def compare(
    before: Annotated[Path, typer.Argument(help="A run, or what datagen filter wrote.")],
    after: Annotated[Path, typer.Argument(help="Another one, of the same images.")],
    out: Annotated[Path | None, typer.Option(help="Where the rows that differ go.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with the rows that differ.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for machines instead.")] = False,
) -> None:
    """Show which rows two runs decide differently, and by which rules."""
    from datagen.inspection.difference_page import write_difference_page
    from datagen.inspection.recutting import compare_runs
    from datagen.inspection.terminal import print_difference
    from datagen.pipeline.summary import console

    difference = compare_runs(before, after, out)
    if html is not None:
        write_difference_page(difference, html, before, after)
    if json:
        console.print(difference.to_json(), soft_wrap=True)
    else:
        print_difference(difference, console)


@app.command()
def review(
    run: Annotated[Path, typer.Argument(help="A run, or what datagen filter wrote.")],
    rule: Annotated[
        str | None, typer.Option(help="The rule whose hits are to be checked; every rule if not given.")
    ] = None,
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="How many hits of a rule.")] = 100,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Where the sheets go; the run's folder reviews/ if not given.")
    ] = None,
    read: Annotated[Path | None, typer.Option(help="Take in a marked sheet instead of writing one.")] = None,
) -> None:
    """Write a sheet (CSV, and a page) on which people mark true and false hits, or read one back."""
    from datagen.inspection.marks import keep_marks
    from datagen.inspection.report import report_of
    from datagen.inspection.reviews import write_sheet
    from datagen.inspection.terminal import print_report
    from datagen.pipeline.summary import console

    if read is not None:
        console.print(f"{keep_marks(run, read):,} marks read; the report has the precision of each rule.")
        print_report(report_of(run), console)
        return
    rules = [rule] if rule is not None else [hits.rule for hits in report_of(run).rules if hits.rows]
    for name in rules:
        sheet = write_sheet(run, name, count, seed, out)
        console.print(f"{name}: {sheet.drawn:,} of {sheet.hits:,} hits in {sheet.csv} and {sheet.page}", soft_wrap=True)


@app.command()
def explain(
    run: Annotated[Path, typer.Argument(help="A finished run.")],
    row: Annotated[str, typer.Argument(help="The id of the row, its beginning, or the image's key.")],
) -> None:
    """Show how one image came to its end: prompts, answers, verdicts, and its place in the shards."""
    from datagen.inspection.explain import find_row, print_row
    from datagen.pipeline.summary import console

    print_row(find_row(run, row), console)


def _load(
    path: Path,
    images: str | None,
    endpoints: list[str] | None,
    model: str | None,
    limit: int | None,
    overrides: list[str] | None,
) -> Any:
    from datagen.recipe_file import load_recipe

    options: dict[str, Any] = {}
    if images is not None:
        options["source.path"] = images
    if limit is not None:
        options["source.limit"] = limit
    if endpoints:
        options["engines.*.endpoints"] = endpoints
    if model is not None:
        options |= {"engines.*.model": model, "engines.*.weights": None}
    return load_recipe(path, overrides or (), options)


def main() -> NoReturn:
    """Run the command line; an error for the user is one line on standard error."""
    open_streams()
    _look_here_last()
    for argument in sys.argv[1:]:
        if any("\udc80" <= character <= "\udcff" for character in argument):  # how Python carries other bytes
            encoding = sys.getfilesystemencoding()
            _refuse(f"'{argument}' is no text in {encoding}; rename it, or set LANG to the locale of its name.", 2)
    try:
        sys.exit(app(prog_name="datagen", standalone_mode=False))
    except DatagenError as error:
        _refuse(str(error), error.exit_code)
    except OSError as error:
        _refuse(system_error(error), DatagenError.exit_code)
    except _UsageError as error:
        _refuse(_told(error), 2)


def _look_here_last() -> None:
    """Find a rule of the user's own in the working directory, behind all else: no file there hides a library or us."""
    folders = [Path(__file__).parents[1]]  # of an editable installation; without it `prompts.py` here would be first
    with suppress(OSError):  # a working directory that was deleted
        folders.append(Path.cwd())
    sys.path += [folder for folder in map(str, folders) if folder not in sys.path]


def _refuse(message: str, exit_code: int) -> NoReturn:
    if message:
        PlainConsole(stderr=True).print(f"datagen: {on_one_line(message)}", soft_wrap=True)
    sys.exit(exit_code)


def _told(error: Any) -> str:
    """Return what was wrong with the options as a sentence; nothing when Typer has printed the help instead."""
    message: str = error.format_message()
    command = error.ctx.command_path if error.ctx else "datagen"
    return f"{message.rstrip('.')} (see {command} --help)." if message else ""
