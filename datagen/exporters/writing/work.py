"""The work of an export: each shard is read once for all formats, and their folders appear at the end."""

import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq

from datagen.errors import AccountingError
from datagen.exporters import Exporter, Write
from datagen.exporters.writing.conversation import Conversation, RowError, conversation_of
from datagen.exporters.writing.splits import Splits
from datagen.files.plain_names import plain_names
from datagen.files.writing import write_json
from datagen.store.schema_1 import is_schema_1, row_as_now
from datagen.store.shards import file_facts

SCRATCH = ".export"
"""The folder in which an export waits until it is whole."""
_ROWS_AT_ONCE = 64
_MOST_THREADS = 8
_READ = ("id", "key", "images", "image", "pictures", "messages", "question", "answer", "record", "caption")
_ALSO_READ = ("source", "url", "license", "sha256", "phash", "width", "height")


class ExportWork:
    """An export under way; what is done of it is found again.

    Args:
        out: the folder of the export.
        exporters: the formats that are missing, by name.
        splits: which rows go where.
        system: see `ExportOptions`.
        identity: what was asked; work on something else is thrown away.
    """

    def __init__(
        self, out: Path, exporters: dict[str, Exporter], splits: Splits, system: str | None, identity: dict[str, Any]
    ) -> None:
        self._out = out
        self._exporters = exporters
        self._splits = splits
        self._system = system
        self._scratch = out / SCRATCH
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
