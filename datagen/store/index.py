"""The index: the table of all images of a run, listed before work starts.

`index.parquet` holds one entry an image, in the source's order, and one row group a part, so that the worker of part
*k* reads row group *k* alone. The row ids stand in it, derived from the keys: an image has its id before its bytes
are read, and keeps it when they never can be.
"""

from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from datagen.errors import DatagenError
from datagen.files.plain_names import plain_names
from datagen.files.reading import reading
from datagen.files.writing import appearing
from datagen.recipe import SourceSettings
from datagen.sources import Entry, Source, told

_FIELDS: "list[pa.Field[Any]]" = [
    pa.field("id", pa.string()),
    pa.field("key", pa.string()),
    pa.field("path", pa.binary()),
    pa.field("row", pa.int64()),
    pa.field("row_group", pa.int32()),
    pa.field("url", pa.string()),
    pa.field("license", pa.string()),
]
SCHEMA = pa.schema(_FIELDS)
_SETTLED = b"datagen.source"


class IndexEntry(NamedTuple):
    """An image of the index: its position, its id, and the source's entry."""

    position: int
    id: str
    entry: Entry


def row_id(key: str) -> str:
    """Return the id of the image with this key: its 128-bit xxHash (XXH3), in hex.

    >>> row_id("花/桜.png")
    '2c28f8b73551cbfe967ec0ddddf17e44'
    """
    return xxhash.xxh3_128_hexdigest(key.encode("utf-8", "surrogatepass"))


def write_index(source: Source, path: Path, part_rows: int, settled: SourceSettings | None = None) -> int:
    """List a source into an index and return the number of images.

    The file appears by rename when it is complete. Memory does not grow with the number of images.

    Args:
        source: what is listed.
        path: of the index.
        part_rows: images a part.
        settled: the settings that the source was opened with: which images are meant, and kind and column, which are
            kept with the listing.

    Raises:
        DatagenError: the source cannot be listed, or is empty.
    """
    entries = settled.chosen(source.entries()) if settled else source.entries()
    count = 0
    decided = {"kind": settled.kind, "column": settled.column} if settled else None
    schema = SCHEMA.with_metadata({_SETTLED: orjson.dumps(decided)}) if decided else SCHEMA
    with appearing(path) as unfinished:
        with (
            unfinished.open("wb") as file,
            pq.ParquetWriter(file, schema, compression="zstd", write_page_checksum=True) as writer,
        ):
            while rows := [(row_id(entry.key), *_cells(entry)) for entry in islice(entries, part_rows)]:
                columns = [
                    pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), SCHEMA, strict=True)
                ]
                writer.write_batch(pa.record_batch(columns, schema=schema), row_group_size=part_rows)
                count += len(rows)
        if not count:
            raise no_images(source)
    return count


def _cells(entry: Entry) -> tuple[str, bytes, int, int, str, str]:
    return entry.key, entry.path, entry.row, entry.row_group, entry.url, entry.license


def no_images(source: Source) -> DatagenError:
    """Return what is said of a source that was listed and is empty."""
    others = f" among {told(source.passed_over)}" if source.passed_over else ""
    return DatagenError(
        f"The source holds no images{others}; check source.path (--images), and source.column for tables."
    )


class Index:
    """A written index.

    Attributes:
        path: the file.
        count: how many images it has.
        parts: how many parts.

    Raises:
        DatagenError: the file is missing or damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            raise DatagenError(f"There is no index {path}; run the same datagen run again, which lists the source.")
        with reading(path, self._remedy), plain_names(path) as (name,):
            self._file = pq.ParquetFile(name, page_checksum_verification=True)
            if not self._file.schema_arrow.equals(SCHEMA) or not self._file.metadata.num_rows:
                raise ValueError("it is no index")
        self.count: int = self._file.metadata.num_rows
        self.parts: int = self._file.num_row_groups
        self._part_rows: int = self._file.metadata.row_group(0).num_rows

    def settled(self, settings: SourceSettings) -> SourceSettings | None:
        """Return the settings with the kind and column that the listing was made with; none where it does not say."""
        decided = (self._file.schema_arrow.metadata or {}).get(_SETTLED)
        return settings.model_copy(update=orjson.loads(decided)) if decided else None

    @property
    def _remedy(self) -> str:
        return (
            f"Delete {self.path.name} and nothing else, and run the same datagen run again: the source is listed anew, "
            "and no model is called for what is done."
        )

    def part(self, number: int) -> list[IndexEntry]:
        """Return the images of one part, in the source's order.

        Raises:
            DatagenError: the index is damaged.
        """
        first = number * self._part_rows
        with reading(self.path, self._remedy):
            rows = self._file.read_row_group(number).to_pylist()
        return [
            IndexEntry(
                first + offset,
                row["id"],
                Entry(row["key"], row["path"], row["row"], row["row_group"], row["url"], row["license"]),
            )
            for offset, row in enumerate(rows)
        ]

    def names(self, number: int) -> pa.Table:
        """Return position, id and key of the images of one part.

        Raises:
            DatagenError: the index is damaged.
        """
        first = number * self._part_rows
        with reading(self.path, self._remedy):
            rows = self._file.read_row_group(number, columns=["id", "key"])
        return rows.add_column(0, "position", pa.array(range(first, first + rows.num_rows), pa.int64()))

    def close(self) -> None:
        """Close the file."""
        self._file.close()
