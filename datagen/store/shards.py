"""Writing one shard: rows in order, pictures gathered from the parts, in the layout that trainers read best.

The picture column has no compression and no dictionary (JPEGs do not shrink, and writing takes a third of the time),
all others are zstd. Every picture's SHA-256 is checked on the way.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from datagen.errors import DatagenError
from datagen.files.plain_names import plain_names
from datagen.files.reading import reading
from datagen.files.writing import writing
from datagen.records import IMAGES, shard_schema
from datagen.store.journal import anew, part_path, picture_name

GROUP_BYTES = 100_000_000
"""The most bytes in a row group, as Hugging Face `datasets` writes them; readers open no column chunk over 2 GiB."""
MOST_CELL_BYTES = (1 << 31) - 1
"""No reader of Parquet opens a larger cell."""
_OPEN_TARS = 32
_STORED = ["id", "pictures", "part", "members"]


class Shard(NamedTuple):
    """A shard that is to be written: `rows` rows of the table of rows, from row `first`."""

    state: str
    name: str
    first: int
    rows: int


def shard_name(prefix: str, number: int, total: int) -> str:
    """Return the name of a shard.

    >>> shard_name("train", 0, 12)
    'train-00000-of-00012.parquet'
    """
    return f"{prefix}-{number:05d}-of-{total:05d}.parquet"


def write_shard(
    table: Path, shard: Shard, parts: Path, folder: Path, row_group_rows: int, group_bytes: int = GROUP_BYTES
) -> dict[str, Any]:
    """Write a shard into `folder` and return its entry for the manifest.

    Args:
        table: the rows of the run in shard order, with the members that hold its pictures, and the bytes of each row.
        shard: which of them.
        parts: the folder with the tars.
        folder: where the shard goes.
        row_group_rows: the most rows of a row group.
        group_bytes: the most bytes of one, but for a row that has more.

    Raises:
        DatagenError: a picture in a part is damaged.
    """
    path = folder / shard.name
    schema = shard_schema()
    with (
        _Pictures(parts) as pictures,
        writing(path),
        path.open("wb") as file,
        pq.ParquetWriter(file, schema, **layout(schema)) as writer,
    ):
        for batch in _batches(table, shard.first, shard.rows, row_group_rows):
            sizes: list[Any] = batch.column("bytes").to_pylist()
            for first, rows in _runs(sizes, group_bytes):
                group = batch.slice(first, rows)
                images = [pictures.read(row) for row in group.select(_STORED).to_pylist()]
                columns: dict[str, Any] = {name: group.column(name) for name in schema.names if name != "images"}
                columns["images"] = pa.array(images, type=IMAGES)
                writer.write_table(pa.table([columns[name] for name in schema.names], schema=schema))
    with path.open("rb") as written:
        os.fsync(written.fileno())  # what the manifest will list is on the disk before the manifest is
    return {"path": f"{folder.name}/{shard.name}", "state": shard.state, "rows": shard.rows, **file_facts(path)}


def file_facts(path: Path) -> dict[str, Any]:
    """Return the size in bytes and the SHA-256 of a file, as manifests have them."""
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def layout(schema: pa.Schema) -> dict[str, Any]:
    """Return how Parquet is to write the columns: picture bytes as they are, all else zstd."""
    columns = leaf_columns(schema)
    texts = [name for name in columns if not name.endswith(".bytes")]
    compression = {name: "zstd" if name in texts else "none" for name in columns}
    return {"compression": compression, "use_dictionary": texts, "write_statistics": texts}


class _Pictures:
    """The pictures of the parts, read by their offsets in the tars."""

    def __init__(self, parts: Path) -> None:
        self._parts = parts
        self._open: dict[int, BinaryIO] = {}

    def __enter__(self) -> "_Pictures":
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._open.values():
            file.close()

    def read(self, row: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the pictures of a row, as `IMAGES` has them.

        Raises:
            DatagenError: one is damaged.
        """
        images = []
        part, members = row["part"], row["members"]
        for number, (member, picture) in enumerate(zip(members, row["pictures"], strict=True)):
            if member["offset"] < 0:
                images.append(self._referred(row["id"], member["suffix"]))
                continue
            with reading(self._tar(part), self._remedy(part)):
                data = os.pread(self._file(part).fileno(), member["size"], member["offset"])
            if hashlib.sha256(data).hexdigest() != picture["sha256"]:
                raise DatagenError(f"The picture of {row['id']} in {self._tar(part)} is damaged. {self._remedy(part)}")
            images.append({"bytes": data, "path": picture_name(row["id"], member["suffix"], number, len(members))})
        return images

    def _referred(self, row_id: str, file: str) -> dict[str, Any]:
        if not os.path.isfile(file):  # noqa: PTH113 (a path of the source, as it has it)
            raise DatagenError(
                f"{file}, which the row {row_id} refers to (output.pictures: reference), is not there any more. Put it "
                "back, and run the same command: no model is called for what is done."
            )
        return {"bytes": None, "path": file}

    def _file(self, part: int) -> BinaryIO:
        if part not in self._open:
            if len(self._open) >= _OPEN_TARS:
                self._open.pop(next(iter(self._open))).close()
            if not self._tar(part).exists():
                raise DatagenError(f"{self._tar(part)} is missing. {self._remedy(part)}")
            self._open[part] = self._tar(part).open("rb", buffering=0)
        return self._open[part]

    def _tar(self, part: int) -> Path:
        return part_path(self._parts, part).with_suffix(".tar")

    def _remedy(self, part: int) -> str:
        return anew(part_path(self._parts, part))


