"""The index: the table of all images of a run, listed before work starts.

`index.parquet` holds one entry an image, in the source's order, and one row group a part, so that the worker of part
*k* reads row group *k* alone. The row ids stand in it, derived from the keys: an image has its id before its bytes
are read, and keeps it when they never can be. An index may grow: what is listed later becomes further parts, and no
image that was there changes its part or its position.
"""

from collections.abc import Iterable
from itertools import accumulate, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from datagen.errors import DatagenError
from datagen.files.plain_names import plain_names
from datagen.files.reading import reading
from datagen.files.writing import appearing
from datagen.recipe import SourceSettings
from datagen.sources import Entry, Source, settled, told

_FIELDS: "list[pa.Field[Any]]" = [
    pa.field("id", pa.string()),
    pa.field("key", pa.string()),
    pa.field("path", pa.binary()),
    pa.field("row", pa.int64()),
    pa.field("row_group", pa.int32()),
    pa.field("url", pa.string()),
    pa.field("license", pa.string()),
    pa.field("latitude", pa.float64()),
    pa.field("longitude", pa.float64()),
]
SCHEMA = pa.schema(_FIELDS)
_EARLIER = pa.schema(_FIELDS[:-2])
"""Of an index from before sources said where pictures were taken, which is read as well."""
_SETTLED = b"datagen.source"
_DECIDED = ("kind", "column", "limit")


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
    with appearing(path) as unfinished:
        with unfinished.open("wb") as file, _writer(file, settled) as writer:
            count = _append(writer, entries, part_rows)
        if not count:
            raise no_images(source)
    return count


def grow_index(index: "Index", source: Source, path: Path, part_rows: int, settled: SourceSettings) -> int:
    """Write an index with the images of another one, and behind them those of the source that are not among them.

    Memory grows by 32 bytes an image that was listed before. An image that is gone from the source stays listed.

    Args:
        index: what was listed before.
        source: what is listed now.
        path: of the new index.
        part_rows: images a part, of the new parts.
        settled: the settings that the source was opened with; its limit is of all images, those before included.

    Returns:
        How many images came to it.

    Raises:
        DatagenError: the source cannot be listed, or the index is damaged.
    """
    listed = np.sort(np.concatenate([_ids(index.names(number)) for number in range(index.parts)]))
    entries = settled.model_copy(update={"limit": None}).chosen(source.entries())
    room = None if settled.limit is None else max(0, settled.limit - index.count)
    further = islice((entry for entry in entries if not _is_among(row_id(entry.key), listed)), room)
    with appearing(path) as unfinished, unfinished.open("wb") as file, _writer(file, settled) as writer:
        for number in range(index.parts):
            writer.write_table(index.listed(number))
        return _append(writer, further, part_rows)


def _writer(file: Any, settled: SourceSettings | None) -> pq.ParquetWriter:
    decided = {name: getattr(settled, name) for name in _DECIDED} if settled else None
    schema = SCHEMA.with_metadata({_SETTLED: orjson.dumps(decided)}) if decided else SCHEMA
    return pq.ParquetWriter(file, schema, compression="zstd", write_page_checksum=True)


def _append(writer: pq.ParquetWriter, entries: Iterable[Entry], part_rows: int) -> int:
    """Write entries, a row group a part, and return how many they are."""
    entries, count = iter(entries), 0
    while rows := [(row_id(entry.key), *entry) for entry in islice(entries, part_rows)]:
        columns = [pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), SCHEMA, strict=True)]
        writer.write_table(pa.table(columns, schema=SCHEMA), row_group_size=part_rows)
        count += len(rows)
    return count


def _ids(names: pa.Table) -> Any:
    """Return the ids of images as 32 bytes each."""
    return np.array(names.column("id").to_pylist(), "S32")


def _is_among(row: str, listed: Any) -> bool:
    wanted = np.bytes_(row)
    offset = int(np.searchsorted(listed, wanted))
    return offset < len(listed) and bool(listed[offset] == wanted)


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
            schema = self._file.schema_arrow
            if not (schema.equals(SCHEMA) or schema.equals(_EARLIER)) or not self._file.metadata.num_rows:
                raise ValueError("it is no index")
        self.count: int = self._file.metadata.num_rows
        self.parts: int = self._file.num_row_groups
        sizes = (self._file.metadata.row_group(number).num_rows for number in range(self.parts))
        self._firsts = [*accumulate(sizes, initial=0)]
        self._decided: dict[str, Any] = orjson.loads((self._file.schema_arrow.metadata or {}).get(_SETTLED, b"{}"))

    def size(self, number: int) -> int:
        """Return how many images a part has."""
        return self._firsts[number + 1] - self._firsts[number]

    def images(self, parts: range) -> int:
        """Return how many images the first parts have."""
        return self._firsts[len(parts)]

    def settled(self, settings: SourceSettings) -> SourceSettings | None:
        """Return the settings with the kind and column that the listing was made with; none where it does not say."""
        if not self._decided:
            return None
        return settings.model_copy(update={name: self._decided[name] for name in ("kind", "column")})

    def read_as(self, settings: SourceSettings, max_bytes: int) -> SourceSettings:
        """Return the settings as a run reads them: as the listing says, or decided now where an older one does not.

        Raises:
            DatagenError: the source is gone.
        """
        return self.settled(settings) or settled(settings, max_bytes)

    def limit(self, claimed: int | None) -> int | None:
        """Return the limit that the listing was made with: `claimed`, that of the run, where it does not say."""
        limit: int | None = self._decided.get("limit", claimed)
        return limit

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
        first = self._firsts[number]
        rows = self.listed(number).to_pylist()
        return [
            IndexEntry(first + offset, row["id"], Entry(*(row[name] for name in Entry._fields)))
            for offset, row in enumerate(rows)
        ]

    def listed(self, number: int) -> pa.Table:
        """Return one part (`SCHEMA`).

        Raises:
            DatagenError: the index is damaged.
        """
        with reading(self.path, self._remedy):
            rows = self._file.read_row_group(number)
        for field in list(SCHEMA)[rows.num_columns :]:
            rows = rows.append_column(field, pa.nulls(rows.num_rows, field.type))
        return rows

    def names(self, number: int) -> pa.Table:
        """Return position, id and key of the images of one part.

        Raises:
            DatagenError: the index is damaged.
        """
        first = self._firsts[number]
        with reading(self.path, self._remedy):
            rows = self._file.read_row_group(number, columns=["id", "key"])
        return rows.add_column(0, "position", pa.array(range(first, first + rows.num_rows), pa.int64()))

    def close(self) -> None:
        """Close the file."""
        self._file.close()
