"""The rows of one part as an earlier phase of the run has left them, with their pictures."""

import os
from pathlib import Path
from typing import Self

from datagen.errors import DatagenError, system_error
from datagen.pictures.picture import Picture, prepared_before
from datagen.records import Member, PartRow, PictureRecord
from datagen.store.journal import part_path, rows_of_part


class EarlierRows:
    """The rows of a part by their positions. Use it as a context manager.

    Raises:
        DatagenError: the part is damaged.
    """

    def __init__(self, folder: Path, number: int) -> None:
        self._rows = {row.position: row for row in rows_of_part(folder, number)}
        self._pictures = part_path(folder, number).with_suffix(".tar").open("rb", buffering=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pictures.close()

    def __getitem__(self, position: int) -> tuple[PartRow, tuple[Picture, ...]]:
        row = self._rows[position]
        return row, tuple(
            self._picture(member, record) for member, record in zip(row.members, row.pictures, strict=True)
        )

    def _picture(self, member: Member, record: PictureRecord) -> Picture:
        file = member.suffix if member.is_file else ""
        try:
            data = Path(file).read_bytes() if file else os.pread(self._pictures.fileno(), member.size, member.offset)
            return prepared_before(data, record, file)
        except OSError as error:
            raise DatagenError(system_error(error, file or self._pictures.name)) from error
