"""`datagen export`: the shards of a run in the forms that trainers read, each shard read once for all of them.

A shard is the unit: its rows go to a file for each format and split, and a note in `.export/done` says that they are
whole, so that an export that was stopped goes on with the next shard. When all are there the folder of each format
appears by rename, and `export.json` comes last: a format counts when it is listed there.
"""

import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pyarrow.parquet as pq

from datagen.errors import AccountingError, DatagenError
from datagen.exporters import EXPORTERS, Exporter, Settings, Write
from datagen.exporters.writing.conversation import Conversation, RowError, conversation_of
from datagen.exporters.writing.splits import Splits
from datagen.exporters.writing.store import PictureStore
from datagen.files.plain_names import plain_names
from datagen.files.reading import reading
from datagen.files.writing import digest_of, write_json
from datagen.progress import counted
from datagen.records import State
from datagen.sources.reading.conversation_files import refuse_overlap
from datagen.store.manifest import read_manifest
from datagen.store.schema_1 import is_schema_1, row_as_now
from datagen.store.shards import file_facts
from datagen.version import VERSION
from filters.registry import RegistryError

MANIFEST = "export.json"
_SCRATCH = ".export"
_ROWS_AT_ONCE = 64
_MOST_THREADS = 8
_READ = ("id", "key", "images", "image", "pictures", "messages", "question", "answer", "record", "caption")
_ALSO_READ = ("source", "url", "license", "sha256", "phash", "width", "height")


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
        store = PictureStore(out, out / _SCRATCH)
        exporters = {name: kinds[name](Settings(name, manifest["task"], store, root, seen)) for name in missing}
        shards = [run / shard["path"] for shard in manifest["shards"] if shard["state"] == options.state]
        work = _Work(out, exporters, splits, options.system, {"formats": missing, **asked})
        with counted(f"exporting {', '.join(missing)}", manifest["counts"][options.state]) as advance:
            for rows in work.shards(shards):
                advance(rows)
        facts = work.finish(len(shards))
        write_json(out / MANIFEST, {**listed, **{name: {**asked, **fact} for name, fact in facts.items()}})
        shutil.rmtree(out / _SCRATCH)
        listed = _listed(out)
    return Exported(
        manifest["counts"][options.state],
        {name: listed[name]["rows"] for name in kinds},
        {name: listed[name]["left_out"] for name in kinds},
    )


