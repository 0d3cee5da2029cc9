"""Every input of a source is listed once, in a stable order, under a key of its own, and reads as bytes or fails."""

import asyncio
import csv
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import datasets
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datagen.errors import DatagenError
from datagen.failures import Failure
from datagen.recipe import Source
from datagen.records import shard_schema
from datagen.sources import Entry, key_of, open_source
from datagen.sources.dataset import DatasetSource
from datagen.sources.folder import FolderSource
from datagen.sources.parquet import ParquetSource
from datagen.sources.table import TableSource
from tests.conftest import picture

MAX_BYTES = 1_000_000
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def opened(path: Path | str, **options: Any) -> Any:
    return open_source(Source(path=str(path), **options), MAX_BYTES)


def listed(path: Path | str, **options: Any) -> list[Entry]:
    """List twice: the order may not change, and keys must be unique and valid Unicode."""
    source = opened(path, **options)
    entries = list(source.entries())
    assert entries == list(source.entries()) == list(opened(path, **options).entries())
    assert len({entry.key for entry in entries}) == len(entries)
    assert all(entry.key.encode("utf-8") is not None for entry in entries)
    return entries


def keys(path: Path | str, **options: Any) -> list[str]:
    return [entry.key for entry in listed(path, **options)]


def read(source: Any, entry: Entry) -> bytes:
    async def once() -> bytes:
        try:
            data: bytes = await source.read(entry)
            return data
        finally:
            await source.close()

    return asyncio.run(once())


def failure_of(source: Any, entry: Entry) -> Failure:
    with pytest.raises(Failure) as caught:
        read(source, entry)
    return caught.value


def sentence_of(path: Path | str, **options: Any) -> str:
    with pytest.raises(DatagenError) as caught:
        list(opened(path, **options).entries())
    message = str(caught.value)
    assert message.rstrip().endswith(".")
    return message


def touch(folder: Path, name: bytes, content: bytes = b"x") -> None:
    path = folder / os.fsdecode(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


# Folders


def test_a_folder_is_listed_to_any_depth_in_the_order_of_names(tmp_path: Path) -> None:
    for name in (b"b.jpg", b"a/z.png", b"a/b/c/d/e.webp", b"B.JPG", "桜/花.jpeg".encode(), b"a.jpg", b"no_suffix"):
        touch(tmp_path, name)
    for name in (b"notes.txt", b"labels.csv.bak", b".hidden", b"a/.DS_Store"):
        touch(tmp_path, name)
    assert keys(tmp_path) == ["B.JPG", "a/b/c/d/e.webp", "a/z.png", "a.jpg", "b.jpg", "no_suffix", "桜/花.jpeg"]
    assert keys(f"{tmp_path}/") == keys(tmp_path)


@contextmanager
def deep_folder(root: Path, depth: int) -> Iterator[None]:
    """Make folders in folders with a file in the innermost, and take them away again (pytest's own way recurses)."""
    here = Path.cwd()
    os.chdir(root)
    for _ in range(depth):
        Path("d").mkdir()
        os.chdir("d")
    Path("x.jpg").write_bytes(b"x")
    os.chdir(here)
    try:
        yield
    finally:
        os.chdir(root / ("d/" * depth))
        Path("x.jpg").unlink()
        for _ in range(depth):
            os.chdir("..")
            Path("d").rmdir()
        os.chdir(here)


def test_a_folder_deeper_than_the_recursion_limit_is_listed(tmp_path: Path) -> None:
    depth = sys.getrecursionlimit() + 200
    with deep_folder(tmp_path, depth):
        (only,) = listed(tmp_path)
        assert only.key == "d/" * depth + "x.jpg"
        assert read(opened(tmp_path), only) == b"x"


def test_odd_names_keep_keys_of_their_own(tmp_path: Path) -> None:
    names = [
        b"-rf.jpg",
        b"a\nb.jpg",
        b" .jpg",
        b"'\".jpg",
        b"a\\b.jpg",
        b"\\xff.jpg",
        b"\xff.jpg",
        b"\\\\xff.jpg",
        b"x" * 251 + b".jpg",
    ]
    names += [b"\xed\xa0\x80.jpg", "\u00e9.jpg".encode(), "e\u0301.jpg".encode(), b"#2.jpg", b"%41.jpg", b"\x01.jpg"]
    for name in names:
        touch(tmp_path, name, name)
    entries = listed(tmp_path)
    assert len(entries) == len(names)
    source = opened(tmp_path)
    assert {read(source, entry) for entry in entries} == set(names)
    assert pa.array([entry.key for entry in entries]).to_pylist() == [entry.key for entry in entries]
    assert orjson.dumps([entry.key for entry in entries])


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=12) | st.text("\\xf\xff0", max_size=8).map(str.encode), unique=True))
def test_keys_of_different_names_differ_and_are_valid_unicode(names: list[bytes]) -> None:
    made = [key_of(name) for name in names]
    assert len(set(made)) == len(names)
    assert all(key.encode("utf-8").decode("utf-8") == key for key in made)


