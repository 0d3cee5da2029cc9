"""The directory of a run: what is in it, whose it is, and who is at work in it.

```
run.json       what the run is made of, with digests, see `datagen.store.identity`
recipe.yaml    the recipe as resolved
index.parquet  all images, see `datagen.store.index`
parts/         what is done, see `datagen.store.journal`
train/ dropped/ failed/ manifest.json README.md    the cut, see `datagen.store.cut`
run.log.jsonl  one line a session: how long it took, how much was made
server-*.log   what the vLLM servers that datagen started have printed, one file an engine, all starts in it
```

A process that is killed can leave files of its own behind (`*.unfinished`, `.listing-*`, `.discarded-*`, `.cut`).
None of them is ever read, and the next run removes them or writes over them.
"""

import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import yaml
from filelock import FileLock, Timeout
from rich.console import Console

from datagen.errors import DatagenError, system_error
from datagen.files.writing import write_json, write_text, writing
from datagen.recipe import Recipe
from datagen.recipe_file import load_recipe
from datagen.store.identity import changes, identity
from datagen.store.index import Index
from datagen.store.journal import is_sealed
from datagen.store.mix_plan import MixPlan, read_plan
from datagen.store.schema_1 import refuse_schema_1

ORPHAN_SECONDS = 60.0
"""How long a run waits for the workers of a killed one; Ray ends them about a second after their driver."""
_UNCLAIMED = frozenset({"run.lock", "run.json.unfinished"})


