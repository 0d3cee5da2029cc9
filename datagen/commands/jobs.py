"""The command that writes job files for batch systems: `job`."""

from pathlib import Path
from typing import Annotated

import typer

from datagen.errors import DatagenError

app = typer.Typer()


@app.command()
def job(
    system: Annotated[str, typer.Argument(help="slurm, pbs or rayjob (KubeRay).")],
    recipe: Annotated[Path, typer.Argument(help="The recipe, a YAML file.")],
    out: Annotated[Path, typer.Option(help="The run's directory, which all machines see.")],
    file: Annotated[Path | None, typer.Option("--file", help="Where the job file goes; here, if not given.")] = None,
    nodes: Annotated[int, typer.Option(min=1, help="Machines.")] = 1,
    gpus: Annotated[int, typer.Option(min=0, help="GPUs of each machine.")] = 8,
    cpus: Annotated[int, typer.Option(min=1, help="CPUs of each machine.")] = 32,
    memory: Annotated[int, typer.Option(min=1, help="Memory of each machine in GiB, for pbs and rayjob.")] = 256,
    hours: Annotated[float, typer.Option(help="The time limit.")] = 24,
    grace: Annotated[int, typer.Option(min=60, help="Seconds before the limit at which the run stops.")] = 300,
    array: Annotated[
        int | None, typer.Option(min=2, help="So many jobs of one machine each, with a slice of the images each.")
    ] = None,
    queue: Annotated[str, typer.Option(help="Partition or queue.")] = "",
    account: Annotated[str, typer.Option(help="Account or group that pays.")] = "",
    setup: Annotated[str, typer.Option(help="A shell command before all others, such as 'module load cuda'.")] = "",
    image: Annotated[str, typer.Option(help="Container image, for rayjob.")] = "",
    volume: Annotated[str, typer.Option(help="Claim of the volume with recipe and --out, for rayjob.")] = "shared",
    mount: Annotated[str, typer.Option(help="Where it is mounted.")] = "/shared",
    option: Annotated[
        list[str] | None, typer.Option("--option", help="A further option of datagen run, e.g. --option=--limit=1000.")
    ] = None,
) -> None:
    """Write the job file of `datagen run` for a batch system; the job may be submitted again at any time."""
    from datagen.console import pasteable
    from datagen.files.writing import write_text
    from datagen.jobs import absolute, job_file, job_of
    from datagen.pipeline.summary import console
    from datagen.recipe_file import load_recipe

    if system != "rayjob":  # its paths are those of the volume
        load_recipe(recipe, [part.removeprefix("--set=") for part in option or () if part.startswith("--set=")])
        recipe, out = absolute(recipe), absolute(out)
    elif not recipe.is_absolute() or not out.is_absolute():
        raise DatagenError(f"Name recipe and --out of a RayJob as its machines see them, below {mount}.")
    made = job_of(
        recipe=recipe, out=out, options=tuple(option or ()), nodes=nodes, gpus=gpus, cpus=cpus, memory=memory,
        hours=hours, grace=grace, array=array, queue=queue, account=account, setup=setup, image=image, volume=volume,
        mount=mount,
    )  # fmt: skip
    name, text = job_file(system, made)
    path = file or Path(name)
    write_text(path, text)
    console.print(f"{path} is written. It says in its first lines how it is started:", soft_wrap=True)
    submit = next(line for line in text.splitlines() if line.startswith(("# Submit:", "# Start:")))
    console.print(f"  {submit.partition(':')[2].strip().replace(name, pasteable(path))}", soft_wrap=True)