def test_usual_names_are_their_own_keys() -> None:
    for name in ("花/桜 (1).jpg", "a-b_c.png", "x#2.jpg"):
        assert key_of(name.encode()) == name


def test_links_are_followed_once_and_loops_end(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    touch(inside, b"a.jpg", b"a")
    touch(outside, b"b.jpg", b"b")
    (inside / "up").symlink_to(tmp_path / "inside")
    (inside / "linked").symlink_to(outside)
    (inside / "linked_again").symlink_to(outside)
    (inside / "itself.jpg").symlink_to(inside / "itself.jpg")
    (inside / "dangling.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (inside / "to_a.jpg").symlink_to(inside / "a.jpg")
    entries = listed(inside)
    assert [entry.key for entry in entries] == ["a.jpg", "dangling.jpg", "itself.jpg", "linked/b.jpg", "to_a.jpg"]
    source = opened(inside)
    assert [read(source, entries[place]) for place in (0, 3, 4)] == [b"a", b"b", b"a"]
    for place in (1, 2):
        assert failure_of(source, entries[place]).failure_class == "unreadable"


def test_pipes_devices_and_folders_named_like_pictures_never_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "null.jpg").symlink_to("/dev/zero")
    touch(tmp_path, b"folder.jpg/inner.jpg", b"inner")
    entries = {entry.key: entry for entry in listed(tmp_path)}
    assert set(entries) == {"folder.jpg/inner.jpg", "null.jpg", "pipe.jpg"}
    source = opened(tmp_path)
    assert read(source, entries["folder.jpg/inner.jpg"]) == b"inner"
    for name in ("pipe.jpg", "null.jpg"):
        failure = failure_of(source, entries[name])
        assert (failure.failure_class, failure.message) == ("unreadable", "not a regular file")


def test_a_file_that_vanished_or_grew_too_large_is_a_failure(tmp_path: Path) -> None:
    touch(tmp_path, b"gone.jpg")
    touch(tmp_path, b"large.jpg", bytes(MAX_BYTES + 1))
    gone, large = listed(tmp_path)
    (tmp_path / "gone.jpg").unlink()
    source = opened(tmp_path)
    assert failure_of(source, gone).failure_class == "unreadable"
    assert "No such file" in failure_of(source, gone).message
    assert failure_of(source, large).failure_class == "too_large"
    assert "1,000,000" in failure_of(source, large).message


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_forbidden_file_is_a_failure_and_a_forbidden_folder_stops_before_the_start(tmp_path: Path) -> None:
    touch(tmp_path, b"a.jpg")
    (tmp_path / "a.jpg").chmod(0)
    (entry,) = listed(tmp_path)
    assert failure_of(opened(tmp_path), entry).failure_class == "unreadable"
    touch(tmp_path, b"locked/b.jpg")
    (tmp_path / "locked").chmod(0)
    try:
        assert "locked" in sentence_of(tmp_path)
    finally:
        (tmp_path / "locked").chmod(0o700)


def test_a_folder_that_cannot_be_listed_is_named_and_nothing_vanishes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, b"a.jpg")
    touch(tmp_path, b"locked/b.jpg")
    scan = os.scandir

    def refuse(path: Any) -> Any:  # root, who runs these tests in containers, may list everything
        if bytes(path).endswith(b"locked"):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    message = sentence_of(tmp_path)
    assert "locked" in message
    assert "Permission denied" in message
    assert "would be missing" in message


def test_a_source_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing", "x" * 5000, "a\0b"):
        assert "there is no folder or file" in sentence_of(path)
    touch(tmp_path, b"one.jpg")
    assert "is not a folder" in sentence_of(tmp_path / "one.jpg")


# Tables


