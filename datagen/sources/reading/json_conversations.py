"""Conversations in JSON, as people have them: lines, an array, or objects over several lines, made into Parquet.

Which of them a file is, is told by its beginning, not by its name. UTF-8 (a byte order mark or not), UTF-16 and UTF-32
are read, and what Python writes beyond the standard: NaN, Infinity, integers of any size. No more than one object, or
one piece of a file, is in memory at a time.
"""

import json
import re
from collections.abc import Iterator
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from datagen.errors import DatagenError
from datagen.failures import Failure
from datagen.records import MESSAGES
from datagen.sources.reading.message_shapes import as_row
from datagen.sources.reading.stored_conversations import (
    FAULT,
    NEEDED,
    fault_of,
    has_conversations,
    id_of,
    messages_of,
    shown_names,
)

MOST_CHARACTERS = 1 << 26
"""Of one object in an array; what is longer is taken for a closing quotation mark or bracket that is missing."""
_ROWS_A_GROUP = 2048
_PIECE = 1 << 20
_FIELDS: "list[pa.Field[Any]]" = [
    pa.field("id", pa.string()),
    pa.field("messages", MESSAGES),
    pa.field("caption", pa.string()),
    pa.field("record", pa.string()),
    pa.field(FAULT, pa.string()),
]
_SCHEMA = pa.schema(_FIELDS)
_DECODER = json.JSONDecoder(strict=False)  # a raw tab in a text is harmless
_SPACE = re.compile(r"[ \t\r\n\ufeff]*")  # files that were put together have byte order marks inside
_AROUND = " \t\r\n\ufeff"
_LONGEST_WORD = len(r"\ud867\ude3d")  # of those that a decoder finds wrong when they are cut in two


class Item(NamedTuple):
    """One value of a file.

    Attributes:
        name: for messages, and as the id of an item that has none.
        text: as it stands in the file.
        document: what it says.
        fault: why it cannot be read, or nothing.
        start: where it begins in a UTF-8 file, in bytes.
    """

    name: str
    text: str
    document: Any
    fault: str = ""
    start: int = -1


def json_as_parquet(sources: list[Path], path: Path) -> None:
    """Write the conversations of JSON files as one Parquet file.

    What an object says beyond the conversation stays in `record`, its text. What cannot be read is a row too, which
    says why in the column `FAULT`.

    Raises:
        DatagenError: a file has no conversation at all, or an array that is broken.
    """
    with pq.ParquetWriter(path, _SCHEMA, compression="zstd") as writer:
        for source in sources:
            rows = _rows(source, prefix=f"{source.name}-" if len(sources) > 1 else "")
            while group := list(islice(rows, _ROWS_A_GROUP)):
                writer.write_table(pa.Table.from_pylist(group, schema=_SCHEMA))


def located_conversations(source: Path) -> Iterator[tuple[str | None, int, int]]:
    """Yield id, first byte and number of bytes of every value in a JSON file; it has to be UTF-8.

    Raises:
        DatagenError: it is in another encoding, or an array that is broken.
    """
    with source.open("rb") as file:
        encoding = json.detect_encoding(file.read(4))
    if not encoding.startswith("utf-8"):
        raise DatagenError(f"{source} is {encoding}; save it as UTF-8, so that its rows are found by their bytes.")
    mark = 3 if encoding == "utf-8-sig" else 0
    for item in json_items(source):
        row_id = id_of(item.document) if not item.fault else None
        yield row_id, mark + item.start, len(item.text.encode("utf-8", "surrogateescape"))


def read_conversation(source: Path, start: int, size: int) -> dict[str, Any]:
    """Return the value at these bytes of a JSON file.

    Raises:
        Failure: `bad_row`: it is no object that can be read, or the file has changed.
    """
    with source.open("rb") as file:
        file.seek(start)
        item = _read("row", file.read(size).decode("utf-8", "surrogateescape"))
    if item.fault:
        raise Failure("bad_row", item.fault)
    return as_row(item.document)


def _rows(source: Path, prefix: str) -> Iterator[dict[str, Any]]:
    first: Item | None = None
    usable = False
    for item in json_items(source):
        first = first or item
        usable = usable or (not item.fault and has_conversations(as_row(item.document, item.name)))
        yield _row(item, prefix)
    if not usable:
        raise DatagenError(_refusal(source, first))


def _row(item: Item, prefix: str) -> dict[str, Any]:
    row = as_row(item.document, prefix + item.name) if not item.fault else {}
    fault = item.fault or fault_of(row)
    row_id = id_of(row)
    caption = row.get("caption") if not fault else None
    return {
        "id": row_id if row_id and _is_unicode(row_id) else prefix + item.name,
        "messages": [{key: message[key] for key in ("role", "content")} for message in messages_of(row)]
        if not fault
        else None,
        "caption": caption if isinstance(caption, str) and _is_unicode(caption) else None,
        "record": item.text.encode("utf-8", "surrogateescape").decode("utf-8", "replace"),
        FAULT: fault or None,
    }


def _refusal(source: Path, first: Item | None) -> str:
    if first is None:
        return f"{source} is empty; give JSON lines or an array of objects."
    where = first.name.replace("-", " ")
    if first.fault:
        return (
            f"{source} has no JSON object that can be read ({where}: {first.fault}); give one object a line, in UTF-8."
        )
    found: list[str] = list(first.document)
    inside = next((name for name in found if isinstance(first.document[name], list)), None)
    remedy = (
        f" If the conversations are in '{inside}': jq -c '.{inside}[]' writes them as JSON lines." if inside else ""
    )
    return f"{source}, {where}, has {shown_names(found)}; needed are {NEEDED}.{remedy}"