def _runs(sizes: Sequence[int], most: int) -> Iterator[tuple[int, int]]:
    """Yield first and number of rows that together have at most so many bytes; one that has more stands alone.

    >>> list(_runs([40, 40, 40, 150, 10], 100))
    [(0, 2), (2, 1), (3, 1), (4, 1)]
    """
    first = held = 0
    for number, size in enumerate(sizes):
        if number > first and held + size > most:
            yield first, number - first
            first, held = number, 0
        held += size
    if sizes:
        yield first, len(sizes) - first


def row_groups(table: pa.Table, most_rows: int, most_bytes: int) -> Iterator[pa.Table]:
    """Yield a table in pieces of at most so many rows and bytes, by halves; a row that has more bytes stands alone."""
    for first in range(0, table.num_rows, most_rows):
        yield from _halved(table.slice(first, most_rows), most_bytes)


def _halved(table: pa.Table, most_bytes: int) -> Iterator[pa.Table]:
    if table.num_rows == 1 or table.nbytes <= most_bytes:
        yield table
        return
    half = -(-table.num_rows // 2)
    yield from _halved(table.slice(0, half), most_bytes)
    yield from _halved(table.slice(half), most_bytes)


def _batches(table: Path, first: int, rows: int, size: int) -> Iterator[pa.Table]:
    """Yield `rows` rows of a Parquet file from row `first`, `size` at a time; other row groups are not read."""
    held: pa.Table | None = None
    start = 0
    last = first + rows
    with plain_names(table) as (name,), pq.ParquetFile(name) as file:
        for group in range(file.num_row_groups):
            end = start + file.metadata.row_group(group).num_rows
            if start < last and end > first:
                piece = file.read_row_group(group).slice(max(first - start, 0), min(end, last) - max(start, first))
                held = piece if held is None else pa.concat_tables([held, piece])
                while held.num_rows >= size:
                    yield held.slice(0, size)
                    held = held.slice(size)
            start = end
    if held is not None and held.num_rows:
        yield held


@cache
def leaf_columns(schema: pa.Schema) -> list[str]:
    """Return the Parquet column paths of a schema.

    >>> leaf_columns(pa.schema([("id", pa.string()), ("words", pa.list_(pa.string()))]))
    ['id', 'words.list.element']
    >>> leaf_columns(pa.schema([("seen", pa.map_(pa.string(), pa.int64())), ("box", pa.list_(pa.float32(), 4))]))
    ['seen.key_value.key', 'seen.key_value.value', 'box.list.element']
    """

    def below(path: str, data_type: pa.DataType) -> list[str]:
        if pa.types.is_struct(data_type):
            return [leaf for field in data_type.fields for leaf in below(f"{path}.{field.name}", field.type)]
        if isinstance(data_type, pa.BaseExtensionType):
            return below(path, data_type.storage_type)
        if isinstance(data_type, pa.MapType):
            return [
                *below(f"{path}.key_value.key", data_type.key_type),
                *below(f"{path}.key_value.value", data_type.item_type),
            ]
        if isinstance(data_type, pa.ListType | pa.LargeListType | pa.FixedSizeListType):
            return below(f"{path}.list.element", data_type.value_type)
        return [path]

    return [leaf for field in schema for leaf in below(field.name, field.type)]
