"""Parts: what is done, on disk the moment it is done.

A part holds the rows of one consecutive piece of the index. While a worker is at it there are

- `part-000007.jsonl`, the journal: one JSON line for each finished image, appended with one write, and
- `part-000007.tar`, the pictures, appended before the line that points at them.

A journal that lost its worker is continued by the next one: a line that was cut short, and pictures that no line
points at, are as if they had never been. When the last image is done the part is sealed: `part-000007.parquet`
appears by rename with the rows in index order, and the journal goes. All three are formats that anyone can read.
"""

import fcntl
import io
import os
import tarfile
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from datagen.errors import DatagenError
from datagen.images import Picture
from datagen.records import PART_SCHEMA, PartRow, Row

_BLOCK = tarfile.BLOCKSIZE


def part_path(folder: Path, number: int) -> Path:
    """Return the path of a sealed part."""
    return folder / f"part-{number:06d}.parquet"


def is_sealed(folder: Path, number: int) -> bool:
    """Whether the part is complete."""
    return part_path(folder, number).exists() and not _journal_path(folder, number).exists()


def _journal_path(folder: Path, number: int) -> Path:
    return folder / f"part-{number:06d}.jsonl"


class Journal:
    """The part that a worker is at. Use it as a context manager.

    Attributes:
        done: the positions of the images that need no more work.
        counts: the rows by state.

    Raises:
        DatagenError: another process is at this part, or its journal is damaged.
    """

    def __init__(self, folder: Path, number: int) -> None:
        self._folder = folder
        self._number = number
        self._path = _journal_path(folder, number)
        self._rows: list[PartRow] = []
        self._journal: BinaryIO = self._path.open("a+b", buffering=0)
        try:
            fcntl.flock(self._journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._journal.close()
            raise DatagenError(
                f"{self._path} is in use by another process; wait until that run has ended, then run again."
            ) from error
        tar = part_path(folder, number).with_suffix(".tar")
        self._pictures: BinaryIO = tar.open("r+b" if tar.exists() else "w+b", buffering=0)
        self._continue()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pictures.close()
        self._journal.close()

    @property
    def done(self) -> set[int]:
        """The positions of the images that are done."""
        return {row.position for row in self._rows}

    @property
    def counts(self) -> Counter[str]:
        """The rows by state."""
        return Counter(row.state for row in self._rows)

    def append(self, row: Row, position: int, picture: Picture | None) -> None:
        """Write one finished image; when this returns, the death of the process loses nothing of it."""
        done = PartRow(**row.__dict__, position=position)
        if picture is not None:
            member = tarfile.TarInfo(f"{row.id}{picture.suffix}")
            member.size = len(picture.data)
            self._tar.addfile(member, io.BytesIO(picture.data))
            padded = -(-member.size // _BLOCK) * _BLOCK
            done.suffix, done.offset, done.size = picture.suffix, self._tar.offset - padded, member.size
        self._journal.write(done.model_dump_json(by_alias=True).encode() + b"\n")
        self._rows.append(done)

    def seal(self) -> None:
        """Make the part final: the pictures and the rows are on the disk when the Parquet file appears."""
        self._tar.close()
        os.fsync(self._pictures.fileno())
        rows = sorted(self._rows, key=lambda row: row.position)
        table = pa.Table.from_pylist([row.model_dump(by_alias=True) for row in rows], schema=PART_SCHEMA)
        write_parquet(table, part_path(self._folder, self._number))
        self._path.unlink()

    def _continue(self) -> None:
        """Take up what an earlier worker finished."""
        self._journal.seek(0)
        content = self._journal.read()
        complete, _, torn = content.rpartition(b"\n")
        pictures_size = os.fstat(self._pictures.fileno()).st_size
        end = 0
        for number, line in enumerate(complete.splitlines() if complete else [], start=1):
            try:
                row = PartRow.model_validate_json(line)
            except ValidationError as error:
                raise DatagenError(
                    f"{self._path}: line {number} is damaged; delete {self._path.name} to have this part's images "
                    "done again."
                ) from error
            if row.offset + row.size <= pictures_size:
                self._rows.append(row)
                end = max(end, row.offset + -(-row.size // _BLOCK) * _BLOCK)
        if torn:
            self._journal.truncate(len(content) - len(torn))
        self._pictures.truncate(end)
        self._pictures.seek(end)
        self._tar = tarfile.TarFile(fileobj=self._pictures, mode="w", format=tarfile.USTAR_FORMAT)


def reopen_failed(folder: Path, number: int) -> int:
    """Make the failed images of a sealed part undone again, and return how many there are."""
    path = part_path(folder, number)
    rows = [PartRow.model_validate(row) for row in pq.read_table(path).to_pylist()]
    kept = [row for row in rows if row.state != "failed"]
    if len(kept) < len(rows):
        unfinished = path.with_suffix(".unfinished")
        unfinished.write_bytes(b"".join(row.model_dump_json(by_alias=True).encode() + b"\n" for row in kept))
        os.replace(unfinished, _journal_path(folder, number))  # noqa: PTH105
    return len(rows) - len(kept)


def write_parquet(table: pa.Table, path: Path) -> None:
    """Write a table so that the file appears complete, by rename, and with page checksums."""
    unfinished = path.with_suffix(".unfinished")
    with unfinished.open("wb") as file:
        pq.write_table(table, file, compression="zstd", write_page_checksum=True)
        file.flush()
        os.fsync(file.fileno())
    os.replace(unfinished, path)  # noqa: PTH105