class _Work:
    """An export under way."""

    def __init__(
        self, out: Path, exporters: dict[str, Exporter], splits: Splits, system: str | None, identity: dict[str, Any]
    ) -> None:
        self._out = out
        self._exporters = exporters
        self._splits = splits
        self._system = system
        self._scratch = out / _SCRATCH
        self._done = self._scratch / "done"
        stored = self._scratch / "identity.json"
        if not stored.exists() or orjson.loads(stored.read_bytes()) != identity:
            shutil.rmtree(self._scratch, ignore_errors=True)
        for name in exporters:
            (self._scratch / "pieces" / name).mkdir(parents=True, exist_ok=True)
        self._done.mkdir(exist_ok=True)
        write_json(stored, identity)

    def shards(self, paths: Sequence[Path]) -> Iterator[int]:
        """Write the rows of all shards, several at a time, and yield how many each has, in their order.

        Threads do, because what takes time lets go of the interpreter: reading and writing, digests, Parquet.
        """
        with ThreadPoolExecutor(min(len(os.sched_getaffinity(0)), _MOST_THREADS)) as threads:
            try:
                yield from threads.map(self._shard, range(len(paths)), paths)
            except BaseException:
                threads.shutdown(wait=True, cancel_futures=True)
                raise

    def _shard(self, number: int, path: Path) -> int:
        """Write the rows of a shard, if that was not done before, and return how many it has."""
        note = self._done / f"{number:05d}.json"
        if not note.exists():
            write_json(note, self._written(number, path))
        rows: int = orjson.loads(note.read_bytes())["rows"]
        return rows

    def finish(self, shards: int) -> dict[str, dict[str, Any]]:
        """Let the folders of the formats appear, and return what `export.json` says of each."""
        notes = [orjson.loads((self._done / f"{number:05d}.json").read_bytes()) for number in range(shards)]
        return {name: self._finished(name, exporter, notes) for name, exporter in self._exporters.items()}

    def _written(self, number: int, path: Path) -> dict[str, Any]:
        counts: Counter[tuple[str, str]] = Counter()
        left_out: dict[str, list[dict[str, str]]] = defaultdict(list)
        rows = 0
        with ExitStack() as stack:
            writers: dict[tuple[str, str], Write] = {
                (name, split): stack.enter_context(exporter.open(self._piece(name, number, split)))
                for name, exporter in self._exporters.items()
                for split in self._splits.names
            }
            for row in _rows(path):
                rows += 1
                try:
                    conversation = conversation_of(row).with_system(self._system)
                except RowError as fault:
                    for name in self._exporters:
                        left_out[name].append(_told(row, fault))
                    continue
                split = self._splits.of(conversation)
                for name, exporter in self._exporters.items():
                    try:
                        _check_system(conversation, exporter)
                        writers[name, split](conversation)
                        counts[name, split] += 1
                    except RowError as fault:
                        left_out[name].append(_told(row, fault))
        for name, split in writers:
            self._check(name, number, split, counts[name, split])
        written = {name: {split: counts[name, split] for split in self._splits.names} for name in self._exporters}
        return {"rows": rows, "written": written, "left_out": left_out}

    def _piece(self, name: str, number: int, split: str) -> Path:
        return self._scratch / "pieces" / name / f"{number:05d}-{split}{self._exporters[name].suffix}"

    def _check(self, name: str, number: int, split: str, count: int) -> None:
        """Make sure that a file has as many rows as it was given, and is on the disk; an empty one is removed."""
        piece = self._piece(name, number, split)
        found = self._exporters[name].count(piece) if count else 0
        if found != count:
            raise AccountingError(
                f"{count:,} rows were given to {name}, and {piece} has {found:,}; {name} is not made."
            )
        if not count:
            piece.unlink()
            return
        with piece.open("rb") as file:
            os.fsync(file.fileno())

    def _finished(self, name: str, exporter: Exporter, notes: list[dict[str, Any]]) -> dict[str, Any]:
        folder, hidden = self._out / name, self._scratch / name
        if not folder.exists():
            hidden.mkdir(exist_ok=True)
            exporter.finish(hidden, {split: self._named(name, split, notes) for split in self._splits.names})
            hidden.rename(folder)
        left_out = [row for note in notes for row in note["left_out"].get(name, ())]
        told = self._out / f"{name}.left_out.jsonl"
        told.unlink(missing_ok=True)
        if left_out:
            told.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in left_out))
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        return {
            "rows": {split: sum(note["written"][name][split] for note in notes) for split in self._splits.names},
            "left_out": dict(sorted(Counter(row["fault"] for row in left_out).items())),
            "files": [{"path": path.relative_to(self._out).as_posix(), **file_facts(path)} for path in files],
        }

    def _named(self, name: str, split: str, notes: list[dict[str, Any]]) -> list[Path]:
        """Give the files of a split their names, now that their number is known."""
        filled = [number for number, note in enumerate(notes) if note["written"][name][split]]
        suffix = self._exporters[name].suffix
        paths = []
        for place, number in enumerate(filled):
            piece = self._piece(name, number, split)
            paths.append(self._scratch / name / f"{split}-{place:05d}-of-{len(filled):05d}{suffix}")
            if piece.exists():
                piece.rename(paths[-1])
        return paths


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
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / _SCRATCH).exists())):
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


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with plain_names(path) as (name,), pq.ParquetFile(name) as file:
        older = is_schema_1(file.schema_arrow)
        columns = [column for column in file.schema_arrow.names if column in (*_READ, *_ALSO_READ)]
        for batch in file.iter_batches(_ROWS_AT_ONCE, columns=columns):
            for row in batch.to_pylist():
                yield row_as_now(row) if older else row


def _check_system(conversation: Conversation, exporter: Exporter) -> None:
    if conversation.system and not exporter.takes_system:
        raise RowError(
            "system_not_taken",
            "it begins with a system message, which the format has no place for; --system '' drops it",
        )


def _told(row: dict[str, Any], fault: RowError) -> dict[str, str]:
    return {"id": str(row["id"]), "key": str(row.get("key") or ""), "fault": fault.fault, "message": str(fault)}
