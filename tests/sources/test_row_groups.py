"""Row groups of any size: cells are read in little memory and few passes, in whatever order they are asked for."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datagen.failures import Failure
from datagen.sources.reading import row_groups
from datagen.sources.reading.row_groups import ColumnReader
from tests.conftest import ROOT
from tests.sources.listing import IMAGE

ROWS, GROUP = 230, 100


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("groups") / "x.parquet"
    cells = [{"bytes": b"%d" % row * (20 + row % 70), "path": None} for row in range(ROWS)]
    pq.write_table(pa.table({"image": pa.array(cells, IMAGE), "n": range(ROWS)}), path, row_group_size=GROUP)
    return path


@pytest.fixture(params=["held", "streamed"])
def _size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read as groups that can be held, or as ones that are larger than all that may be held."""
    if request.param == "streamed":
        monkeypatch.setattr(row_groups, "_HELD_BYTES", 6_000)
        monkeypatch.setattr(row_groups, "_BATCH_BYTES", 600)


def data_of(reader: ColumnReader, path: Path, row: int) -> bytes:
    data: bytes = reader.cell(os.fsencode(path), row // GROUP, row % GROUP).as_py()["bytes"]
    return data


@pytest.mark.usefixtures("_size")
@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, ROWS - 1), max_size=40))
def test_any_order_gives_the_right_cells(file: Path, rows: list[int]) -> None:
    reader = ColumnReader("image")
    for row in rows:
        assert data_of(reader, file, row) == b"%d" % row * (20 + row % 70)
    reader.close()


@pytest.mark.usefixtures("_size")
def test_parts_that_are_read_side_by_side_pass_through_a_group_once_each(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Any] = []
    cursor = row_groups._Cursor

    def counted(*args: Any) -> Any:
        opened.append(args)
        return cursor(*args)

    monkeypatch.setattr(row_groups, "_Cursor", counted)
    reader = ColumnReader("image")
    for step in range(33):
        for start in (0, 33, 66):
            data_of(reader, file, start + step)
    assert len(opened) <= 3


@pytest.mark.usefixtures("_size")
def test_only_rows_behind_the_damage_fail(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    cells = [{"bytes": os.urandom(3000), "path": None} for _ in range(400)]
    table = pa.table({"image": pa.array(cells, IMAGE)})
    pq.write_table(table, path, data_page_size=20_000, write_batch_size=8, use_dictionary=False)
    data = bytearray(path.read_bytes())
    data[600_000:640_000] = bytes(40_000)
    path.write_bytes(data)
    reader = ColumnReader("image")

    def outcome(row: int) -> bool:
        try:
            return bool(reader.cell(os.fsencode(path), 0, row).as_py()["bytes"] == cells[row]["bytes"])
        except (OSError, pa.ArrowException):
            return False

    good = [outcome(row) for row in range(400)]
    assert all(good[:150])
    assert not any(good[220:])
    assert outcome(3)


def test_a_file_that_changed_after_it_was_listed_fails_its_rows(file: Path) -> None:
    reader = ColumnReader("image")
    for group, row in ((7, 0), (2, 31), (2, 10**6)):
        with pytest.raises(Failure, match="changed after it was listed"):
            reader.cell(os.fsencode(file), group, row)
    with pytest.raises(OSError, match="No such file"):
        reader.cell(b"/nowhere/x.parquet", 0, 0)


_MEMORY = """
import resource, sys
import pyarrow as pa
from datagen.sources.reading.row_groups import ColumnReader
reader = ColumnReader("image")
total = 0
for row in range(0, {rows}):
    total += len(reader.cell(sys.argv[1].encode(), 0, row).as_py()["bytes"])
print(total, pa.default_memory_pool().max_memory())
"""


@pytest.mark.slow
def test_memory_follows_what_is_held_and_not_the_size_of_the_group(tmp_path: Path) -> None:
    """A group of 600 MB; held whole, as it was, it takes twice that."""
    path, rows = tmp_path / "x.parquet", 300
    block = os.urandom(2_000_000)
    chunks = [
        pa.array([{"bytes": block, "path": None}] * 10, IMAGE) for _ in range(rows // 10)
    ]  # each chunk is a page of its own
    pq.write_table(pa.table({"image": pa.chunked_array(chunks)}), path, row_group_size=rows, use_dictionary=False)
    assert pq.ParquetFile(path).num_row_groups == 1
    program = _MEMORY.format(rows=rows)
    done = subprocess.run([sys.executable, "-c", program, path], cwd=ROOT, capture_output=True, check=True)
    total, peak = map(int, done.stdout.split())
    assert total == rows * len(block)
    assert peak < 450_000_000


def test_a_picture_that_stands_in_every_row_does_not_fill_memory(tmp_path: Path) -> None:
    """Encoded as a dictionary a column of placeholders is tiny on disk: 20,000 rows of 100 kB are 2 GB in memory."""
    path = tmp_path / "x.parquet"
    block, rows = os.urandom(100_000), 20_000
    pq.write_table(pa.table({"image": pa.array([block]).take(pa.array([0] * 1))}), path)
    dictionary = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array([block]))
    pq.write_table(pa.table({"image": dictionary}), path, store_schema=False)
    assert path.stat().st_size < 1_000_000
    reader = ColumnReader("image")
    before = pa.total_allocated_bytes()
    for row in (0, 19_999, 31, 32, 12_345):
        assert reader.cell(os.fsencode(path), 0, row).as_py() == block
        assert pa.total_allocated_bytes() - before < row_groups._HELD_BYTES + 50_000_000
    reader.close()
