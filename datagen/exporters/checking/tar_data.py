"""Faults of tars: keys, parts, and what Energon has beside them in `.nv-meta`."""

import io
import pickle
import re
import tarfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import orjson
import xxhash
import yaml

from datagen.exporters.checking.found import Found
from datagen.exporters.checking.records import CONVERSATIONS, messages_of
from datagen.exporters.checking.rows import Rows
from datagen.exporters.writing.tar_files import Member, samples_of

PICTURES = ("jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff")
_NUMBER = re.compile(r"\d+\Z")
_MOST_SHARDS = 10_000
_META = (".info.json", "split.yaml", "dataset.yaml")


def faults_in_tars(
    folder: Path, tars: Sequence[Path], name: Callable[[Path], str], rows: Rows, advance: Callable[[int], None]
) -> Iterator[Found]:
    """Yield the faults of the tars of a folder, and of its `.nv-meta`; arguments as for `faults_in_json`."""
    is_energon = (folder / ".nv-meta").is_dir() or any(path.with_suffix(".tar.idx").exists() for path in tars)
    shape = "energon" if is_energon else "webdataset"
    if len(tars) >= _MOST_SHARDS:
        yield Found("shards_too_many", shape, name(folder), f"{len(tars):,}")
    counts: dict[str, int] = {}
    seen: set[int] = set()
    parts: frozenset[str] | None = None
    for path in tars:
        counts[path.name] = 0
        keys: set[str] = set()
        try:
            for key, _, members in samples_of(path):
                counts[path.name] += 1
                rows.count += 1
                where = f"{name(path)} {key}"
                yield from _faults_of_key(key, members, keys, seen, shape, where)
                names = frozenset(_kind(member.part) for member in members)
                if parts is not None and names != parts:
                    yield Found("parts_differ", shape, where, f"{_told(names)}, and {_told(parts)} before")
                parts = parts or names
                yield from _faults_of_sample(path, members, shape, where, rows)
            if path.stat().st_size % tarfile.BLOCKSIZE or not _is_closed(path):
                yield Found("tar_cut", shape, name(path))
        except (tarfile.TarError, OSError) as error:
            yield Found("tar_cut", shape, name(path), str(error)[:80])
        advance(path.stat().st_size)
    if is_energon:
        yield from _faults_of_meta(folder, tars, counts, name)


def _faults_of_key(
    key: str, members: Sequence[Member], keys: set[str], seen: set[int], shape: str, where: str
) -> Iterator[Found]:
    known = xxhash.xxh3_64_intdigest(key.encode("utf-8", "surrogateescape"))
    texts = [member.part.rpartition(".")[0] for member in members if member.part.endswith(".json")]
    if len(texts) > 1 or any(map(_NUMBER.match, texts)):  # pictures alone are numbered in a sample
        yield Found("key_dot", shape, where, f"parts {members[0].part}, {members[-1].part}")
    elif key in keys:
        yield Found("parts_apart", shape, where)
    elif known in seen:
        yield Found("key_twice", shape, where)
    elif len({member.part for member in members}) < len(members):
        yield Found("key_twice", shape, where, "a part comes twice")
    keys.add(key)
    seen.add(known)


def _faults_of_sample(path: Path, members: Sequence[Member], shape: str, where: str, rows: Rows) -> Iterator[Found]:
    pictures: list[bytes] = []
    said: Any = None
    with path.open("rb") as file:
        for member in members:
            suffix = PurePosixPath(member.part).name.rpartition(".")[2].lower()
            if suffix not in (*PICTURES, "jpgs", "json"):
                continue
            file.seek(member.offset)
            data = file.read(member.size)
            if suffix == "json":
                try:
                    said = orjson.loads(data)
                except ValueError as error:
                    yield Found("part_broken", shape, where, str(error)[:80])
            elif suffix == "jpgs":
                pictures += _unpickled(data)
            else:
                pictures.append(data)
    for picture in pictures:
        yield from rows.faults_of_bytes(picture, shape, where)
    if isinstance(said, dict):
        said = next((said[field] for field in CONVERSATIONS if isinstance(said.get(field), list)), None)
    if isinstance(said, list):
        messages = messages_of(said)
        tagged = any(isinstance(it.text, str) and "<image>" in it.text for it in messages)
        placed = tagged or any(member.part == "jpgs" for member in members)
        yield from rows.faults_of_conversation(messages, len(pictures) if placed else 0, shape, where)


class _Plain(pickle.Unpickler):
    """Reads lists and bytes, and nothing that would run."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"{module}.{name} is not read")


def _unpickled(data: bytes) -> list[bytes]:
    """Return the pictures of a part `jpgs`; empty bytes, which are a fault, where it is no list of bytes."""
    try:
        found = _Plain(io.BytesIO(data)).load()
    except Exception:  # a broken pickle raises anything
        return [b""]
    return found if isinstance(found, list) and all(isinstance(it, bytes) for it in found) else [b""]


def _kind(part: str) -> str:
    """Return the name of a part, with the numbers of several pictures left out."""
    return ".".join(piece for piece in part.split(".") if not _NUMBER.match(piece))


def _told(names: frozenset[str]) -> str:
    return ", ".join(sorted(names))


def _is_closed(path: Path) -> bool:
    """Whether a tar ends with blocks of zeros."""
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - 2 * tarfile.BLOCKSIZE, 0))
        return not any(file.read())


def _faults_of_meta(
    folder: Path, tars: Sequence[Path], counts: dict[str, int], name: Callable[[Path], str]
) -> Iterator[Found]:
    meta = folder / ".nv-meta"
    for file in _META:
        if not (meta / file).is_file():
            yield Found("nv_missing", "energon", name(meta / file))
    for path in tars:
        if not path.with_suffix(".tar.idx").is_file():
            yield Found("nv_missing", "energon", name(path.with_suffix(".tar.idx")))
    try:
        stated = orjson.loads((meta / ".info.json").read_bytes())["shard_counts"]
        for tar, count in counts.items():
            if stated.get(tar) != count:
                yield Found("nv_counts", "energon", name(meta / ".info.json"), f"{tar}: {stated.get(tar)}, not {count}")
        split = yaml.safe_load((meta / "split.yaml").read_text(encoding="utf-8"))["split_parts"]
        listed = {tar for part in split.values() for tar in part}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError):
        return  # what is missing was said above
    if any("{" in tar for tar in listed):
        return  # names that Energon has put together with braces
    for tar in sorted(listed ^ counts.keys()):
        yield Found("nv_split", "energon", name(meta / "split.yaml"), tar)
