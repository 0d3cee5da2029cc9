"""The rows of one part as an earlier phase of the run has left them, with their pictures."""

import os
from pathlib import Path
from typing import Self

from datagen.pictures.picture import Picture, media_type
from datagen.records import PartRow
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
            Picture(
                os.pread(self._pictures.fileno(), member.size, member.offset),
                member.suffix,
                media_type(member.suffix),
                record.width,
                record.height,
                record.phash,
            )
            for member, record in zip(row.members, row.pictures, strict=True)
        )
