"""The command that starts a recipe of one's own: `init`."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def init(
    name: Annotated[str | None, typer.Argument(help="The recipe; without it, all of them are listed.")] = None,
    out: Annotated[Path | None, typer.Option(help="The file; NAME.yaml here if not given.")] = None,
) -> None:
    """Write one of the recipes that come with datagen into a file of yours, with comments."""
    from datagen.errors import DatagenError
    from datagen.files.writing import write_text
    from datagen.pipeline.summary import console
    from datagen.shipped_recipes import begun, purpose_of, shipped_recipes

    if name is None:
        for known, path in shipped_recipes().items():
            console.print(f"{known}\n  {purpose_of(path)}", markup=False, soft_wrap=True)
        return
    text = begun(name)
    file = out or Path(f"{name}.yaml")
    if file.exists():
        raise DatagenError(f"{file} is there already; give another name with --out, or move it away.")
    write_text(file, text)
    console.print(f"{file} is written. Set source.path and the models in it, then look at a few images:")
    console.print(f"  datagen preview {file}", soft_wrap=True)
