"""The commands that look at rows: `report`, `recut`, `compare`, `review`, `explain`."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()
RunDirectory = Annotated[Path, typer.Argument(help="A run, or what datagen filter wrote.")]
HtmlOption = Annotated[Path | None, typer.Option(help="Write a page with the rows that change.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines instead.")]


@app.command()
def report(
    run: RunDirectory,
    html: Annotated[
        Path | None, typer.Option(help="Write a page with charts and samples that needs no network.")
    ] = None,
    json: JsonOption = False,
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
    run: RunDirectory,
    policy: Annotated[str, typer.Option(help="light, standard, strict, or the path of a policy file.")],
    out: Annotated[
        Path | None, typer.Option(help="Where new shards go; without it the difference alone is shown.")
    ] = None,
    html: HtmlOption = None,
    json: JsonOption = False,
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
    html: HtmlOption = None,
    json: JsonOption = False,
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
    run: RunDirectory,
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
    """Show how one image came to its end: prompts, answers, verdicts, and where it lies in the shards."""
    from datagen.inspection.explain import find_row, print_row
    from datagen.pipeline.summary import console

    print_row(find_row(run, row), console)
