"""The directory of a run: what is in it, whose it is, and who is at work in it.

```
run.json       what the run is made of (`identity`), with digests
recipe.yaml    the recipe as resolved
index.parquet  all images, see `datagen.index`
parts/         what is done, see `datagen.parts`
train/ dropped/ failed/ manifest.json README.md    the cut, see `datagen.cut`
run.log.jsonl  one line a session: how long it took, how much was made
server.log     of a vLLM server that datagen started
```
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import yaml
from filelock import FileLock, Timeout

from datagen import __version__
from datagen.errors import DatagenError
from datagen.index import Index
from datagen.parts import is_sealed
from datagen.recipe import Recipe
from datagen.records import SCHEMA_VERSION


class RunDirectory:
    """The paths of a run and its identity."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.identity_file = path / "run.json"
        self.recipe_file = path / "recipe.yaml"
        self.index = path / "index.parquet"
        self.parts = path / "parts"
        self._judged_by = path / "parts" / "judged_by.txt"
        self.manifest = path / "manifest.json"
        self.server_log = path / "server.log"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory for this process, making it if need be.

        Raises:
            DatagenError: another run holds it, or it cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with FileLock(self.path / "run.lock", timeout=0):
                yield
        except Timeout as error:
            raise DatagenError(
                f"Another datagen run is at work in {self.path}; wait for it, or use another --out."
            ) from error
        except (PermissionError, NotADirectoryError, FileExistsError) as error:
            raise DatagenError(f"{self.path} cannot be written ({error.strerror}); choose another --out.") from error

    def claim(self, recipe: Recipe) -> bool:
        """Make this the directory of the recipe; return whether it was so before.

        Raises:
            DatagenError: it is the directory of another recipe; the message names what differs.
        """
        wanted = identity(recipe)
        resumed = self.identity_file.exists()
        if resumed:
            found = orjson.loads(self.identity_file.read_bytes())
            if differences := list(_differences(found, wanted)):
                raise DatagenError(
                    f"{self.path} was made with another recipe: {'; '.join(differences)}. "
                    "Use another --out, or --fresh to throw away what is there."
                )
        elif any(entry.name != "run.lock" for entry in self.path.iterdir()):
            raise DatagenError(f"{self.path} holds files that are no datagen run; choose an empty or new --out.")
        self.parts.mkdir(exist_ok=True)
        write_json(self.identity_file, wanted)
        write_text(
            self.recipe_file, yaml.safe_dump(recipe.model_dump(mode="json"), allow_unicode=True, sort_keys=False)
        )
        return resumed

    def clear(self) -> None:
        """Throw away everything, if this is the directory of a run.

        Raises:
            DatagenError: it holds files that are no datagen run.
        """
        entries = [entry for entry in self.path.iterdir() if entry.name != "run.lock"]
        if entries and not self.identity_file.exists():
            raise DatagenError(f"{self.path} holds files that are no datagen run; --fresh deletes only runs.")
        for entry in entries:
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()

    def note_session(self, **facts: float) -> None:
        """Append a line about this session to the log; the manifest has no times, so that it is reproducible."""
        with (self.path / "run.log.jsonl").open("ab") as file:
            file.write(orjson.dumps(facts) + b"\n")

    def note_policy(self, digest: str, *, at_work: bool) -> None:
        """Record by which policy the rows of the parts are judged; rows of two policies count as judged by none."""
        if not self._judged_by.exists():
            write_text(self._judged_by, digest)
        elif at_work and not self.judged_by(digest):
            write_text(self._judged_by, "several policies")

    def judged_by(self, digest: str) -> bool:
        """Whether all rows of the parts are judged by the policy with this digest."""
        return self._judged_by.exists() and self._judged_by.read_text(encoding="utf-8") == digest

    def unsealed(self, index: Index) -> list[int]:
        """Return the numbers of the parts that are not complete."""
        return [number for number in range(index.parts) if not is_sealed(self.parts, number)]


def identity(recipe: Recipe) -> dict[str, Any]:
    """Return what decides the rows of a run, as plain data; a run with another identity is another run.

    The policy, the shape of the shards, and where and how fast the work is done are no part of it.
    """
    document = recipe.model_dump(mode="json")
    return {
        "schema": SCHEMA_VERSION,
        "task": recipe.task,
        "seed": recipe.seed,
        "source": {key: value for key, value in document["source"].items() if key != "allow_private_hosts"},
        "images": document["images"],
        "engines": {name: {"model": engine.model, "vision": engine.vision} for name, engine in recipe.engines.items()},
        "stages": [
            {
                **document["stages"][number],
                "prompt_digest": recipe.prompt(stage).digest,
                "sampling": recipe.sampling(stage).model_dump(mode="json"),
            }
            for number, stage in enumerate(recipe.stages)
        ],
        "part_rows": recipe.output.part_rows,
    }


def _differences(found: Any, wanted: Any, place: str = "") -> Iterator[str]:
    """Name the places where two identities differ, with both values."""
    if isinstance(found, Mapping) and isinstance(wanted, Mapping):
        for key in sorted(found.keys() | wanted.keys()):
            yield from _differences(found.get(key), wanted.get(key), f"{place}.{key}".lstrip("."))
    elif isinstance(found, list) and isinstance(wanted, list) and len(found) == len(wanted):
        for number, pair in enumerate(zip(found, wanted, strict=True)):
            yield from _differences(*pair, f"{place}.{number}")
    elif found != wanted:
        yield f"{place} was {_shown(found)}, now {_shown(wanted)}"


def _shown(value: Any) -> str:
    return orjson.dumps(value).decode()[:120]


def write_json(path: Path, document: Any) -> None:
    """Write JSON so that the file appears complete, by rename."""
    write_text(path, orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n")


def write_text(path: Path, text: str) -> None:
    """Write text so that the file appears complete, by rename."""
    unfinished = path.with_name(path.name + ".unfinished")
    with unfinished.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


PROVENANCE = {"datagen": __version__, "schema": SCHEMA_VERSION}
"""Stands at the head of every manifest."""
