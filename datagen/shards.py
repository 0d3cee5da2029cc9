"""Writing one shard: rows in order, pictures gathered from the parts, in the layout that trainers read best.

The picture column has no compression and no dictionary (JPEGs do not shrink, and writing takes a third of the time),
all others are zstd. Every picture's SHA-256 is checked on the way.
"""

import hashlib
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from datagen.errors import DatagenError
from datagen.parts import part_path
from datagen.recipe import Output
from datagen.records import IMAGE, shard_schema

_PLACE = ["id", "sha256", "part", "suffix", "offset", "size"]


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


def write_shard(table: Path, shard: Shard, parts: Path, folder: Path, row_group_rows: int) -> dict[str, Any]:
    """Write a shard into `folder` and return its entry for the manifest.

    Args:
        table: the rows of the run in shard order, with the places of the pictures (`PART_SCHEMA` and `part`).
        shard: which of them.
        parts: the folder with the tars.
        folder: where the shard goes.
        row_group_rows: rows a row group.

    Raises:
        DatagenError: a picture in a part is damaged.
    """
    path = folder / shard.name
    schema = shard_schema()
    with _Pictures(parts) as pictures, pq.ParquetWriter(path, schema, **_layout(schema)) as writer:
        for batch in _batches(table, shard.first, shard.rows, row_group_rows):
            images = [pictures.read(place) for place in batch.select(_PLACE).to_pylist()]
            columns: dict[str, Any] = {name: batch.column(name) for name in schema.names if name != "image"}
            columns["image"] = pa.array(images, type=IMAGE)
            writer.write_table(
                pa.table([columns[name] for name in schema.names], schema=schema), row_group_size=row_group_rows
            )
    with path.open("rb") as file:
        os.fsync(file.fileno())  # what the manifest will list is on the disk before the manifest is
    return {"path": f"{folder.name}/{shard.name}", "state": shard.state, "rows": shard.rows, **file_facts(path)}


def file_facts(path: Path) -> dict[str, Any]:
    """Return the size in bytes and the SHA-256 of a file, as manifests have them."""
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _layout(schema: pa.Schema) -> dict[str, Any]:
    """Return how Parquet is to write the columns: picture bytes as they are, all else zstd."""
    columns = leaf_columns(schema)
    texts = [name for name in columns if not name.endswith(".bytes")]
    compression = {name: "zstd" if name in texts else "none" for name in columns}
    return {"compression": compression, "use_dictionary": texts, "write_statistics": texts}


class RollingShards:
    """Shards of one state, written one after the other; they get their names when their number is known."""

    def __init__(self, folder: Path, state: str, schema: pa.Schema, output: Output) -> None:
        self._folder = folder
        self._state = state
        self._schema = schema
        self._output = output
        self._writer: pq.ParquetWriter | None = None
        self._rows: list[int] = []
        self._bytes = 0

    def write(self, table: pa.Table) -> None:
        """Append rows."""
        if not table.num_rows:
            return
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._unnamed(len(self._rows)), self._schema, **_layout(self._schema))
            self._rows.append(0)
        self._writer.write_table(table, row_group_size=self._output.row_group_rows)
        self._rows[-1] += table.num_rows
        self._bytes += table.nbytes
        if self._bytes >= self._output.shard_bytes:
            self._finish()

    def close(self) -> list[dict[str, Any]]:
        """Name the shards and return their entries for the manifest."""
        self._finish()
        entries: list[dict[str, Any]] = []
        for number, rows in enumerate(self._rows):
            name = shard_name(self._folder.name, number, len(self._rows))
            path = self._unnamed(number).rename(self._folder / name)
            entries.append(
                {"path": f"{self._folder.name}/{name}", "state": self._state, "rows": rows, **file_facts(path)}
            )
        return entries

    def _finish(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._writer, self._bytes = None, 0

    def _unnamed(self, number: int) -> Path:
        return self._folder / f"{number:05d}.unfinished"


class _Pictures:
    """The pictures of the parts, read by their places."""

    def __init__(self, parts: Path) -> None:
        self._parts = parts
        self._open: dict[int, BinaryIO] = {}

    def __enter__(self) -> "_Pictures":
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._open.values():
            file.close()

    def read(self, row: dict[str, Any]) -> dict[str, Any] | None:
        if not row["suffix"]:
            return None
        part = row["part"]
        try:
            data = os.pread(self._file(part).fileno(), row["size"], row["offset"])
        except OSError as error:
            raise self._damaged(part, row["id"]) from error
        if hashlib.sha256(data).hexdigest() != row["sha256"]:
            raise self._damaged(part, row["id"])
        return {"bytes": data, "path": row["id"] + row["suffix"]}

    def _file(self, part: int) -> BinaryIO:
        if part not in self._open:
            if len(self._open) >= 256:
                self._open.pop(next(iter(self._open))).close()
            self._open[part] = part_path(self._parts, part).with_suffix(".tar").open("rb", buffering=0)
        return self._open[part]

    def _damaged(self, part: int, row_id: str) -> DatagenError:
        name = part_path(self._parts, part).stem
        return DatagenError(
            f"The picture of {row_id} in {self._parts / name}.tar is missing or damaged. Delete {name}.parquet and "
            f"{name}.tar and run again: the images of that part alone are done anew."
        )


def _batches(table: Path, first: int, rows: int, size: int) -> Iterator[pa.Table]:
    """Yield `rows` rows of a Parquet file from row `first`, `size` at a time; other row groups are not read."""
    file = pq.ParquetFile(table)
    held: pa.Table | None = None
    start = 0
    last = first + rows
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
