"""One row after another: its conversation, its pictures, and its id, in whatever kind of file it stands."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

import xxhash

from datagen.exporters.checking import conversations, pictures
from datagen.exporters.checking.conversations import Message
from datagen.exporters.checking.found import Found
from datagen.exporters.checking.records import messages_in, pictures_in


class Rows:
    """Checks the rows of one data set; what comes twice is known by hashes of 8 bytes, and looked at once.

    Attributes:
        count: how many rows were looked at.

    Args:
        folders: where pictures are looked for, in this order; behind them from the folder of the file, and that above.
    """

    def __init__(self, folders: Sequence[Path] = ()) -> None:
        self._folders = folders
        self._ids: set[int] = set()
        self._scope: Path | None = None
        self.count = 0
        self._looked_at: set[int] = set()

    def begin(self, scope: Path) -> None:
        """Begin with a file or a folder in which ids may not come twice."""
        if scope != self._scope:
            self._ids.clear()
        self._scope = scope

    def faults_of(self, record: Mapping[str, Any], shape: str, where: str, file: Path) -> Iterator[Found]:
        """Yield the faults of a record of JSON or Parquet."""
        self.count += 1
        row_id = record.get("id")
        if row_id is not None:
            where = f"{where} (id {row_id})"
            yield from self.faults_of_id(str(row_id), shape, where)
        listed, faults = pictures_in(record, shape)
        for fault, detail in faults:
            yield Found(fault, shape, where, detail)
        messages = messages_in(record)
        if shape == "messages" and not any(message.pictures for message in messages) and _are_plain(record):
            listed_for_text = 0  # texts that are strings: the trainer places the pictures itself
        else:
            listed_for_text = len(listed)
        yield from self.faults_of_conversation(messages, listed_for_text, shape, where)
        for picture in listed:
            if picture is not None:
                yield from self._faults_of_picture(picture, shape, where, file)

    def faults_of_id(self, row_id: str, shape: str, where: str) -> Iterator[Found]:
        """Yield a fault where an id was there before."""
        known = xxhash.xxh3_64_intdigest(row_id.encode("utf-8", "surrogatepass"))
        if known in self._ids:
            yield Found("id_twice", shape, where)
        self._ids.add(known)

    def faults_of_conversation(
        self, messages: Sequence[Message], count: int, shape: str, where: str
    ) -> Iterator[Found]:
        """Yield the faults of a conversation that has so many pictures."""
        for fault, detail in conversations.faults_of(messages, count, shape):
            yield Found(fault, shape, where, detail)

    def faults_of_bytes(self, data: bytes, shape: str, where: str, suffix: str = "") -> Iterator[Found]:
        """Yield the faults of a picture that is there."""
        for fault, detail in pictures.faults_of(data, suffix):
            yield Found(fault, shape, where, detail)

    def _faults_of_picture(self, picture: Any, shape: str, where: str, file: Path) -> Iterator[Found]:
        if isinstance(picture, dict):
            data, path = picture.get("bytes"), picture.get("path")
            if data is not None:
                yield from self.faults_of_bytes(data, shape, where)
                return
            if not path:
                yield Found("picture_missing", shape, where, "neither bytes nor a path")
                return
            picture = path
        found = self._found(picture, file)
        if found is None:
            yield Found("picture_missing", shape, where, picture)
            return
        known = xxhash.xxh3_64_intdigest(str(found).encode("utf-8", "surrogateescape"))
        if known not in self._looked_at:
            self._looked_at.add(known)
            for fault, detail in pictures.faults_of(found.read_bytes(), PurePath(picture).suffix):
                yield Found(fault, shape, where, f"{picture} {detail}".strip())

    def _found(self, picture: str, file: Path) -> Path | None:
        for folder in (*self._folders, file.parent, file.parent.parent):
            try:
                if (path := folder / picture).is_file():
                    return path
            except (OSError, ValueError):  # a name that no file can have
                return None
        return None


def _are_plain(record: Mapping[str, Any]) -> bool:
    said = record.get("messages") or []
    return all(isinstance(message, dict) and isinstance(message.get("content"), str) for message in said)
