"""The commands that look at pictures before anything is paid for: `survey`."""

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
    from datagen.survey.duplicates import find_duplicates
    from datagen.survey.summary import summarised
    from datagen.survey.survey import survey as survey_pictures

    images = Images()
    settings = SourceSettings(
        path=str(Path(source).absolute()) if Path(source).exists() else source, kind=kind, limit=limit
    )
    directory = survey_pictures(settings, images, out, console)
    summary = summarised(directory, find_duplicates(directory.table, directory.duplicates, distance))
    print_survey(summary, directory, console)
    if html is not None:
        write_survey_page(summary, directory, settings, images.max_bytes, html)
        console.print(f"Page: {html} ({html.stat().st_size / 1e6:,.1f} MB)", soft_wrap=True)