class RunDirectory:
    """The paths of a run and its identity.

    Raises:
        DatagenError: no file can have such a path, or its name is no UTF-8.
    """

    def __init__(self, path: Path) -> None:
        self.path = usable(path)
        self.identity_file = path / "run.json"
        self.recipe_file = path / "recipe.yaml"
        self.index = path / "index.parquet"
        self.parts = path / "parts"
        self._uncut = path / "parts" / "uncut"
        self.manifest = path / "manifest.json"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory for this process, making it if need be.

        Raises:
            DatagenError: another run holds it, or it cannot be written, now or later.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with FileLock(self.path / "run.lock", timeout=0):
                yield
        except Timeout as error:
            raise DatagenError(
                f"Another datagen run is at work in {self.path}; wait for it, or use another --out."
            ) from error
        except OSError as error:
            raise DatagenError(self._told(error)) from error

    def _told(self, error: OSError) -> str:
        """Return what an error of a file means for this run; files elsewhere are named, and are no fault of `--out`."""
        if error.filename is None:
            return system_error(error, f"A file that the run in {self.path} needs")
        file = Path(os.fsdecode(error.filename)).absolute()
        if self.identity_file.exists() or not file.is_relative_to(self.path):
            return system_error(error)
        reason = os.strerror(error.errno or 0)
        return f"{file} cannot be written ({reason}). Make room, or choose another --out."

    def wait_for_workers(self, console: Console, seconds: float = ORPHAN_SECONDS) -> None:
        """Wait until the workers of a run that was killed have let go of their parts.

        Raises:
            DatagenError: they have not after `seconds`.
        """
        deadline = time.monotonic() + seconds
        told = False
        while held := [path for path in self.parts.glob("**/part-*.jsonl") if _is_locked(path)]:
            if time.monotonic() > deadline:
                raise DatagenError(
                    f"{held[0]} is in use by another process, though no run holds {self.path}. It is a worker of a run "
                    "that was killed; end it, then run the same command."
                )
            if not told:
                console.print("Waiting for the workers of a run that was killed to end.")
                told = True
            time.sleep(0.2)

    def claim(self, recipe: Recipe) -> bool:
        """Make this the directory of the recipe; return whether it was so before.

        Raises:
            DatagenError: it is the directory of another recipe; the message names what differs.
        """
        wanted = identity(recipe)
        lost = not self.identity_file.exists() and self.recipe_file.exists() and self.parts.is_dir()
        resumed = lost or self.identity_file.exists()
        if resumed:
            found = identity(load_recipe(self.recipe_file)) if lost else self.stored_identity()
            if found.get("schema") == 1:
                raise refuse_schema_1(self.path)
            if changed := changes(found, wanted):
                raise DatagenError(
                    f"{self.path} was made with another recipe: {'; '.join(changed)}. "
                    "Use another --out, or --fresh to throw away what is there."
                )
            if lost:
                write_json(self.identity_file, wanted)
            for leftovers in (".listing-*", ".discarded-*", ".cut"):
                self._remove(*self.path.glob(leftovers))
        elif any(entry.name not in _UNCLAIMED for entry in self.path.iterdir()):
            raise DatagenError(f"{self.path} holds files that are no datagen run; choose an empty or new --out.")
        else:
            write_json(self.identity_file, wanted)  # first: with it the directory is a run's, whatever comes next
        self.parts.mkdir(exist_ok=True)
        write_text(
            self.recipe_file, yaml.safe_dump(recipe.model_dump(mode="json"), allow_unicode=True, sort_keys=False)
        )
        return resumed

    def stored_identity(self) -> dict[str, Any]:
        """Return what run.json says.

        Raises:
            DatagenError: it is damaged.
        """
        try:
            found = orjson.loads(self.identity_file.read_bytes())
        except orjson.JSONDecodeError:
            found = None
        if not isinstance(found, dict) or not found.keys() >= {"schema", "task", "source"}:
            raise DatagenError(
                f"{self.identity_file} is damaged. Put it back from a copy. Without one, and where recipe and prompts "
                "are as they were, delete it and nothing else: the same command then takes up what is there."
            )
        return found

    def listing(self) -> Path:
        """Return where the index is listed; every listing has a file of its own, so that none disturbs another."""
        return self.path / f".listing-{secrets.token_hex(4)}.parquet"

    def check_clearable(self) -> None:
        """Make sure that `clear` may throw away what is here.

        Raises:
            DatagenError: the directory holds files that are no datagen run.
        """
        foreign = any(entry.name not in _UNCLAIMED for entry in self.path.iterdir())
        if foreign and not self.identity_file.exists():
            raise DatagenError(f"{self.path} holds files that are no datagen run; --fresh deletes only runs.")

    def clear(self) -> None:
        """Throw away everything, if this is the directory of a run.

        All parts go at one stroke, before the index that they belong to; run.json goes last, so that a clearing that
        was cut short can be repeated.

        Raises:
            DatagenError: it holds files that are no datagen run.
        """
        self.check_clearable()
        if self.parts.exists():
            self.parts.rename(self.path / f".discarded-{secrets.token_hex(4)}")
        kept = ("run.lock", self.identity_file.name)
        self._remove(*(entry for entry in self.path.iterdir() if entry.name not in kept))
        self.identity_file.unlink(missing_ok=True)

    def _remove(self, *entries: Path) -> None:
        for entry in entries:
            if entry.is_dir() and not entry.is_symlink():
                # A task of a killed run may still write into a scratch folder; the next start removes the rest.
                shutil.rmtree(entry, ignore_errors=entry.name.startswith("."))
            else:
                entry.unlink(missing_ok=True)

    @property
    def uncut(self) -> bool:
        """Whether parts were made that no cut has seen."""
        return self._uncut.exists()

    def note_uncut(self) -> None:
        """Record that the shards will be out of date; the old ones stay valid until the next cut replaces them."""
        self._uncut.touch()

    def note_cut(self) -> None:
        """Record that the shards are up to date."""
        self._uncut.unlink(missing_ok=True)

    def note_session(self, **facts: float) -> None:
        """Append a line about this session to the log; the manifest has no times, so that it is reproducible."""
        log = self.path / "run.log.jsonl"
        with writing(log), log.open("ab") as file:
            file.write(orjson.dumps(facts) + b"\n")

    @property
    def survey(self) -> Path:
        """Where the survey of the run's pictures is, if there is one."""
        return self.path / "survey"

    @property
    def mix_file(self) -> Path:
        """Where the plan of a mix is."""
        return self.path / "mix.json"

    @property
    def mix_plan(self) -> MixPlan:
        """The plan of a mix; an empty one where there is none.

        Raises:
            DatagenError: it is damaged.
        """
        return read_plan(self.mix_file)

    def needed(self, index: Index) -> range:
        """Return the numbers of the parts that the run makes: all, or those that its mix has needed so far."""
        return self.mix_plan.parts if self.mix_file.exists() else range(index.parts)

    def unsealed(self, index: Index) -> list[int]:
        """Return the numbers of the needed parts that are not complete."""
        return [number for number in self.needed(index) if not is_sealed(self.parts, number)]


def usable(path: Path) -> Path:
    """Return a path of a run's directory.

    Raises:
        DatagenError: no file can have it, or its name is no UTF-8, which the readers and writers of Parquet demand.
    """
    try:
        os.fsencode(path).decode()
        path.exists()
    except UnicodeDecodeError as error:
        raise DatagenError(f"{os.fsencode(path)!r} is no UTF-8; choose another name for the directory.") from error
    except OSError as error:
        raise DatagenError(system_error(error, path)) from error
    return path


def _is_locked(journal: Path) -> bool:
    try:
        with journal.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:  # sealed meanwhile
        return False
    except BlockingIOError:
        return True
    return False