def json_items(source: Path) -> Iterator[Item]:
    """Yield every value of a JSON file, lines or an array; one is in memory at a time.

    Raises:
        DatagenError: an array is broken.
    """
    with source.open("rb") as file:
        encoding = json.detect_encoding(file.read(4))
        file.seek(0)
        # With `newline` a line ends at no other of the many characters that Unicode has for it.
        errors = "surrogateescape" if encoding.startswith("utf-8") else "replace"
        with TextIOWrapper(file, encoding, errors, newline="\n") as stream:
            lines = _are_lines(stream)
            stream.seek(0)
            yield from _lines(stream) if lines else _values(stream, source)


def _are_lines(stream: TextIO) -> bool:
    """Whether every line is a document by itself."""
    beginnings = (line.lstrip(" \t\ufeff") for line in iter(lambda: stream.readline(_PIECE), ""))
    first, second = [*islice((line for line in beginnings if line.strip()), 2), "", ""][:2]
    if len(first) >= _PIECE - 1:  # a long line
        return not first.startswith("[")
    alone = _is_json(first.strip())
    if first.startswith("["):  # a list among the lines is a bad line
        return alone and bool(second) and not second.startswith("]")
    return alone or not first.startswith("{") or not second.startswith(('"', "}"))


def _is_json(text: str) -> bool:
    try:
        _DECODER.decode(text)
    except (ValueError, RecursionError):
        return False
    return True


def _lines(stream: TextIO) -> Iterator[Item]:
    start = 0
    for number, line in enumerate(stream, start=1):
        if text := line.strip(_AROUND):
            before = len(line) - len(line.lstrip(_AROUND))
            yield _read(f"line-{number}", text, start + _bytes(line[:before]))
        start += _bytes(line)


def _read(name: str, text: str, start: int = 0) -> Item:
    try:
        return _item(name, text, _DECODER.decode(text), start)
    except (ValueError, RecursionError) as error:
        return Item(name, text, None, f"it is no JSON ({error})", start)


def _item(name: str, text: str, document: object, start: int) -> Item:
    if not _is_unicode(text):
        return Item(name, text, None, "it is not UTF-8; save the file as UTF-8", start)
    if not isinstance(document, dict):
        return Item(name, text, None, "it is no object with fields", start)
    return Item(name, text, document, start=start)


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogateescape"))


def _values(stream: TextIO, source: Path) -> Iterator[Item]:
    """Yield the elements of an array, or values that follow each other."""
    rest = _Rest(stream)
    array = rest.peek() == "["
    number = 0
    try:
        if array:
            rest.skip("[")
        while rest.peek() != ("]" if array else ""):
            if array and number:
                rest.skip(",")
            number += 1
            text, document, start = rest.value()
            yield _item(f"item-{number}", text, document, start)
        if array:
            rest.skip("]")
            rest.skip("")
    except (ValueError, RecursionError) as error:
        raise DatagenError(
            f"{source} is no JSON at or behind item {max(number, 1)} ({error}); the file may be cut short. Write it "
            "anew; in JSON lines, one object a line, a broken one fails alone."
        ) from error


class _Rest:
    """The rest of a stream of JSON; what has been taken of it is let go."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._text = ""
        self._offset = 0
        self._counted = 0
        self._start = 0

    def peek(self) -> str:
        """Return the next character that is no white space, or nothing at the end."""
        while True:
            found = _SPACE.match(self._text, self._offset)
            self._offset = found.end() if found else self._offset
            if self._offset < len(self._text):
                return self._text[self._offset]
            if not self._more():
                return ""

    def skip(self, expected: str) -> None:
        """Go behind a character, or make sure of the end.

        Raises:
            ValueError: something else comes.
        """
        if (found := self.peek()) != expected:
            raise ValueError(f"expected {expected or 'its end'} and found {found or 'its end'}")
        self._offset += len(expected)

    def value(self) -> tuple[str, Any, int]:
        """Return the text of the next value, the value, and where it begins, in bytes of UTF-8.

        Raises:
            ValueError: there is none.
        """
        self.peek()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._offset)
            except json.JSONDecodeError as error:
                cut = "Unterminated" in error.msg or error.pos > len(self._text) - _LONGEST_WORD
                if not cut or len(self._text) - self._offset > MOST_CHARACTERS or not self._more():
                    raise
            else:
                if end < len(self._text) or not self._more():  # a number may go on
                    start = self._count()
                    text, self._offset = self._text[self._offset : end], end
                    return text, value, start

    def _more(self) -> bool:
        """Read a piece that doubles what is held, so that a long value is tried a few times only."""
        self._count()
        held = self._text[self._offset :]
        piece = self._stream.read(max(_PIECE, len(held)))
        if piece:
            self._text, self._offset, self._counted = held + piece, 0, 0
        return bool(piece)

    def _count(self) -> int:
        """Return how many bytes stand before this."""
        self._start += _bytes(self._text[self._counted : self._offset])
        self._counted = self._offset
        return self._start


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # bytes that are no UTF-8, or an escape of half a character
        return False
    return True
