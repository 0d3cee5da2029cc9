"""`datagen export --check`: every file of training data below a folder, and every row and picture of it."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from datagen.errors import DatagenError
from datagen.exporters.checking.beside import annotations, faults_of_info, faults_of_meta, is_info, is_meta
from datagen.exporters.checking.found import Found
from datagen.exporters.checking.json_data import Advance, faults_in_json
from datagen.exporters.checking.parquet_data import faults_in_parquet
from datagen.exporters.checking.rows import Rows
from datagen.exporters.checking.tar_data import faults_in_tars
from datagen.progress import counted
from datagen.sources.folder import files_below
from datagen.store.manifest import FOLDERS

SHOWN = 5
"""How many places of a fault are kept."""
_OURS = ("export.json", "manifest.json", "run.json", "verdicts.parquet", "difference.parquet", "index.parquet")
_SUFFIXES = (".json", ".jsonl", ".ndjson", ".parquet", ".tar")
_MOST_META = 1 << 24


class Checked(NamedTuple):
    """What was found.

    Attributes:
        files: how many files of data there are; `rows` likewise.
        counts: how often each fault was found.
        places: the first places of each.
    """

    files: int
    rows: int
    counts: Counter[str]
    places: dict[str, list[Found]]


def check(folder: Path, roots: Sequence[Path] = ()) -> Checked:
    """Look for everything that would keep trainers from reading a data set as it is meant.

    Args:
        folder: an export, or a data set of these formats from elsewhere; a file will do, and of a run its kept rows.
        roots: where pictures are looked for, before the folders of the files.

    Raises:
        DatagenError: there are no files of data.
    """
    if not folder.exists():
        raise DatagenError(f"--check {folder}: there is no such folder or file.")
    if (folder / "run.json").exists():
        folder = folder / FOLDERS["kept"]
    files = _files(folder)
    if not files:
        raise DatagenError(f"--check {folder}: there is no {', '.join(_SUFFIXES)}; give the folder of a data set.")
    counts: Counter[str] = Counter()
    places: dict[str, list[Found]] = {}
    rows = Rows(roots)
    with counted("checking, bytes", sum(file.stat().st_size for file in files)) as advance:
        for found in _faults(folder, files, rows, advance):
            counts[found.fault] += 1
            kept = places.setdefault(found.fault, [])
            if len(kept) < SHOWN:
                kept.append(found)
    return Checked(len(files), rows.count, counts, places)


def _faults(folder: Path, files: Sequence[Path], rows: Rows, advance: Advance) -> Iterator[Found]:
    def name(path: Path) -> str:
        return path.relative_to(folder).as_posix() if path != folder else path.name

    tables = {path: table for path in files if (table := _table(path)) is not None}
    internvl = {it for path, table in tables.items() if is_meta(table) for it in annotations(path, table)}
    internvl = {path.resolve() for path in internvl}
    for path in files:
        rows.begin(path.parent if path.suffix == ".parquet" else path)
        if path in tables:
            told = faults_of_meta if is_meta(tables[path]) else faults_of_info
            yield from told(path, tables[path], name)
            advance(path.stat().st_size)
        elif path.suffix == ".parquet":
            yield from faults_in_parquet(path, name(path), rows, advance)
        elif path.suffix != ".tar":
            shape = "internvl" if path.resolve() in internvl else None
            yield from faults_in_json(path, name(path), shape, rows, advance)
    tars = [path for path in files if path.suffix == ".tar"]
    for parent in sorted({path.parent for path in tars}):
        yield from faults_in_tars(parent, [path for path in tars if path.parent == parent], name, rows, advance)


def _files(folder: Path) -> list[Path]:
    if folder.is_file():
        return [folder]
    found = sorted(Path(os.fsdecode(path)) for path in files_below(os.fsencode(folder)))
    return [path for path in found if path.suffix.lower() in _SUFFIXES and not _is_ours(path)]


def _is_ours(path: Path) -> bool:
    return path.name in _OURS or path.name.endswith(".left_out.jsonl") or path.parent.name == ".nv-meta"


def _table(path: Path) -> dict[str, Any] | None:
    """Return a file that names other files, if it is one."""
    if path.suffix != ".json" or path.stat().st_size > _MOST_META:
        return None
    try:
        document = orjson.loads(path.read_bytes())
    except ValueError:
        return None
    return document if is_info(document) or is_meta(document) else None
