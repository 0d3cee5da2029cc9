"""Formats in Parquet: pictures as Hugging Face `Image`, uncompressed, in row groups that readers can hold."""

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

from datagen.exporters import Exporter, Write
from datagen.exporters.writing.conversation import Conversation
from datagen.files.plain_names import plain_names
from datagen.files.writing import writing
from datagen.records import IMAGES, with_features
from datagen.store.journal import picture_name
from datagen.store.shards import GROUP_BYTES, layout

_ROWS_A_GROUP = 256


class ParquetExporter(Exporter):
    """Parquet with a column `images`.

    Attributes:
        fields: the columns beside it, of which the first stands before it.
    """

    suffix = ".parquet"
    fields: ClassVar["tuple[pa.Field[Any], ...]"]

    @abstractmethod
    def record(self, conversation: Conversation) -> dict[str, Any]:
        """Return the row of a conversation, without its pictures.

        Raises:
            RowError: the format has no way to say it.
        """

    @contextmanager
    def open(self, path: Path) -> Iterator[Write]:
        """Open a Parquet file; no more than one row group is in memory."""
        first, *others = self.fields
        schema = with_features(
            pa.schema([first, pa.field("images", IMAGES), *others]), {"images": [{"_type": "Image"}]}
        )
        with writing(path), path.open("wb") as file, pq.ParquetWriter(file, schema, **layout(schema)) as writer:
            waiting: list[dict[str, Any]] = []
            size = 0

            def flush() -> None:
                nonlocal size
                writer.write_table(pa.Table.from_pylist(waiting, schema=schema))
                waiting.clear()
                size = 0

            def write(conversation: Conversation) -> None:
                nonlocal size
                row = self.record(conversation) | {"images": _images(conversation)}
                coming = sum(len(picture.data) for picture in conversation.pictures)
                if waiting and (len(waiting) >= _ROWS_A_GROUP or size + coming > GROUP_BYTES):
                    flush()
                waiting.append(row)
                size += coming

            yield write
            if waiting:
                flush()

    def count(self, path: Path) -> int:
        """Return the rows that the file's footer states."""
        with plain_names(path) as (name,):
            return int(pq.read_metadata(name).num_rows)


def _images(conversation: Conversation) -> list[dict[str, Any]]:
    pictures = conversation.pictures
    return [
        {"bytes": picture.data, "path": picture_name(conversation.id, picture.suffix, number, len(pictures))}
        for number, picture in enumerate(pictures)
    ]
