"""The table of a survey: one row a picture, in parts as the index has them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from datagen.files.reading import open_parquet
from datagen.files.writing import appearing
from datagen.survey.measures import Measures

_FIELDS: "list[pa.Field[Any]]" = [
    pa.field("position", pa.int64()),
    pa.field("id", pa.string()),
    pa.field("key", pa.string()),
    pa.field("picture", pa.int32()),
    pa.field("photo", pa.string()),
    pa.field("sha256", pa.string()),
    pa.field("bytes", pa.int64()),
    pa.field("format", pa.string()),
    pa.field("width", pa.int32()),
    pa.field("height", pa.int32()),
    pa.field("frames", pa.int32()),
    pa.field("alpha", pa.bool_()),
    pa.field("phash", pa.int64()),
    pa.field("inner", pa.int64()),
    pa.field("dhash", pa.int64()),
    pa.field("inner_dhash", pa.int64()),
    pa.field("sharpness", pa.float64()),
    pa.field("brightness", pa.float32()),
    pa.field("contrast", pa.float32()),
    pa.field("colours", pa.int32()),
    pa.field("plain", pa.float32()),
    pa.field("border", pa.float32()),
    pa.field("repeated", pa.float32()),
    pa.field("taken", pa.string()),
    pa.field("latitude", pa.float64()),
    pa.field("longitude", pa.float64()),
    pa.field("failure", pa.string()),
    pa.field("told", pa.string()),
]
TABLE = pa.schema(_FIELDS)
"""The columns: those of a `MeasuredRow`."""
MeasuredRow: TypeAlias = tuple[int, str, str, int, str, Measures]
"""Position, id and key of the index, the number of the picture in its row, the photo's id, and its measures."""
_REMEDY = "Delete it and run the same command again: that part alone is measured anew."


def table_part(folder: Path, number: int) -> Path:
    """Return the path of a part of the table."""
    return folder / f"part-{number:06d}.parquet"


def write_part(path: Path, rows: Sequence[MeasuredRow]) -> None:
    """Write a part, which appears by rename."""
    columns = [{**dict(zip(TABLE.names, row[:5], strict=False)), **row[5]._asdict()} for row in rows]
    with appearing(path) as unfinished, unfinished.open("wb") as file:
        pq.write_table(pa.Table.from_pylist(columns, schema=TABLE), file, compression="zstd", write_page_checksum=True)


def parts_of(folder: Path) -> list[Path]:
    """Return the parts of a table, in order."""
    return sorted(folder.glob("part-*.parquet"))


def batches(folder: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Yield columns of all rows, in order.

    Raises:
        DatagenError: a part is damaged.
    """
    for path in parts_of(folder):
        with open_parquet(path, _REMEDY, checksums=True) as file:
            yield from file.iter_batches(columns=list(columns))
