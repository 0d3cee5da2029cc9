"""Faults of what stands beside the data: `dataset_info.json` of LLaMA-Factory and `meta.json` of InternVL."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import orjson

from datagen.exporters.checking.found import Found

_Map: TypeAlias = Mapping[str, Any]
_LISTS = 1024
_ROLES = (("user", "human"), ("assistant", "gpt"), ("system", "system"))


def is_info(document: object) -> bool:
    """Whether a JSON document is LLaMA-Factory's `dataset_info.json`."""
    return _is_table(document, "file_name")


def is_meta(document: object) -> bool:
    """Whether a JSON document is a meta file of InternVL."""
    return _is_table(document, "annotation")


def annotations(path: Path, document: Mapping[str, Any]) -> list[Path]:
    """Return the files of rows that a meta file names, as far as they are there."""
    return [found for about in document.values() if (found := _located(path, about["annotation"])) is not None]


def faults_of_info(path: Path, document: Mapping[str, Any], name: Callable[[Path], str]) -> Iterator[Found]:
    """Yield the faults of a `dataset_info.json`."""
    for entry, about in document.items():
        where = f"{name(path)} {entry}"
        data = path.parent / str(about["file_name"])
        if not data.exists():
            yield Found("info_file_missing", "sharegpt", where, str(about["file_name"]))
            continue
        if data.is_dir():
            suffixes = sorted({file.suffix for file in data.iterdir()})
            if len(suffixes) > 1:
                yield Found("folder_mixed", "sharegpt", where, ", ".join(suffixes))
            continue
        row = _first_row(data)
        columns, tags = about.get("columns") or {}, about.get("tags") or {}
        shown = [columns[it] for it in ("messages", "images") if it in columns]
        missing = [column for column in shown if column not in row]
        unnamed = [it for it in ("images",) if row.get(it) and it not in columns.values()]
        if row and (missing or unnamed or not _has_tags(row, columns, tags, about)):
            yield Found("info_columns", "sharegpt", where, ", ".join(missing or unnamed or ["tags"]))


def faults_of_meta(path: Path, document: Mapping[str, Any], name: Callable[[Path], str]) -> Iterator[Found]:
    """Yield the faults of a meta file."""
    for entry, about in document.items():
        where = f"{name(path)} {entry}"
        annotation = _located(path, about["annotation"])
        if annotation is None or annotation.suffix != ".jsonl":
            yield Found("meta_annotation", "internvl", where, str(about["annotation"]))
        else:
            with annotation.open("rb") as file:
                lines = sum(1 for _ in file)
            if about.get("length") != lines:
                yield Found("meta_length", "internvl", where, f"{about.get('length')}, not {lines}")
        root = str(about.get("root", ""))
        if "://" not in root and (not root.endswith("/") or not Path(root).is_dir()):
            yield Found("meta_root", "internvl", where, root)


def _is_table(document: object, field: str) -> bool:
    if not isinstance(document, dict) or not document:
        return False
    return all(isinstance(about, dict) and field in about for about in document.values())


def _located(path: Path, annotation: object) -> Path | None:
    """Return a file that a meta file names: by its path, or beside it, where the folder was moved."""
    named = Path(str(annotation))
    return next((it for it in (named, path.parent / named.name) if it.is_file()), None)


def _first_row(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            beginning = file.read(_LISTS).lstrip()
            file.seek(0)
            found = orjson.loads(file.read())[0] if beginning.startswith(b"[") else orjson.loads(file.readline())
    except (ValueError, LookupError):
        return {}
    return found if isinstance(found, dict) else {}


def _has_tags(row: dict[str, Any], columns: _Map, tags: _Map, about: _Map) -> bool:
    """Whether the first message has the fields and a role that the entry names; the defaults are ShareGPT's."""
    said = row.get(columns.get("messages", "conversations"))
    if about.get("formatting", "alpaca") != "sharegpt" or not isinstance(said, list) or not said:
        return about.get("formatting") == "openai" or not said
    role, content = tags.get("role_tag", "from"), tags.get("content_tag", "value")
    names = {tags.get(f"{name}_tag", default) for name, default in _ROLES}
    return role in said[0] and content in said[0] and said[0][role] in names
