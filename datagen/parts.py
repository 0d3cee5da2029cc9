"""Parts: what is done, on disk the moment it is done.

A part holds the rows of one consecutive piece of the index. While a worker is at it there are

- `part-000007.jsonl`, the journal: one JSON line for each finished image, appended with one write, and
- `part-000007.tar`, the pictures, appended before the line that points at them.

A journal that lost its worker is continued by the next one: a line that was cut short, and pictures that no line
points at, are as if they had never been; so are the lines from the first one whose picture the tar has lost (after a
power cut). When the last image is done the part is sealed: `part-000007.parquet`
appears by rename with the rows in index order, and the journal goes. All three are formats that anyone can read.
"""

import fcntl
import os
import tarfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
        self._journal: BinaryIO = self._path.open("a+b")
        try:
            fcntl.flock(self._journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._journal.close()
            raise DatagenError(
                f"{self._path} is in use by another process; wait until that run has ended, then run again."
            ) from error
        tar = part_path(folder, number).with_suffix(".tar")
        self._pictures: BinaryIO = tar.open("r+b" if tar.exists() else "w+b")
        self._continue()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in (self._pictures, self._journal):
            with suppress(OSError):  # a full disk, which `append` has reported
                file.close()

    @property
    def done(self) -> set[int]:
        """The positions of the images that are done."""
        return {row.position for row in self._rows}

    @property
    def counts(self) -> Counter[str]:
        """The rows by state."""
        return Counter(row.state for row in self._rows)

    def append(self, row: Row, position: int, picture: Picture | None) -> None:
        """Write one finished image; when this returns, the death of the process loses nothing of it.

        Raises:
            DatagenError: the disk is full, or cannot be written.
        """
        done = PartRow(**row.__dict__, position=position)
        with self._writing():
            if picture is not None:
                member = tarfile.TarInfo(f"{row.id}{picture.suffix}")
                member.size = len(picture.data)
                padding = bytes(-member.size % _BLOCK)
                self._pictures.write(b"".join((member.tobuf(tarfile.USTAR_FORMAT), picture.data, padding)))
                self._pictures.flush()
                done.suffix, done.offset, done.size = picture.suffix, self._end + _BLOCK, member.size
                self._end += _BLOCK + member.size + len(padding)
            self._journal.write(_line(done))
            self._journal.flush()
        self._rows.append(done)

    def seal(self) -> None:
        """Make the part final: the pictures and the rows are on the disk when the Parquet file appears.

        Raises:
            DatagenError: the disk is full, or cannot be written.
        """
        rows = sorted(self._rows, key=lambda row: row.position)
        table = pa.Table.from_pylist([row.model_dump(by_alias=True) for row in rows], schema=PART_SCHEMA)
        with self._writing():
            self._pictures.write(bytes(2 * _BLOCK))  # the end of a tar
            self._pictures.flush()
            os.fsync(self._pictures.fileno())
            write_parquet(table, part_path(self._folder, self._number))
            self._path.unlink()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise DatagenError(
                f"{self._path} cannot be written ({error.strerror}). Make room, then run the same command: what is "
                "done is kept."
            ) from error

    def _continue(self) -> None:
        """Take up what an earlier worker finished."""
        self._journal.seek(0)
        pictures_size = os.fstat(self._pictures.fileno()).st_size
        journal_size = end = 0
        for row, line_end in _read_journal(self._journal.read(), self._path):
            if row.offset + row.size > pictures_size:
                break
            self._rows.append(row)
            journal_size, end = line_end, max(end, row.offset + -(-row.size // _BLOCK) * _BLOCK)
        self._journal.truncate(journal_size)
        self._pictures.truncate(end)
        self._pictures.seek(end)
        self._end = end


def _line(row: PartRow) -> bytes:
    return row.model_dump_json(by_alias=True).encode() + b"\n"


def _read_journal(content: bytes, path: Path) -> Iterator[tuple[PartRow, int]]:
    """Yield the rows of the complete lines, each with the place where its line ends.

    Raises:
        DatagenError: a line is damaged.
    """
    end = 0
    for number, line in enumerate(content.split(b"\n")[:-1], start=1):
        end += len(line) + 1
        try:
            yield PartRow.model_validate_json(line), end
        except ValidationError as error:
            raise DatagenError(
                f"{path}: line {number} is damaged; delete {path.name} to have this part's images done again."
            ) from error


def has_answers(row: Row) -> bool:
    """Whether nothing but a rule failed on a row: judging it again is enough, and no model need be asked."""
    return row.error is not None and row.error.class_ == "rule_error"


def reopen_failed(folder: Path, number: int) -> int:
    """Make the failed images of a part, sealed or not, undone again, and return how many there are.

    Raises:
        DatagenError: the part is damaged.
    """
    sealed, journal = part_path(folder, number), _journal_path(folder, number)
    if journal.exists():  # also when a worker died between the two steps of sealing
        rows = [row for row, _ in _read_journal(journal.read_bytes(), journal)]
    elif sealed.exists():
        rows = _read_sealed(sealed)
    else:
        return 0
    kept = [row for row in rows if row.state != "failed" or has_answers(row)]
    if len(kept) < len(rows):
        unfinished = sealed.with_suffix(".unfinished")
        unfinished.write_bytes(b"".join(map(_line, kept)))
        os.replace(unfinished, journal)  # noqa: PTH105
    return len(rows) - len(kept)


def _read_sealed(path: Path) -> list[PartRow]:
    try:
        return [PartRow.model_validate(row) for row in pq.read_table(path).to_pylist()]
    except (OSError, pa.ArrowException, ValidationError) as error:
        raise DatagenError(
            f"{path} is damaged; delete {path.name} and {path.stem}.tar to have this part's images done again."
        ) from error


def write_parquet(table: pa.Table, path: Path) -> None:
    """Write a table so that the file appears complete, by rename, and with page checksums."""
    unfinished = path.with_suffix(".unfinished")
    with unfinished.open("wb") as file:
        pq.write_table(table, file, compression="zstd", write_page_checksum=True)
        file.flush()
        os.fsync(file.fileno())
    os.replace(unfinished, path)  # noqa: PTH105
