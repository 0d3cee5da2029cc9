"""The files that conversations are in: Parquet as it is, JSON made into Parquet, and all else refused by name.

A folder gives its Parquet files or its JSON lines, a directory that datagen cut gives the shards that its manifest
lists. What a single file is, is told by its content.
"""

import os
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from datagen.errors import DatagenError
from datagen.sources.folder import files_below
from datagen.sources.reading.json_conversations import json_as_parquet
from datagen.sources.reading.parquet_conversations import is_in_another_shape, with_messages
from datagen.sources.reading.stored_conversations import NEEDED, has_conversations

_PARQUET = b"PAR1"
_PACKED = {b"\x1f\x8b": "gzip -dk", b"\x28\xb5\x2f\xfd": "zstd -dk", b"BZh": "bzip2 -dk", b"\xfd7zXZ": "xz -dk"}
_PACKED_SUFFIXES = (".gz", ".zst", ".bz2", ".xz", ".zip")
_LINES = (".jsonl", ".ndjson")
_NOT_ROWS = ("verdicts.parquet", "difference.parquet")  # stand beside the shards that datagen cuts
_ALLOWED = "a run's directory, Parquet, or JSON (lines or an array)"


def conversation_files(source: Path, scratch: Path) -> list[Path]:
    """Return the Parquet files with the conversations of `source`; JSON is made into one in `scratch`.

    Raises:
        DatagenError: there are none, or columns are missing.
    """
    return as_parquet(find_conversations(source), scratch)


def find_conversations(source: Path) -> list[Path]:
    """Return the files of `source`, all Parquet or all JSON; nothing is written.

    Raises:
        DatagenError: there are none, they are something else, or columns are missing.
    """
    source = source.absolute()  # Arrow takes a relative `~` or `s3:` for more than a name
    if source.is_dir():
        files = _listed_shards(source) or _files_in(source)
    elif source.is_file():
        files = [source]
    else:
        raise DatagenError(f"There is no {source}; give {_ALLOWED}.")
    for path in files:
        if is_parquet(path):
            _check_columns(path)
        else:
            _check_json(path)
    return files


def as_parquet(files: list[Path], scratch: Path) -> list[Path]:
    """Return files that `find_conversations` found as Parquet files with `messages`, or questions and answers.

    Raises:
        DatagenError: JSON has no conversations.
    """
    if is_parquet(files[0]):
        return [_with_messages(path, scratch / f"input-{number}.parquet") for number, path in enumerate(files)]
    path = scratch / "input.parquet"
    json_as_parquet(files, path)
    return [path]


def needs_no_conversion(files: list[Path]) -> bool:
    """Whether `as_parquet` leaves files that `find_conversations` found as they are."""
    return is_parquet(files[0]) and not any(is_in_another_shape(pq.read_schema(path)) for path in files)


def _with_messages(path: Path, made: Path) -> Path:
    if not is_in_another_shape(pq.read_schema(path)):
        return path
    with_messages(path, made)
    return made


def refuse_overlap(out: Path, *inputs: Path) -> None:
    """Make sure that what is written into `out` cannot take the place of what is read.

    Raises:
        DatagenError: an input is `out`, in it, or around it.
    """
    written = out.resolve()
    for path in inputs:
        read = path.resolve()
        if read == written:
            raise DatagenError(f"--out {out} is {path}, which is read; give another directory.")
        if read in written.parents or written in read.parents:
            raise DatagenError(
                f"--out {out} and {path}, which is read, lie one in the other; give a directory beside it."
            )


def is_parquet(path: Path) -> bool:
    """Whether a file begins as Parquet does."""
    return _beginning(path).startswith(_PARQUET)


def _listed_shards(folder: Path) -> list[Path]:
    """Return the shards that a manifest of datagen lists, if there is one; what else is in the folder are no rows."""
    try:
        manifest = orjson.loads((folder / "manifest.json").read_bytes())
        listed = [folder / shard["path"] for shard in manifest["shards"]]
    except (OSError, ValueError, TypeError, KeyError):  # none, or the manifest of something else
        return []
    if missing := next((path for path in listed if not path.is_file()), None):
        raise DatagenError(f"{missing} is missing, which {folder / 'manifest.json'} lists; cut it again.")
    return listed


def _files_in(folder: Path) -> list[Path]:
    found = sorted(Path(os.fsdecode(path)) for path in files_below(os.fsencode(folder)))
    parquet = [path for path in found if path.suffix.lower() == ".parquet" and path.name not in _NOT_ROWS]
    lines = [path for path in found if path.suffix.lower() in _LINES]
    if packed := [path for path in found if path.suffix.lower() in _PACKED_SUFFIXES and _holds_json(path.stem)]:
        raise DatagenError(f"{packed[0]} is packed; unpack it first, or move it away.")
    if parquet and lines:
        raise DatagenError(f"{folder} holds Parquet ({parquet[0]}) and JSON lines ({lines[0]}); give one of them.")
    files = parquet or lines or [path for path in found if path.suffix.lower() == ".json"]
    if not files:
        raise DatagenError(f"{folder} holds neither a datagen run nor Parquet nor JSON files.")
    return files


def _holds_json(name: str) -> bool:
    return name.lower().endswith((*_LINES, ".json"))


def _check_columns(path: Path) -> None:
    try:
        names = pq.read_schema(path).names
    except (OSError, pa.ArrowException) as error:
        raise DatagenError(f"{path} is no readable Parquet file: {error}") from error
    if not has_conversations(names) and not ("id" in names and is_in_another_shape(pq.read_schema(path))):
        raise DatagenError(f"{path} has the columns {', '.join(names)}; needed are {NEEDED}.")
    if repeated := next((name for name in names if names.count(name) > 1), None):
        raise DatagenError(f"{path} has two columns named '{repeated}'; rename one of them.")


def _check_json(path: Path) -> None:
    beginning = _beginning(path)
    if command := next((command for magic, command in _PACKED.items() if beginning.startswith(magic)), None):
        raise DatagenError(f"{path} is packed; unpack it first: {command} '{path}'.")
    if path.suffix.lower() == ".parquet":
        raise DatagenError(f"{path} is no readable Parquet file: it does not begin as one.")
    text = beginning.replace(b"\x00", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")
    if not _holds_json(path.name) and not text.startswith((b"{", b"[")):
        raise DatagenError(
            f"{path} is neither Parquet nor JSON; give {_ALLOWED}. For a CSV file, in Python: "
            "pandas.read_csv('x.csv', dtype=str).to_json('x.jsonl', orient='records', lines=True)."
        )


def _beginning(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(64)
    except OSError as error:
        raise DatagenError(f"{path} cannot be read: {error.strerror}.") from error
