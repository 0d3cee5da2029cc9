"""The kind of a source is found by looking at it."""

from pathlib import Path

import pyarrow.parquet as pq

from datagen.sources.dataset import DatasetSource
from datagen.sources.folder import FolderSource
from datagen.sources.parquet import ParquetSource
from datagen.sources.table import TableSource
from tests.sources.listing import image_dataset, image_table, opened, touch, write_table


def test_the_kind_of_a_source_is_found_by_looking(tmp_path: Path) -> None:
    touch(tmp_path, b"folder/a.jpg")
    write_table(tmp_path / "list.csv", [{"path": "a.jpg"}])
    write_table(tmp_path / "list.parquet", [{"path": "a.jpg"}])
    pq.write_table(image_table([{"bytes": b"x", "path": None}]), tmp_path / "pictures.PARQUET")
    image_dataset().save_to_disk(tmp_path / "saved")
    assert isinstance(opened(tmp_path / "folder"), FolderSource)
    assert isinstance(opened(tmp_path / "list.csv"), TableSource)
    assert isinstance(opened(tmp_path / "list.parquet"), TableSource)
    assert isinstance(opened(tmp_path / "pictures.PARQUET"), ParquetSource)
    assert isinstance(opened(tmp_path / "saved"), DatasetSource)
    assert isinstance(opened(tmp_path, kind="folder"), FolderSource)
