"""The commands that hand rows on: `export` to trainers, `push` to the hub and to clouds."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from datagen.console import pasteable
from datagen.errors import DatagenError
from filters.registry import shipped_members

if TYPE_CHECKING:
    from datagen.publishing import Published

app = typer.Typer()


@app.command()
def export(
    run: Annotated[Path | None, typer.Argument(help="A run, or what datagen filter wrote.")] = None,
    format_: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            help=f"{', '.join(shipped_members('datagen.exporters'))}, or one of your own as module:Class; repeatable.",
        ),
    ] = None,
    out: Annotated[str | None, typer.Option(help="The folder, new or that of an export; or s3://…, gs://….")] = None,
    state: Annotated[str, typer.Option(help="Which rows: kept, dropped or failed.")] = "kept",
    system: Annotated[
        str | None, typer.Option(help="A system message for every row; an empty one takes those of the rows away.")
    ] = None,
    root: Annotated[
        str | None, typer.Option(help="Where the trainer will see the folder: a path or URL in front of the pictures.")
    ] = None,
    split: Annotated[
        str, typer.Option(help="Shares of train, validation and test, as 0.99/0.01; no picture is in two of them.")
    ] = "1",
    seed: Annotated[int, typer.Option(help="Of the split.")] = 0,
    check: Annotated[
        Path | None,
        typer.Option(help="Look through a folder of training data, ours or not, for what trainers stumble over."),
    ] = None,
) -> None:
    """Write the rows of a run in the forms that trainers read, or --check a folder of such data.

    The same command goes on where it was stopped; further formats can be added to the same folder.
    """
    from datagen.pipeline.summary import console

    if check is not None:
        if run is not None or format_ or out is not None:
            raise DatagenError("--check stands alone, with --root where pictures lie elsewhere.")
        _check_export(check, root)
        return
    if run is None or not format_ or out is None:
        raise DatagenError("datagen export needs a run, --format and --out; or --check and a folder.")
    from datagen.exporters.writing.export import ExportOptions
    from datagen.exporters.writing.export import export as export_run
    from datagen.files.clouds import is_cloud
    from datagen.records import STATES
    from filters.errors import nearest

    if state not in STATES:
        raise DatagenError(f"--state {state} is no state: {nearest(state, STATES)}.")
    options = ExportOptions(cast("Any", state), system, root, split, seed)
    folder = _beside(run) if is_cloud(out) else Path(out)
    exported = export_run(run, format_, folder, options)
    if is_cloud(out):
        from datagen.publishing.cloud import publish

        published = publish(folder, out)
        shutil.rmtree(folder)
    for name, splits in exported.written.items():
        told = " + ".join(f"{count:,} {part}" for part, count in splits.items())
        where = f"{published.url}/{name}" if is_cloud(out) else folder / name
        console.print(f"{name}: {told} of {exported.rows:,} {state} rows in {where}", soft_wrap=True)
    if not is_cloud(out):
        console.print(
            f"  datagen export --check {pasteable(folder)}   what trainers would stumble over", soft_wrap=True
        )
    exported.check()


def _beside(run: Path) -> Path:
    """Return where an export waits on a disk until it is in the cloud: beside the run, so that it can go on."""
    return run.absolute().with_name(f".{run.absolute().name}.export")


def _check_export(folder: Path, root: str | None) -> None:
    from datagen.exporters.checking.check import check
    from datagen.exporters.checking.terminal import print_checked
    from datagen.pipeline.summary import console

    checked = check(folder, [Path(root)] if root is not None else [])
    print_checked(checked, folder, console)
    if checked.counts:
        raise typer.Exit(1)


@app.command()
def push(
    folder: Annotated[Path, typer.Argument(help="A run, what datagen filter wrote, or (to a cloud) an export.")],
    target: Annotated[str, typer.Argument(metavar="ORG/NAME|URL", help="A data set on the hub, or s3://…, gs://….")],
    private: Annotated[bool, typer.Option("--private", help="Make it private, where it is made on the hub.")] = False,
    revision: Annotated[str, typer.Option(help="The branch on the hub.")] = "main",
) -> None:
    """Publish shards, card and manifest on the Hugging Face hub, or in a cloud, so that no reader sees a mixture.

    The same command goes on where it was stopped: what was uploaded is not sent again.
    """
    from datagen.files.clouds import is_cloud
    from datagen.pipeline.summary import console

    if is_cloud(target):
        from datagen.publishing.cloud import publish

        console.print(_sent(publish(folder, target)), soft_wrap=True)
        return
    from datagen.publishing.hub import push as push_run

    console.print(_sent(push_run(folder, target, private=private, revision=revision)), soft_wrap=True)
    console.print(f"  load_dataset({target!r})['train']    in Python, with Hugging Face datasets", soft_wrap=True)


def _sent(published: "Published") -> str:
    if not published.uploaded:
        return f"{published.url} holds just this already."
    return f"{published.uploaded:,} files, {published.bytes / 1e6:,.1f} MB, in {published.url}"
