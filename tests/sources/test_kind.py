"""The kind of a source is found by looking at it, once: what is decided before the listing holds to the end."""

import shutil
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from datagen.errors import DatagenError
from datagen.pipeline import run as pipeline
from datagen.recipe import SourceSettings
from datagen.sources import open_source, settled
from datagen.sources.dataset import DatasetSource
from datagen.sources.folder import FolderSource
from datagen.sources.parquet import ParquetSource
from datagen.sources.table import TableSource
from datagen.sources.webdataset import WebDatasetSource
from datagen.store.index import Index, write_index
from tests.conftest import FakeServer, MakeRecipe, picture
from tests.sources.listing import MAX_BYTES, image_dataset, image_table, opened, touch, write_table
from tests.sources.test_webdataset import write_archive
from tests.without_ray import run_here, states


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


def decided(path: Path, **options: Any) -> tuple[str, str | None]:
    found = settled(SourceSettings(path=str(path), **options), MAX_BYTES)
    return found.kind, found.column


def test_settled_settings_name_the_kind_and_the_column(tmp_path: Path) -> None:
    touch(tmp_path, b"folder/a.jpg")
    write_table(tmp_path / "list.csv", [{"file": "a.jpg", "n": "1"}])
    write_table(tmp_path / "list.parquet", [{"file_name": "a.jpg"}])
    pq.write_table(image_table([{"bytes": b"x", "path": None}]).rename_columns(["jpg"]), tmp_path / "pictures.parquet")
    image_dataset().save_to_disk(tmp_path / "saved")
    write_archive(tmp_path / "archives" / "0.tar", [("0.jpg", b"a")])
    assert decided(tmp_path / "folder") == ("folder", None)
    assert decided(tmp_path / "list.csv") == ("table", "file")
    assert decided(tmp_path / "list.parquet") == ("table", "file_name")
    assert decided(tmp_path / "list.parquet", kind="parquet") == ("table", "file_name")
    assert decided(tmp_path / "pictures.parquet") == ("parquet", "jpg")
    assert decided(tmp_path / "saved") == ("dataset", "image")
    assert decided(tmp_path / "archives") == ("webdataset", None)
    assert decided(tmp_path / "archives", column="seg.png") == ("webdataset", "seg.png")
    for name in ("folder", "list.csv", "list.parquet", "pictures.parquet", "saved", "archives"):
        once = settled(SourceSettings(path=str(tmp_path / name)), MAX_BYTES)
        assert settled(once, MAX_BYTES) == once


def test_settled_settings_are_opened_without_another_look(tmp_path: Path) -> None:
    """Whatever is put beside the pictures: each of these would decide otherwise."""
    write_archive(tmp_path / "archives" / "0.tar", [("0.jpg", b"a")])
    touch(tmp_path, b"folder/a.jpg")
    pq.write_table(image_table([{"bytes": b"x", "path": None}]), tmp_path / "b.parquet")
    (tmp_path / "parquet").mkdir()
    shutil.copy(tmp_path / "b.parquet", tmp_path / "parquet" / "b.parquet")
    found = {
        name: settled(SourceSettings(path=str(tmp_path / name)), MAX_BYTES)
        for name in ("archives", "folder", "parquet")
    }
    for name in found:
        shutil.copy(tmp_path / "b.parquet", tmp_path / name / "c.parquet")
        touch(tmp_path / name, b"dataset_info.json", b"{}")
        touch(tmp_path / name, b"z.jpg")
    table = pa.table({"other": pa.array([b"wrong"])})
    pq.write_table(table, tmp_path / "parquet" / "a.parquet")  # now the first file
    assert isinstance(open_source(found["archives"], MAX_BYTES), WebDatasetSource)
    assert isinstance(open_source(found["folder"], MAX_BYTES), FolderSource)
    parquet = open_source(found["parquet"], MAX_BYTES)
    assert isinstance(parquet, ParquetSource)
    assert parquet.column == "image"


def interrupted(*_: Any) -> None:
    raise DatagenError("interrupted")


def test_a_parquet_file_put_beside_the_pictures_during_an_interruption_changes_nothing(
    tmp_path: Path, fake_server: FakeServer, make_recipe: MakeRecipe
) -> None:
    for number in range(3):
        touch(tmp_path / "pictures", b"%d.jpg" % number, picture(number))
    recipe = make_recipe(tmp_path / "pictures", fake_server.endpoint)
    with (
        patch("datagen.pipeline.making.make_parts_here", interrupted),
        pytest.raises(DatagenError, match="interrupted"),
    ):
        run_here(recipe, tmp_path / "out")
    write_table(tmp_path / "pictures" / "captions.parquet", [{"file_name": "0.jpg", "text": "x"}])
    manifest = run_here(recipe, tmp_path / "out")
    assert manifest["failures"] == {}
    assert len(states(tmp_path / "out")) == manifest["counts"]["inputs"] == 3
    assert run_here(recipe, tmp_path / "out") == manifest  # the recipe still says auto, and is the same recipe


