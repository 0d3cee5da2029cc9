"""The commands that look at pictures before anything is paid for: `survey`, `fingerprint`."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def survey(
    source: Annotated[str, typer.Argument(help="Folder, table, Parquet, WebDataset, hub data set or cloud URL.")],
    out: Annotated[Path, typer.Option(help="Where the table goes.")],
    kind: Annotated[str, typer.Option(help="How SOURCE is read; source.kind of a recipe.")] = "auto",
    html: Annotated[Path | None, typer.Option(help="Write a page with thumbnails.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N images.")] = None,
    against: Annotated[
        list[Path] | None, typer.Option(help="Fingerprints of a benchmark, whose pictures are looked for; repeatable.")
    ] = None,
    distance: Annotated[
        int, typer.Option(min=-1, max=16, help="Bits by which near duplicates may differ; -1 for the same files alone.")
    ] = 6,
) -> None:
    """Measure all pictures of a source: sizes, looks, duplicates, failures. No model is called.

    The same command goes on where it was interrupted.
    """
    from datagen.inspection.surveys import print_survey, write_survey_page
    from datagen.pipeline.summary import console
    from datagen.recipe import Images, SourceSettings
    from datagen.sources import settled
    from datagen.survey.crops import find_crops, has_features
    from datagen.survey.duplicates import find_duplicates
    from datagen.survey.overlaps import find_overlaps, read_fingerprints
    from datagen.survey.summary import summarised
    from datagen.survey.survey import survey as survey_pictures

    references = read_fingerprints(against) if against else None
    images = Images()
    settings = SourceSettings(path=_seen_from_anywhere(source), kind=kind, limit=limit)
    directory = survey_pictures(settings, images, out, console)
    summary = summarised(directory, find_duplicates(directory.table, directory.duplicates, distance))
    print_survey(summary, directory, console)
    if references is not None:
        found = find_overlaps(directory.table, references, directory.overlaps)
        if against and has_features(against):
            found += find_crops(directory, settled(settings, images.max_bytes), images, against)
        console.print(f"{found:,} pictures are in a benchmark, of {len(references.names):,}; {directory.overlaps}")
    if html is not None:
        write_survey_page(summary, directory, settings, images.max_bytes, html)
        console.print(f"Page: {html} ({html.stat().st_size / 1e6:,.1f} MB)", soft_wrap=True)


@app.command()
def fingerprint(
    source: Annotated[str, typer.Argument(help="Your copy of a benchmark: folder, table, Parquet, hub data set, …")],
    out: Annotated[Path, typer.Option(help="The file of fingerprints.")],
    name: Annotated[str | None, typer.Option(help="Of the benchmark; that of the file if not given.")] = None,
    kind: Annotated[str, typer.Option(help="How SOURCE is read; source.kind of a recipe.")] = "auto",
    features: Annotated[
        bool, typer.Option("--features", help="With local features, by which crops from anywhere are found too.")
    ] = False,
    questions: Annotated[
        list[str] | None,
        typer.Option(help="A column of questions, qas.question in lists; repeatable. For the rule benchmark_question."),
    ] = None,
) -> None:
    """Write fingerprints of a benchmark, by which datagen survey --against finds copies of its pictures."""
    from datagen.pipeline.summary import console
    from datagen.recipe import Images, SourceSettings
    from datagen.survey.fingerprints import make_fingerprints

    settings = SourceSettings(path=_seen_from_anywhere(source), kind=kind)
    made = make_fingerprints(settings, Images(), name or out.stem, out, features=features, questions=questions or ())
    console.print(
        f"{made.pictures:,} pictures and {made.questions:,} questions in {out} ({out.stat().st_size / 1e3:,.0f} kB); "
        "no picture can be made of it, and no question stands in it."
    )


def _seen_from_anywhere(source: str) -> str:
    """Return the path of a source so that it holds wherever work is done; names and URLs as they are."""
    return str(Path(source).absolute()) if Path(source).exists() else source
