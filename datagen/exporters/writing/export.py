"""`datagen export`: the shards of a run in the forms that trainers read, each shard read once for all of them.

A shard is the unit: its rows go to a file for each format and split, and a note in `.export/done` says that they are
whole, so that an export that was stopped goes on with the next shard. When all are there the folder of each format
appears by rename, and `export.json` comes last: a format counts when it is listed there.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from datagen.errors import AccountingError, DatagenError
from datagen.exporters import EXPORTERS, Exporter, Settings
from datagen.exporters.writing.splits import Splits
from datagen.exporters.writing.store import PictureStore
from datagen.exporters.writing.work import SCRATCH, ExportWork
from datagen.files.reading import reading
from datagen.files.writing import digest_of, write_json
from datagen.progress import counted
from datagen.records import State
from datagen.sources.reading.conversation_files import refuse_overlap
from datagen.store.manifest import read_manifest
from datagen.version import VERSION
from filters.registry import RegistryError

MANIFEST = "export.json"


class ExportOptions(NamedTuple):
    """What may be asked of an export.

    Attributes:
        state: of the rows.
        system: a system message that takes the place of each row's; empty takes it away, None leaves it.
        root: where the trainer will see the folder of the export.
        split: shares of train, validation and test.
        seed: of the split.
    """

    state: State = "kept"
    system: str | None = None
    root: str | None = None
    split: str = "1"
    seed: int = 0


class Exported(NamedTuple):
    """What came out.

    Attributes:
        rows: how many were asked for.
        written: how many there are of each format and split.
        left_out: why rows are not among them, by format: how many of each fault.
    """

    rows: int
    written: dict[str, dict[str, int]]
    left_out: dict[str, dict[str, int]]

    def check(self) -> None:
        """Make sure that every row came out in every format.

        Raises:
            AccountingError: one did not.
        """
        for name, faults in self.left_out.items():
            if faults:
                told = ", ".join(f"{fault} {count:,}" for fault, count in faults.items())
                raise AccountingError(
                    f"{sum(faults.values()):,} of {self.rows:,} rows cannot be said in {name} ({told}); the others are "
                    f"written, and {name}.left_out.jsonl says of each why."
                )


def export(run: Path, names: Sequence[str], out: Path, options: ExportOptions | None = None) -> Exported:
    """Write the rows of a run in several formats; the same call goes on where another one was stopped.

    Args:
        run: a finished run, or what `datagen filter` wrote.
        names: of the formats.
        out: the folder; new, empty, or that of an export.
        options: see `ExportOptions`.

    Raises:
        DatagenError: there is no such format or run, or `out` holds something else or cannot be written.
        AccountingError: a file has not the rows that it was given.
    """
    options = options or ExportOptions()
    manifest = read_manifest(run)
    refuse_overlap(out, run)
    splits = Splits(options.split, options.seed)
    kinds = {name: _found(name, options) for name in dict.fromkeys(names)}
    out = out.absolute()
    asked = {"run": digest_of((run / "manifest.json").read_bytes()), "datagen": VERSION, **options._asdict()}
    listed = _listed(out)
    missing = [name for name in kinds if not _is_there(out, name, listed, asked)]
    if missing:
        root = options.root.rstrip("/") if options.root is not None else str(out)
        seen = ".." if options.root is None else root
        store = PictureStore(out, out / SCRATCH)
        exporters = {name: kinds[name](Settings(name, manifest["task"], store, root, seen)) for name in missing}
        shards = [run / shard["path"] for shard in manifest["shards"] if shard["state"] == options.state]
        work = ExportWork(out, exporters, splits, options.system, {"formats": missing, **asked})
        with counted(f"exporting {', '.join(missing)}", manifest["counts"][options.state]) as advance:
            for rows in work.shards(shards):
                advance(rows)
        facts = work.finish(len(shards))
        write_json(out / MANIFEST, {**listed, **{name: {**asked, **fact} for name, fact in facts.items()}})
        shutil.rmtree(out / SCRATCH)
        listed = _listed(out)
    return Exported(
        manifest["counts"][options.state],
        {name: listed[name]["rows"] for name in kinds},
        {name: listed[name]["left_out"] for name in kinds},
    )


def _found(name: str, options: ExportOptions) -> type[Exporter]:
    try:
        kind = EXPORTERS.find(name, "--format")
    except RegistryError as error:
        raise DatagenError(str(error)) from error
    if options.system and not kind.takes_system:
        raise DatagenError(
            f"--system: {name} has no place for a system message, its trainers have their own; leave it away, or "
            f"export {name} by itself."
        )
    return kind


def _listed(out: Path) -> dict[str, Any]:
    """Return what `export.json` says, if `out` is an export.

    Raises:
        DatagenError: it is something else.
    """
    path = out / MANIFEST
    if path.exists():
        with reading(path, f"Move {out} away, and export again."):
            listed: dict[str, Any] = orjson.loads(path.read_bytes())
            return listed
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / SCRATCH).exists())):
        raise DatagenError(f"--out {out} is there already, and is no export; choose an empty or new folder.")
    return {}


def _is_there(out: Path, name: str, listed: dict[str, Any], asked: dict[str, Any]) -> bool:
    """Whether a format was exported before, as it is asked for now.

    Raises:
        DatagenError: it was, from another run or in another way.
    """
    if name not in listed:
        return False
    if changed := [key for key, value in asked.items() if listed[name].get(key) != value]:
        raise DatagenError(
            f"--out {out} holds {name} of another run or with other options ({', '.join(changed)} changed); choose "
            f"another --out, or remove {out} first."
        )
    return all((out / file["path"]).is_file() for file in listed[name]["files"])