def write_table(path: Path, rows: list[dict[str, Any]]) -> Path:
    if path.suffix.lower() == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix.lower() in (".jsonl", ".ndjson"):
        path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    elif path.suffix.lower() == ".json":
        path.write_bytes(orjson.dumps(rows))
    else:
        with path.open("w", encoding="utf-8", newline="") as file:
            names = list(dict.fromkeys(name for row in rows for name in row))
            writer = csv.DictWriter(file, names, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
            writer.writeheader()
            writer.writerows(rows)
    return path


TABLES = ["list.csv", "list.tsv", "list.jsonl", "list.ndjson", "list.json", "list.parquet", "LIST.CSV", "a [1] *?.csv"]


@pytest.mark.parametrize("name", TABLES)
def test_tables_of_paths_keep_their_order_and_are_read_from_their_folder(tmp_path: Path, name: str) -> None:
    touch(tmp_path, "絵/花.jpg".encode(), b"flower")
    touch(tmp_path, b"b.jpg", b"b")
    absolute = str(tmp_path / "b.jpg")
    places = ["絵/花.jpg", "b.jpg", absolute, "missing.jpg", "b.jpg"]
    table = write_table(tmp_path / name, [{"path": place, "license": "CC0", "size": 3} for place in places])
    entries = listed(table)
    assert [entry.key for entry in entries] == ["絵/花.jpg", "b.jpg", absolute, "missing.jpg", "b.jpg#2"]
    assert {entry.license for entry in entries} == {"CC0"}
    source = opened(table)
    assert [read(source, entries[place]) for place in (0, 1, 2, 4)] == [b"flower", b"b", b"b", b"b"]
    assert failure_of(source, entries[3]).failure_class == "unreadable"


@pytest.mark.parametrize("name", TABLES)
def test_tables_of_urls_keep_the_url_in_the_row(tmp_path: Path, name: str) -> None:
    urls = ["https://pictures.example/1.jpg?a=b&c=%E6%A1%9C", "HTTP://pictures.example/2.jpg"]
    entries = listed(write_table(tmp_path / name, [{"url": url, "title": '題, "名"'} for url in urls]))
    assert [entry.url for entry in entries] == urls
    assert [entry.path.decode() for entry in entries] == urls


def test_the_place_is_a_path_and_the_url_column_says_where_it_was_published(tmp_path: Path) -> None:
    table = write_table(tmp_path / "list.csv", [{"file": "a.jpg", "url": "https://pictures.example/a"}])
    (entry,) = listed(table, column="file")
    assert (entry.key, entry.url) == ("a.jpg", "https://pictures.example/a")


@pytest.mark.parametrize("name", ["list.csv", "list.jsonl", "list.parquet"])
def test_repeated_names_never_share_a_key(tmp_path: Path, name: str) -> None:
    places = ["a", "a", "a#2", "a#2", "a#2#2", "a", "", "", "#2", "a#1", "#", "a#02"]
    made = keys(write_table(tmp_path / name, [{"path": place} for place in places]))
    assert len(made) == len(places)
    assert made[:3] == ["a", "a#2", "a#2#1"]


@settings(max_examples=12, deadline=None)
@given(st.lists(st.text('a#1,2" \\桜', max_size=5), min_size=1, max_size=12))
def test_any_list_of_places_has_unique_keys(tmp_path_factory: pytest.TempPathFactory, places: list[str]) -> None:
    table = tmp_path_factory.mktemp("table") / "list.jsonl"
    assert len(keys(write_table(table, [{"path": place} for place in places]))) == len(places)


def test_empty_and_missing_cells_are_inputs_that_fail(tmp_path: Path) -> None:
    table = tmp_path / "list.jsonl"
    table.write_bytes(b'{"path": ""}\n{"path": null}\n{"other": 1}\n{"path": "a.jpg"}\n')
    entries = listed(table)
    assert len(entries) == 4
    source = opened(table)
    assert {failure_of(source, entry).failure_class for entry in entries} == {"unreadable"}


def test_values_of_wrong_types_are_inputs_that_fail(tmp_path: Path) -> None:
    table = tmp_path / "list.jsonl"
    values = [5, 1.5, True, ["a.jpg"], {"path": "a.jpg"}, "a\0b.jpg", "x" * 5000]
    table.write_bytes(b"".join(orjson.dumps({"path": value}) + b"\n" for value in values))
    entries = listed(table)
    assert len(entries) == len(values)
    source = opened(table)
    assert {failure_of(source, entry).failure_class for entry in entries} == {"unreadable"}
    numbers = write_table(tmp_path / "numbers.parquet", [{"path": 1}, {"path": 2}])
    assert keys(numbers, kind="table") == ["1", "2"]


def test_names_that_look_like_dates_or_identifiers_stay_as_they_are(tmp_path: Path) -> None:
    names = ["2024-01-01T00:00:00", "550E8400-E29B-41D4-A716-446655440000", "007", "1e5", "12:30"]
    for table in ("list.jsonl", "list.csv"):
        assert keys(write_table(tmp_path / table, [{"path": name} for name in names])) == names


def test_columns_with_odd_names_are_found(tmp_path: Path) -> None:
    names = ["place", "number", "occurrence", 'we"ird', "select", "画像"]
    table = write_table(tmp_path / "list.csv", [{name: f"{name}.jpg" for name in names}])
    for name in names:
        assert keys(table, column=name) == [f"{name}.jpg"]


def test_a_missing_column_is_a_sentence_with_the_nearest_name(tmp_path: Path) -> None:
    table = write_table(tmp_path / "list.csv", [{"picture": "a.jpg", "label": "1"}])
    assert "did you mean 'picture'?" in sentence_of(table, column="pictures")
    message = sentence_of(table)
    assert "source.column" in message
    assert "It has picture, label" in message


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("list.csv", b""),
        ("list.jsonl", b""),
        ("list.jsonl", b"not json\n"),
        ("list.jsonl", b'{"path": "a.jpg"}\n{"path": '),
        ("list.csv", "パス\n花.jpg\n".encode("cp932")),
        ("list.parquet", b"PAR1 is not enough"),
        ("list.parquet", b""),
        ("list.json", b"\xff\xfe\x00"),
    ],
)
def test_a_broken_table_is_a_sentence(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert name in sentence_of(tmp_path / name)


# Parquet


def image_table(values: list[dict[str, Any] | None], **columns: list[Any]) -> pa.Table:
    return pa.table({"image": pa.array(values, IMAGE), **columns})


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


def test_a_column_whose_bytes_are_no_bytes_holds_no_pictures(tmp_path: Path) -> None:
    odd = pa.table({"image": pa.array([{"bytes": "text"}], pa.struct([("bytes", pa.string())]))})
    pq.write_table(odd, tmp_path / "odd.parquet")
    (entry,) = listed(tmp_path / "odd.parquet")
    assert failure_of(opened(tmp_path / "odd.parquet"), entry).failure_class == "unreadable"


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
        "id": "1", "key": "k", "url": "https://pictures.example/1", "image": {"bytes": picture(1), "path": "1.jpg"},
    }  # fmt: skip
    (tmp_path / "train").mkdir()
    pq.write_table(pa.Table.from_pylist([row], schema=schema), tmp_path / "train" / "train-00000-of-00001.parquet")
    (entry,) = listed(tmp_path / "train")
    assert entry.url == "https://pictures.example/1"
    assert read(opened(tmp_path / "train"), entry) == picture(1)


