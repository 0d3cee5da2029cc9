"""Shards: no row group is larger than readers open, and the same rows give the same bytes."""

from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datagen.errors import DatagenError
from datagen.pictures.picture import Picture
from datagen.recipe import Output
from datagen.records import IMAGE, Row
from datagen.store.journal import Journal
from datagen.store.judged_shards import RollingShards
from datagen.store.shards import Shard, row_groups, write_shard

CAP = 10_000


def write_parts(folder: Path, sizes: list[int]) -> Path:
    """Write one part with pictures of these sizes, and return the sorted table of its rows."""
    from datagen.store.cut import _plan

    (folder / "parts").mkdir()
    with Journal(folder / "parts", 0) as journal:
        for number, size in enumerate(sizes):
            made = Picture(bytes([number % 256]) * size, ".jpg", "image/jpeg", 1, 1, "0" * 16)
            row = Row(id=f"{number:032x}", key="k", pictures=[made.record], source="s", task="t", state="kept")
            journal.append(row, number, [made])
        journal.seal()
    _plan(folder / "parts", folder / "rows.parquet", 1 << 40, None)
    return folder / "rows.parquet"


def group_bytes(path: Path) -> list[int]:
    metadata = pq.read_metadata(path)
    return [metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups)]


def test_no_row_group_of_a_shard_has_more_bytes_than_it_may(tmp_path: Path) -> None:
    sizes = [100, 3000, 3000, 3000, 9000, 2000, 30_000, 100, 100]
    table = write_parts(tmp_path, sizes)
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        write_shard(
            table, Shard("kept", "shard.parquet", 0, len(sizes)), tmp_path / "parts", tmp_path / name, 1000, CAP
        )
    assert (tmp_path / "one" / "shard.parquet").read_bytes() == (tmp_path / "other" / "shard.parquet").read_bytes()
    metadata = pq.read_metadata(tmp_path / "one" / "shard.parquet")
    rows = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
    assert rows == [4, 1, 1, 1, 2]  # the 30,000 bytes stand alone
    read = pq.read_table(tmp_path / "one" / "shard.parquet").column("images").to_pylist()
    assert [len(images[0]["bytes"]) for images in read] == sizes


def test_rows_limit_row_groups_as_before_where_bytes_do_not(tmp_path: Path) -> None:
    table = write_parts(tmp_path, [10] * 7)
    write_shard(table, Shard("kept", "shard.parquet", 0, 7), tmp_path / "parts", tmp_path, 3)
    metadata = pq.read_metadata(tmp_path / "shard.parquet")
    assert [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)] == [3, 3, 1]


def test_what_filter_takes_from_large_row_groups_is_written_in_small_ones(tmp_path: Path) -> None:
    schema = pa.schema({"id": pa.string(), "image": IMAGE, "note": pa.large_string()})
    table = pa.table(
        {
            "id": [str(number) for number in range(40)],
            "image": [{"bytes": b"x" * 900, "path": "p"} for _ in range(40)],
            "note": ["n" * (20_000 if number == 7 else 10) for number in range(40)],
        },
        schema=schema,
    )
    (tmp_path / "train").mkdir()
    rolling = RollingShards(tmp_path / "train", "kept", schema, Output(shard_bytes=1 << 30), group_bytes=CAP)
    rolling.write(table)
    (entry,) = rolling.close()
    path = tmp_path / entry["path"]
    assert pq.read_table(path).equals(table)
    assert sorted(size > CAP + 1000 for size in group_bytes(path)).count(True) == 1  # the row of 20,000 bytes
    loaded = datasets.Dataset.from_parquet(str(path), cache_dir=str(tmp_path / "cache"))
    assert loaded["id"] == table.column("id").to_pylist()


def test_a_row_that_no_reader_opens_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datagen.store.judged_shards.MOST_CELL_BYTES", 5000)
    schema = pa.schema({"id": pa.string()})
    (tmp_path / "train").mkdir()
    rolling = RollingShards(tmp_path / "train", "kept", schema, Output())
    rolling.write(pa.table({"id": ["x"]}, schema=schema))
    with pytest.raises(DatagenError, match="no reader of Parquet opens a cell over 2 GiB"):
        rolling.write(pa.table({"id": ["x" * 6000]}, schema=schema))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 300), max_size=40), st.integers(1, 9), st.integers(1, 700))
def test_row_groups_are_all_rows_in_order_and_within_both_limits(lengths: list[int], rows: int, size: int) -> None:
    values: list[Any] = [[{"content": "x" * length}] for length in lengths]
    table = pa.table({"messages": pa.array(values, pa.list_(pa.struct({"content": pa.string()})))})
    pieces = list(row_groups(table, rows, size))
    assert [row for piece in pieces for row in piece.column("messages").to_pylist()] == values
    assert all(piece.num_rows == 1 or (piece.num_rows <= rows and piece.nbytes <= size) for piece in pieces)
