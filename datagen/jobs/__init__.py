"""Job files: the same command as a job of a batch system. A new system is one new template beside this file.

A job starts Ray on the machines that it gets, and `datagen run` on the first of them; Ray places the models and the
workers. It ends in good time before its limit, and comes again with the same command, which goes on where it was. With
`array` there are so many jobs of one machine each instead, each with every n-th image and a run directory of its own.
"""

import os
import shlex
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from datagen.errors import DatagenError
from filters.errors import nearest, sentence

_FOLDER = Path(__file__).parent


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("it has characters that no job file can hold on one line")
    return text


_Line = Annotated[str, AfterValidator(_printable)]


class Job(BaseModel):
    """What a job file says.

    Attributes:
        recipe: of `datagen run`; absolute, since jobs start elsewhere.
        out: the run's directory, on a file system that all machines see.
        options: further ones of `datagen run`, as they are given.
        nodes: machines.
        gpus: of each machine.
        cpus: of each machine.
        memory: of each machine, in GiB, where the system asks for it.
        hours: the time limit.
        grace: seconds before the limit at which the run is told to stop.
        array: so many jobs of one machine each, in place of one job.
        queue: the partition or queue, if one has to be named.
        account: the account or group that pays, likewise.
        setup: a shell command before all others, such as `module load cuda`.
        image: the container image, for Kubernetes.
        volume: the claim of the volume that holds recipe and out, for Kubernetes, mounted at `mount`.
        mount: where.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    recipe: Path
    out: Path
    options: tuple[_Line, ...] = ()
    nodes: int = Field(1, ge=1)
    gpus: int = Field(8, ge=0)
    cpus: int = Field(32, ge=1)
    memory: int = Field(256, ge=1)
    hours: float = Field(24, gt=0)
    grace: int = Field(300, ge=60)
    array: int | None = Field(None, ge=2)
    queue: _Line = ""
    account: _Line = ""
    setup: _Line = ""
    image: _Line = ""
    volume: _Line = "shared"
    mount: _Line = "/shared"

    @property
    def name(self) -> str:
        """The job's name, from that of the run's directory: letters, digits and hyphens, as Kubernetes wants them."""
        kept = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in self.out.name.lower())
        return f"datagen-{kept}"[:40].strip("-")

    @property
    def seconds(self) -> int:
        """The time limit."""
        return round(self.hours * 3600)

    @property
    def limit(self) -> str:
        """The time limit as hours:minutes:seconds."""
        return f"{self.seconds // 3600:02}:{self.seconds // 60 % 60:02}:{self.seconds % 60:02}"

    @property
    def logs(self) -> Path:
        """The folder of what the jobs print, beside the run's directory."""
        return self.out.with_name(f"{self.out.name}-logs")

    def command(self, out: str | None = None, *more: str) -> str:
        """Return the command as a shell reads it; `out` may hold variables of the shell."""
        quoted = [shlex.quote(part) for part in (str(self.recipe), *self.options)]
        return " ".join(["datagen run", *quoted, "--out", out or shlex.quote(str(self.out)), *more])


def systems() -> list[str]:
    """Return the names of the batch systems."""
    return sorted(path.name.split(".")[0] for path in _FOLDER.glob("*.jinja"))


def job_of(**fields: Any) -> Job:
    """Return a job.

    Raises:
        DatagenError: a field is wrong.
    """
    try:
        return Job(**fields)
    except ValidationError as error:
        raise DatagenError(f"--{sentence(error, Job)}") from error


def job_file(system: str, job: Job) -> tuple[str, str]:
    """Return the name and the content of a job file.

    Raises:
        DatagenError: there is no such system, or it has no such jobs.
    """
    if system not in systems():
        raise DatagenError(f"{system} is no batch system that is known: {nearest(system, systems())}.")
    (template,) = _FOLDER.glob(f"{system}.*.jinja")
    if system == "rayjob" and job.array:
        raise DatagenError("--array is of slurm and pbs; a RayJob is one Ray cluster, take --nodes.")
    if system == "rayjob" and not job.image:
        raise DatagenError("--image names the container image of the RayJob's machines, with datagen installed.")
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 (shell and YAML, whose quotations the filters below make)
    )
    environment.filters["quoted"] = lambda value: shlex.quote(str(value))
    text = environment.get_template(template.name).render(
        job=job,
        environment=Path(sys.prefix) if sys.prefix != sys.base_prefix else None,
        ray_version=version("ray"),
    )
    return f"{job.name}.{template.name.split('.')[1]}", text


def absolute(path: Path) -> Path:
    """Return a path as it holds from anywhere; links stay links, which lead elsewhere on other machines."""
    return Path(os.path.abspath(path))  # noqa: PTH100 (resolve() would follow them)
