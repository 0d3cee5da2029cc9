"""Faults of JSON: arrays and lines of rows, and what trainers' readers ask of the file itself."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson

from datagen.errors import DatagenError
from datagen.exporters.checking.found import Found
from datagen.exporters.checking.records import is_row
from datagen.exporters.checking.rows import Rows
from datagen.sources.reading.json_conversations import json_items

_MARK = b"\xef\xbb\xbf"
Advance = Callable[[int], None]


def shape_of(record: Any) -> str:
    """Return the shape of a row: which trainers its file is for.

    >>> shape_of({"image": "a.jpg", "conversations": []}), shape_of({"images": [], "messages": []})
    ('llava', 'sharegpt')
    """
    return "sharegpt" if isinstance(record, dict) and ("images" in record or "messages" in record) else "llava"


def faults_in_json(path: Path, name: str, shape: str | None, rows: Rows, advance: Advance) -> Iterator[Found]:
    """Yield the faults of a file of rows.

    Args:
        path: the file.
        name: by which the faults speak of it.
        shape: of the rows, if it is known.
        rows: what checks them.
        advance: is told how many bytes were read.
    """
    with path.open("rb") as file:
        beginning = file.read(64)
    if beginning.startswith(_MARK):
        yield Found("file_mark", shape or "llava", name)
    text = beginning.removeprefix(_MARK).lstrip()
    if not text:
        yield Found("file_empty", shape or "llava", name)
        return
    is_lines, is_array = path.suffix.lower() != ".json", text.startswith(b"[")
    if is_array:
        if is_lines:
            yield Found("array_in_lines", shape or "llava", name)
        yield from _faults_in_array(path, name, shape, rows)
        advance(path.stat().st_size)
        return
    if not is_lines:
        yield Found("lines_in_array", shape or "llava", name)
    yield from _faults_in_lines(path, name, shape, rows, advance)


def _faults_in_array(path: Path, name: str, shape: str | None, rows: Rows) -> Iterator[Found]:
    number = 0

    def records() -> Iterator[tuple[str, Any]]:
        nonlocal number
        try:
            for number, item in enumerate(json_items(path), 1):
                yield f"row {number - 1}", ValueError(item.fault) if item.fault else item.document
        except DatagenError as error:
            yield f"behind row {number - 1}", ValueError(str(error).partition("(")[2])

    yield from _faults_of_records(records(), path, name, shape, rows)
    if not number:
        yield Found("file_empty", shape or "llava", name)


def _faults_in_lines(path: Path, name: str, shape: str | None, rows: Rows, advance: Advance) -> Iterator[Found]:
    empty: list[int] = []

    def records() -> Iterator[tuple[str, Any]]:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                advance(len(line))
                line = line.removeprefix(_MARK).strip()
                if not line:
                    empty.append(number)
                    continue
                try:
                    yield f"line {number}", orjson.loads(line)
                except ValueError as error:
                    yield f"line {number}", error

    yield from _faults_of_records(records(), path, name, shape, rows)
    for number in empty:
        yield Found("line_empty", shape or "llava", f"{name} line {number}")


def _faults_of_records(
    records: Iterator[tuple[str, Any]], path: Path, name: str, shape: str | None, rows: Rows
) -> Iterator[Found]:
    types: dict[str, set[str]] = {}
    for where, record in records:
        if not is_row(record):
            detail = str(record)[:100] if isinstance(record, ValueError) else f"a {type(record).__name__}"
            yield Found("line_broken", shape or "llava", f"{name} {where}", detail)
            continue
        shape = shape or shape_of(record)
        for field, value in record.items():
            if value is not None:
                types.setdefault(field, set()).add(type(value).__name__)
        yield from rows.faults_of(record, shape, f"{name} {where}", path)
    if shape == "sharegpt":
        for field, seen in types.items():
            if len(seen) > 1:
                yield Found("field_types_mixed", shape, name, f"{field}: {' and '.join(sorted(seen))}")
