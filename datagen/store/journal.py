"""Parts: what is done, on disk the moment it is done.

A part holds the rows of one consecutive piece of the index. While a worker is at it there are

- `part-000007.jsonl`, the journal: one JSON line for each finished image, appended with one write, and
- `part-000007.tar`, the pictures, appended before the line that points at them.

A journal that lost its worker is continued by the next one: a line that was cut short, and pictures that no line
points at, are as if they had never been; so are the lines from the first one whose picture the tar has lost (after a
power cut). When the last image is done the part is sealed: `part-000007.parquet`
appears by rename with the rows in index order, and the journal goes. All three are formats that anyone can read.
`datagen.store.parts` reads them beside the index.
"""

import fcntl
import os
import tarfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from datagen.errors import DatagenError, system_error
from datagen.files.reading import open_parquet
from datagen.files.writing import appearing, writing
from datagen.pictures.picture import Picture
from datagen.records import PART_SCHEMA, Member, PartRow, Row

GROUP_BYTES = 64 << 20
"""The most text in a row group of a part, so that none comes near the 2 GiB that readers open."""
_BLOCK = tarfile.BLOCKSIZE


def part_path(folder: Path, number: int) -> Path:
    """Return the path of a sealed part."""
    return folder / f"part-{number:06d}.parquet"


def picture_name(row_id: str, suffix: str, number: int, count: int) -> str:
    """Return the name of a picture, in tars and shards; several of a row are one sample of a WebDataset.

    >>> picture_name("2c28", ".jpg", 0, 1), picture_name("2c28", ".png", 1, 2)
    ('2c28.jpg', '2c28.1.png')
    """
    return f"{row_id}{suffix}" if count == 1 else f"{row_id}.{number}{suffix}"


def is_sealed(folder: Path, number: int) -> bool:
    """Whether the part is complete."""
    return part_path(folder, number).exists() and not journal_path(folder, number).exists()


def journal_path(folder: Path, number: int) -> Path:
    """Return the path of a part's journal."""
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
        self._path = journal_path(folder, number)
        self._rows: list[PartRow] = []
        tar = part_path(folder, number).with_suffix(".tar")
        with ExitStack() as opened:
            self._journal: BinaryIO = opened.enter_context(self._path.open("a+b"))
            try:
                fcntl.flock(self._journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise DatagenError(
                    f"{self._path} is in use by another process; wait until that run has ended, then run again."
                ) from error
            except OSError as error:
                raise DatagenError(system_error(error, self._path)) from error
            self._pictures: BinaryIO = opened.enter_context(tar.open("r+b" if tar.exists() else "w+b", buffering=0))
            with writing(self._path):
                self._continue()
            opened.pop_all()

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

    def append(self, row: Row, position: int, pictures: Sequence[Picture] = ()) -> None:
        """Write one finished image; when this returns, the death of the process loses nothing of it.

        Raises:
            DatagenError: the disk is full, or cannot be written.
        """
        done = PartRow.model_construct(**row.__dict__, position=position, members=[])  # it was validated as a row
        with self._writing():
            for number, picture in enumerate(pictures):
                if picture.file:
                    done.members.append(Member(suffix=picture.file, offset=-1, size=0))
                    continue
                member = tarfile.TarInfo(picture_name(row.id, picture.suffix, number, len(pictures)))
                member.size = len(picture.data)
                padding = bytes(-member.size % _BLOCK)
                _write_all(self._pictures, member.tobuf(tarfile.USTAR_FORMAT), picture.data, padding)
                done.members.append(Member(suffix=picture.suffix, offset=self._end + _BLOCK, size=member.size))
                self._end += _BLOCK + member.size + len(padding)
            self._journal.write(journal_line(done))
            self._journal.flush()
        self._rows.append(done)

    def seal(self) -> None:
        """Make the part final: the pictures and the rows are on the disk when the Parquet file appears.

        Raises:
            DatagenError: the disk is full, or cannot be written.
        """
        rows = sorted(self._rows, key=lambda row: row.position)
        with self._writing():
            self._pictures.write(bytes(2 * _BLOCK))  # the end of a tar
            self._pictures.flush()
            os.fsync(self._pictures.fileno())
            _write_sealed(rows, part_path(self._folder, self._number))
            self._path.unlink()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise DatagenError(system_error(error, self._path)) from error

    def _continue(self) -> None:
        """Take up what an earlier worker finished."""
        self._journal.seek(0)
        pictures_size = os.fstat(self._pictures.fileno()).st_size
        journal_size = end = 0
        for row, line_end in _read_journal(self._journal.read(), self._path):
            stored = [member for member in row.members if not member.is_file]
            row_end = max((member.offset + -(-member.size // _BLOCK) * _BLOCK for member in stored), default=0)
            if any(member.offset + member.size > pictures_size for member in stored):
                break
            self._rows.append(row)
            journal_size, end = line_end, max(end, row_end)
        self._journal.truncate(journal_size)
        self._pictures.truncate(end)
        self._pictures.seek(end)
        self._end = end


def _write_all(file: BinaryIO, *pieces: bytes) -> None:
    """Write pieces one behind the other, without making one of them."""
    left = sum(map(len, pieces)) - os.writev(file.fileno(), pieces)
    if left:  # a full disk, or a signal
        joined = b"".join(pieces)
        while left:
            left -= os.write(file.fileno(), joined[-left:])


def journal_line(row: PartRow) -> bytes:
    """Return the line of a row."""
    return row.model_dump_json(by_alias=True).encode() + b"\n"


def _read_journal(content: bytes, path: Path) -> Iterator[tuple[PartRow, int]]:
    """Yield the rows of the complete lines, each with the offset at which its line ends.

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
                f"{path}: line {number} is damaged; delete that line alone and run again: its image is done anew."
            ) from error


def rows_under_way(folder: Path, number: int) -> list[PartRow]:
    """Return the rows of a part's journal; none if it has no journal.

    Raises:
        DatagenError: a line is damaged.
    """
    journal = journal_path(folder, number)
    return [row for row, _ in _read_journal(journal.read_bytes(), journal)] if journal.exists() else []


def rows_of_part(folder: Path, number: int) -> list[PartRow]:
    """Return the rows of a complete part.

    Raises:
        DatagenError: it is damaged.
    """
    path = part_path(folder, number)
    with open_parquet(path, anew(path), checksums=True) as file:
        return [PartRow.model_validate(row) for row in file.read().to_pylist()]


def anew(sealed: Path) -> str:
    """Return what to do about a part that is damaged."""
    return (
        f"Put it back from a copy; without one, delete {sealed.stem}.parquet and {sealed.stem}.tar and run again: the "
        "images of that part alone are done anew."
    )


def _write_sealed(rows: Sequence[PartRow], path: Path) -> None:
    """Write a part with page checksums."""
    with (
        appearing(path) as unfinished,
        unfinished.open("wb") as file,
        pq.ParquetWriter(file, PART_SCHEMA, compression="zstd", write_page_checksum=True) as writer,
    ):
        for group in _groups(rows):
            columns = [row.model_dump(by_alias=True) for row in group]
            writer.write_table(pa.Table.from_pylist(columns, schema=PART_SCHEMA))


def _groups(rows: Sequence[PartRow]) -> Iterator[Sequence[PartRow]]:
    """Yield the rows of each row group: all, unless they have more than `GROUP_BYTES` of text."""
    first = size = 0
    for number, row in enumerate(rows):
        length = len(journal_line(row))
        if number > first and size + length > GROUP_BYTES:
            yield rows[first:number]
            first, size = number, 0
        size += length
    if rows:
        yield rows[first:]
