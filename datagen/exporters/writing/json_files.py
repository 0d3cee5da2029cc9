"""Formats of text: one JSON object a conversation, and pictures as paths into the shared store."""

import shutil
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from datagen.exporters import Exporter, Write
from datagen.exporters.writing.conversation import Conversation
from datagen.files.writing import appearing

_LINE_ENDS = [(it.encode(), rf"\u{ord(it):04x}".encode()) for it in ("\u0085", "\u2028", "\u2029")]


class JsonExporter(Exporter):
    """JSON lines; the files of a split become one, `train.jsonl`."""

    suffix = ".jsonl"

    @abstractmethod
    def record(self, conversation: Conversation, images: list[str]) -> dict[str, Any]:
        """Return the object of a conversation.

        Args:
            conversation: what it says.
            images: the paths of its pictures from the folder of the export.

        Raises:
            RowError: the format has no way to say it.
        """

    def located(self, images: list[str]) -> list[str]:
        """Return paths as the trainer finds them: from the folder of the format, or under the root asked for."""
        return [f"{self.settings.from_format}/{image}" for image in images]

    @contextmanager
    def open(self, path: Path) -> Iterator[Write]:
        """Open a file of lines."""
        with path.open("wb") as file:

            def write(conversation: Conversation) -> None:
                images = [self.settings.pictures.put(picture) for picture in conversation.pictures]
                file.write(json_line(self.record(conversation, images)))

            yield write

    def count(self, path: Path) -> int:
        """Return how many lines there are."""
        with path.open("rb") as file:
            return sum(piece.count(b"\n") for piece in iter(lambda: file.read(1 << 20), b""))

    def finish(self, folder: Path, files: Mapping[str, Sequence[Path]]) -> None:
        """Put the lines of each split into one file."""
        for split, pieces in files.items():
            joined(pieces, folder / f"{split}.jsonl")


class JsonListExporter(JsonExporter):
    """A JSON array for each split, `train.json`, one object a line in it."""

    def finish(self, folder: Path, files: Mapping[str, Sequence[Path]]) -> None:
        """Put the objects of each split into one array."""
        for split, pieces in files.items():
            joined(pieces, folder / f"{split}.json", array=True)


def json_line(record: dict[str, Any]) -> bytes:
    r"""Return an object as a line, in which readers that split text at Unicode's line ends find no other end.

    >>> json_line({"text": "春\u2028夏"}).decode()
    '{"text":"春\\u2028夏"}\n'
    """
    line = orjson.dumps(record)
    for character, escaped in _LINE_ENDS:
        if character in line:
            line = line.replace(character, escaped)
    return line + b"\n"


def joined(pieces: Sequence[Path], path: Path, *, array: bool = False) -> None:
    """Write the lines of several files into one, and remove them.

    Raises:
        OSError: some are gone, or it cannot be written.
    """
    if not path.exists():  # else it was made before, and the process stopped afterwards
        with appearing(path) as unfinished, unfinished.open("wb") as file:
            if array:
                _write_array(pieces, file)
            else:
                for piece in pieces:
                    with piece.open("rb") as source:
                        shutil.copyfileobj(source, file, 1 << 20)
    for piece in pieces:
        piece.unlink(missing_ok=True)


def _write_array(pieces: Sequence[Path], file: BinaryIO) -> None:
    before = b"[\n"
    for piece in pieces:
        with piece.open("rb") as source:
            for line in source:
                file.write(before + line.rstrip(b"\n"))
                before = b",\n"
    file.write(b"\n]\n" if before == b",\n" else b"[]\n")
