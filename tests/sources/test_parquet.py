"""Parquet files with pictures: rows are listed without reading them, and read as bytes or fail."""

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datagen.records import shard_schema
from datagen.sources import told
from datagen.sources.parquet import ParquetSource
from tests.conftest import picture
from tests.sources.listing import failure_of, image_table, listed, opened, read, sentence_of, touch


def test_parquet_with_pictures_is_listed_without_reading_them(tmp_path: Path) -> None:
    data = [picture(number) for number in range(5)]
    table = image_table([{"bytes": item, "path": "x.jpg"} for item in data], url=[*"abcd", None], license=["CC0"] * 5)
    pq.write_table(table, tmp_path / "shard.parquet", row_group_size=2)
    entries = listed(tmp_path / "shard.parquet")
    assert [entry.key for entry in entries] == [f"shard.parquet#{row}" for row in range(5)]
    assert [entry.url for entry in entries] == [*"abcd", ""]
    assert {entry.license for entry in entries} == {"CC0"}
    source = opened(tmp_path / "shard.parquet")
    assert [read(source, entry) for entry in entries] == data


@pytest.mark.parametrize("data_type", [pa.binary(), pa.large_binary()])
def test_plain_binary_columns_and_nulls(tmp_path: Path, data_type: pa.DataType) -> None:
    pq.write_table(pa.table({"jpg": pa.array([b"one", None, b""], data_type)}), tmp_path / "plain.parquet")
    source = opened(tmp_path / "plain.parquet")
    assert isinstance(source, ParquetSource)
    one, null, empty = listed(tmp_path / "plain.parquet")
    assert read(source, one) == b"one"
    for entry in (null, empty):
        assert failure_of(source, entry).failure_class == "unreadable"


def test_a_file_in_which_no_row_has_a_picture_fails_its_rows_alone(tmp_path: Path) -> None:
    pq.write_table(image_table([{"bytes": b"x", "path": None}]), tmp_path / "a.parquet")
    pq.write_table(pa.table({"image": pa.nulls(2)}), tmp_path / "b.parquet")
    first, *empty = listed(tmp_path)
    source = opened(tmp_path)
    assert read(source, first) == b"x"
    assert [failure_of(source, entry).message for entry in empty] == ["the row has no picture"] * 2


def test_files_beside_the_parquet_files_are_counted(tmp_path: Path) -> None:
    pq.write_table(image_table([{"bytes": b"x", "path": None}]), tmp_path / "a.parquet")
    for name in (b"a.jpg", b"b.JPG", b"README.md"):
        touch(tmp_path, name)
    source = opened(tmp_path)
    assert len(list(source.entries())) == 1
    assert told(source.passed_over) == "2 .jpg, 1 .md"


def test_null_structs_and_null_bytes_are_failures(tmp_path: Path) -> None:
    pq.write_table(image_table([None, {"bytes": None, "path": "x.jpg"}]), tmp_path / "x.parquet")
    source = opened(tmp_path / "x.parquet")
    assert {failure_of(source, entry).failure_class for entry in listed(tmp_path / "x.parquet")} == {"unreadable"}


def test_a_folder_of_parquet_files_with_odd_names_has_unique_keys(tmp_path: Path) -> None:
    for name in (b"a/x.parquet", b"b/x.parquet", b"#0.parquet", rb"\xff.parquet", "花.parquet".encode()):
        touch(tmp_path, name)
        pq.write_table(image_table([{"bytes": name, "path": None}]), tmp_path / os.fsdecode(name))
    (tmp_path / "folder.parquet").mkdir()
    entries = listed(tmp_path)
    assert len(entries) == 5
    source = opened(tmp_path)
    assert len({read(source, entry) for entry in entries}) == 5
    touch(tmp_path, b"\xff.parquet")
    assert "udcff.parquet" in sentence_of(tmp_path)


def test_parquet_files_that_do_not_belong_are_named_before_the_start(tmp_path: Path) -> None:
    pq.write_table(image_table([{"bytes": b"x", "path": None}]), tmp_path / "a.parquet")
    (tmp_path / "b.parquet").write_bytes(b"damaged")
    assert "b.parquet" in sentence_of(tmp_path)
    pq.write_table(pa.table({"text": ["x"]}), tmp_path / "b.parquet")
    message = sentence_of(tmp_path)
    assert "b.parquet" in message
    assert "'image'" in message
    assert "holds no .parquet files" in sentence_of(_empty(tmp_path), kind="parquet")
    assert "did you mean 'image'?" in sentence_of(tmp_path / "a.parquet", column="imag")


def _empty(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


def test_parquet_that_is_damaged_behind_its_footer_fails_row_by_row(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(image_table([{"bytes": os.urandom(3000), "path": None}] * 3), path, write_page_checksum=True)
    entries = listed(path)
    data = bytearray(path.read_bytes())
    data[4:2000] = bytes(1996)
    path.write_bytes(data)
    failure = failure_of(opened(path), entries[0])
    assert failure.failure_class == "unreadable"
    assert "x.parquet" in failure.message


def test_shards_of_datagen_are_a_source(tmp_path: Path) -> None:
    schema = shard_schema()
    row = dict.fromkeys(schema.names) | {
        "id": "1", "key": "k", "url": "https://pictures.example/1", "images": [{"bytes": picture(1), "path": "1.jpg"}],
    }  # fmt: skip
    (tmp_path / "train").mkdir()
    pq.write_table(pa.Table.from_pylist([row], schema=schema), tmp_path / "train" / "train-00000-of-00001.parquet")
    (entry,) = listed(tmp_path / "train")
    assert entry.url == "https://pictures.example/1"
    assert read(opened(tmp_path / "train"), entry) == picture(1)