def test_a_finished_run_needs_its_source_no_more_and_an_unfinished_one_says_that_it_is_gone(
    tmp_path: Path, fake_server: FakeServer, make_recipe: MakeRecipe
) -> None:
    touch(tmp_path / "pictures", b"0.jpg", picture(0))
    recipe = make_recipe(tmp_path / "pictures", fake_server.endpoint)
    with (
        patch("datagen.pipeline.making.make_parts_here", interrupted),
        pytest.raises(DatagenError, match="interrupted"),
    ):
        run_here(recipe, tmp_path / "out")
    (tmp_path / "pictures").rename(tmp_path / "elsewhere")
    with pytest.raises(DatagenError, match="there is no folder or file"):
        run_here(recipe, tmp_path / "out")
    (tmp_path / "elsewhere").rename(tmp_path / "pictures")
    manifest = run_here(recipe, tmp_path / "out")
    (tmp_path / "pictures").rename(tmp_path / "elsewhere")
    assert run_here(recipe, tmp_path / "out") == manifest


def test_an_index_of_an_older_version_is_settled_anew_without_the_runs_own_files(
    tmp_path: Path, fake_server: FakeServer, make_recipe: MakeRecipe
) -> None:
    touch(tmp_path / "pictures", b"0.jpg", picture(0))
    recipe = make_recipe(tmp_path / "pictures", fake_server.endpoint)
    with (
        patch("datagen.pipeline.making.make_parts_here", interrupted),
        pytest.raises(DatagenError, match="interrupted"),
    ):
        run_here(recipe, tmp_path / "out")
    index = tmp_path / "out" / "index.parquet"
    assert Index(index).settled(recipe.source) == settled(recipe.source, MAX_BYTES)
    write_index(open_source(recipe.source, MAX_BYTES), index, recipe.output.part_rows)
    assert Index(index).settled(recipe.source) is None
    (tmp_path / "out").rename(tmp_path / "pictures" / "out")  # as it could be begun then
    manifest = run_here(recipe, tmp_path / "pictures" / "out")
    assert (manifest["counts"]["inputs"], manifest["failures"]) == (1, {})


@pytest.mark.parametrize("out", ["pictures", "pictures/out", "pictures/a/b/out", "link/out", "pictures/../pictures/x"])
@pytest.mark.parametrize("fresh", [False, True])
def test_an_out_in_the_folder_of_the_pictures_is_refused_before_anything_is_written(
    tmp_path: Path, make_recipe: MakeRecipe, quiet: Console, out: str, fresh: bool
) -> None:
    touch(tmp_path / "pictures", b"0.jpg", picture(0))
    (tmp_path / "link").symlink_to(tmp_path / "pictures")
    recipe = make_recipe(tmp_path / "pictures", "http://127.0.0.1:9/v1")
    with pytest.raises(DatagenError) as caught:
        pipeline.run(recipe, tmp_path / out, quiet, fresh=fresh)
    message = str(caught.value)
    assert message.startswith(f"--out {tmp_path / out} lies in source.path {tmp_path / 'pictures'}, and")
    assert message.endswith("choose an --out outside of it.")
    assert [path.name for path in (tmp_path / "pictures").iterdir()] == ["0.jpg"]


def test_an_out_beside_a_table_is_fine_and_what_is_passed_over_is_said(
    tmp_path: Path, fake_server: FakeServer, make_recipe: MakeRecipe
) -> None:
    touch(tmp_path, b"0.jpg", picture(0))
    write_table(tmp_path / "list.csv", [{"path": "0.jpg"}])
    assert run_here(make_recipe(tmp_path / "list.csv", fake_server.endpoint), tmp_path / "out")["failures"] == {}
    for name in (b"a/0.jpg", b"a/0.json", b"a/1.json", b"a/[red]x.txt"):
        touch(tmp_path, name, picture(0))
    console = Console(record=True, width=200)
    with patch("tests.without_ray.Console", lambda **_: console):
        run_here(make_recipe(tmp_path / "a", fake_server.endpoint), tmp_path / "out2")
    assert "Not taken for pictures by their names: 2 .json, 1 .txt." in console.export_text()