# Data sets


def image_dataset(**columns: list[Any]) -> Any:
    images = [{"bytes": picture(number), "path": None} for number in range(3)]
    features = datasets.Features({"image": datasets.Image(), **{name: datasets.Value("string") for name in columns}})
    return datasets.Dataset.from_dict({"image": images, **columns}, features=features)


def test_a_saved_dataset_is_a_source(tmp_path: Path) -> None:
    image_dataset(url=["a", None, "c"], license=["CC0"] * 3, label=["x"] * 3).save_to_disk(tmp_path / "saved")
    entries = listed(tmp_path / "saved")
    assert [(entry.key, entry.url) for entry in entries] == [("train#0", "a"), ("train#1", ""), ("train#2", "c")]
    source = opened(tmp_path / "saved")
    assert [read(source, entry) for entry in entries] == [picture(number) for number in range(3)]


def test_a_saved_dataset_of_several_splits_is_a_source(tmp_path: Path) -> None:
    splits = datasets.DatasetDict({"train": image_dataset(), "test": image_dataset().select([2])})
    splits.save_to_disk(tmp_path / "saved")
    assert len(listed(tmp_path / "saved")) == 3
    (entry,) = listed(tmp_path / "saved", split="test")
    assert entry.key == "test#0"
    assert read(opened(tmp_path / "saved", split="test"), entry) == picture(2)
    assert "did you mean 'test'?" in sentence_of(tmp_path / "saved", split="tets")


def test_a_saved_dataset_without_pictures_is_a_sentence(tmp_path: Path) -> None:
    datasets.Dataset.from_dict({"text": ["x"], "number": [1]}).save_to_disk(tmp_path / "saved")
    assert "no image column" in sentence_of(tmp_path / "saved")
    assert "did you mean 'text'?" in sentence_of(tmp_path / "saved", column="txt")
    assert "cannot be loaded" in sentence_of(tmp_path / "saved", column="number")


def test_a_saved_dataset_with_paths_reads_the_files_and_other_columns_stay_undecoded(tmp_path: Path) -> None:
    touch(tmp_path, b"a.jpg", b"bytes of a")
    paths = [str(tmp_path / name) for name in ("a.jpg", "gone.jpg", "pipe.jpg")]
    broken = [{"bytes": b"no picture", "path": None}] * 4
    features = datasets.Features({"image": datasets.Image(), "mask": datasets.Image()})
    for path in paths:
        Path(path).touch()
    rows = {"image": [*({"bytes": None, "path": path} for path in paths), None], "mask": broken}
    datasets.Dataset.from_dict(rows, features=features).save_to_disk(tmp_path / "saved")
    for path in paths[1:]:
        Path(path).unlink()
    os.mkfifo(paths[2])
    entries = listed(tmp_path / "saved", column="image")
    source = opened(tmp_path / "saved", column="image")
    assert read(source, entries[0]) == b"bytes of a"
    assert {failure_of(source, entry).failure_class for entry in entries[1:]} == {"unreadable"}


# The choice between them


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
