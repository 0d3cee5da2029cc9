"""Formats in tars: the files of one sample follow each other, and share a name up to the first dot."""

import io
import re
import tarfile
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import xxhash

from datagen.exporters import Exporter, Write
from datagen.exporters.writing.conversation import Conversation
from datagen.files.writing import writing

_NOT_PLAIN = re.compile(r"[^A-Za-z0-9_-]")


class TarSample(NamedTuple):
    """One sample.

    Attributes:
        key: its name, without dots and slashes.
        parts: the bytes of its files by what stands behind the first dot.
    """

    key: str
    parts: dict[str, bytes]


class TarExporter(Exporter):
    """Uncompressed tars without times and owners, so that the same samples are the same bytes."""

    suffix = ".tar"

    @abstractmethod
    def samples(self, conversation: Conversation) -> list[TarSample]:
        """Return the samples of a conversation, in most formats one.

        Raises:
            RowError: the format has no way to say it.
        """

    @contextmanager
    def open(self, path: Path) -> Iterator[Write]:
        """Open a tar."""
        with writing(path), tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:

            def write(conversation: Conversation) -> None:
                for key, parts in self.samples(conversation):
                    for name, data in parts.items():
                        member = tarfile.TarInfo(f"{key}.{name}")
                        member.size, member.mode = len(data), 0o644
                        archive.addfile(member, io.BytesIO(data))
                vars(archive)["members"].clear()  # it remembers every member

            yield write

    def count(self, path: Path) -> int:
        """Return how many conversations have a sample."""
        return sum(1 for _ in groupby(samples_of(path), lambda sample: self.row_of(sample[0])))

    def row_of(self, key: str) -> str:
        """Return the id of the row that a sample is of."""
        return key


def sample_key(row_id: str) -> str:
    """Return the id of a row as the key of a sample: one with dots or slashes would be taken for several things.

    >>> sample_key("05f848b2"), sample_key("a.b/c")
    ('05f848b2', 'a_b_c-a6b9076b')
    """
    plain = _NOT_PLAIN.sub("_", row_id)
    return plain if plain == row_id else f"{plain}-{xxhash.xxh3_64_hexdigest(row_id.encode())[:8]}"


class Member(NamedTuple):
    """A file of a tar: the name behind the first dot, where its bytes are, and how many."""

    part: str
    offset: int
    size: int


def samples_of(path: Path) -> Iterator[tuple[str, int, list[Member]]]:
    """Yield key, first byte and files of each sample of a tar; no file is read."""
    key, start, members = "", 0, list[Member]()
    with tarfile.open(path, "r:") as archive:
        while (member := archive.next()) is not None:
            vars(archive)["members"].clear()
            name, _, part = member.name.partition(".")
            if members and name != key:
                yield key, start, members
                members = []
            if not members:
                key, start = name, member.offset
            members.append(Member(part, member.offset_data, member.size))
    if members:
        yield key, start, members
