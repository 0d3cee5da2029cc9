"""Tables of paths and URLs: every row is an input with a key of its own, in the order of the table."""

import base64
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import picture
from tests.sources.listing import failure_of, keys, listed, opened, read, sentence_of, touch, write_table

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


@pytest.mark.slow
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


NAMES = [
    "exp[2]", "a*b", "q?", "b{a,c}", "back\\slash", "tail\\", "a\\[b]", "a\\*b", "x=y", "x=1/y=2", "**", "[!a]", "~",
    "quo'te", 'quo"te', "new\nline", "$HOME", "%20", "#", "日本", "s3:", "a,b",
]  # fmt: skip


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("folder", NAMES)
def test_the_path_of_a_table_is_a_path_and_never_a_pattern(tmp_path: Path, folder: str, kind: str) -> None:
    for sibling in ("exp2", "ab", "axb", "qq", "ba", "backslash"):  # what a pattern would find
        (tmp_path / sibling).mkdir()
        write_table(tmp_path / sibling / f"list.{kind}", [{"path": "wrong.jpg"}])
    (tmp_path / folder).mkdir(parents=True)
    table = write_table(tmp_path / folder / f"list.{kind}", [{"path": "right.jpg", "license": "CC0"}])
    touch(tmp_path / folder, b"right.jpg", b"right")
    (entry,) = listed(table)
    assert (entry.key, entry.url, entry.license) == ("right.jpg", "", "CC0")
    assert read(opened(table), entry) == b"right"


def test_a_folder_of_parquet_tables_is_read_file_by_file_whatever_else_is_in_them(tmp_path: Path) -> None:
    (tmp_path / "x=y [1]").mkdir()
    write_table(tmp_path / "a.parquet", [{"path": "a.jpg", "license": 5}])
    write_table(tmp_path / "x=y [1]" / "b.parquet", [{"url": "https://pictures.example/b", "path": "b.jpg"}])
    write_table(tmp_path / "x=y [1]" / "c.PARQUET", [{"path": None, "extra": 1, "license": ["CC0", "MIT"]}])
    touch(tmp_path, b"a.jpg", b"a")
    entries = listed(tmp_path, column="path")
    texts = [(entry.key, entry.url, entry.license) for entry in entries]
    assert texts == [("a.jpg", "", "5"), ("b.jpg", "https://pictures.example/b", ""), ("", "", "['CC0', 'MIT']")]
    assert read(opened(tmp_path, column="path"), entries[0]) == b"a"
    write_table(tmp_path / "d.parquet", [{"other": "d.jpg"}])
    assert "d.parquet has no column 'path'" in sentence_of(tmp_path, column="path")


def test_pictures_in_a_parquet_file_are_not_read_as_a_table(tmp_path: Path) -> None:
    write_table(tmp_path / "x.parquet", [{"image": {"bytes": b"x", "path": "a.jpg"}}])
    assert "set source.kind: parquet" in sentence_of(tmp_path / "x.parquet", kind="table")


@pytest.mark.parametrize("name", ["list.csv", "list.jsonl", "list.parquet"])
@pytest.mark.parametrize(
    ("place", "clause"),
    [
        (
            "s3://bucket/a.jpg",
            "is of the scheme s3, which is not read: copy the pictures to a disk, or give http(s) URLs",
        ),
        ("gs://bucket/a.jpg", "is of the scheme gs,"),
        ("hf://datasets/a/b/c.jpg", "is of the scheme hf,"),
        ("ftp://pictures.example/a.jpg", "is of the scheme ftp,"),
        ("file://elsewhere/a.jpg", "is a file of another machine: give a path of this one"),
        ("data:image/png;base64,iVBORw0KGgo=", "is a picture as base64 text"),
        (base64.b64encode(picture(1)).decode(), "is a picture as base64 text"),
    ],
)
def test_a_place_that_can_never_be_read_is_refused_at_the_listing_by_its_row(
    tmp_path: Path, name: str, place: str, clause: str
) -> None:
    table = write_table(tmp_path / name, [{"path": "a.jpg"}, {"path": "https://pictures.example/b"}, {"path": place}])
    message = sentence_of(table, kind="table")
    assert message.startswith(f"source.path: row 3 of {table}: '{place[:80]}' {clause}")
    assert "\n" not in message


def test_paths_of_the_home_folder_and_file_urls_are_resolved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "home/花 1.jpg".encode(), b"flower")
    touch(tmp_path, b"~/b.jpg", b"a folder of this name")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    url = f"file://{tmp_path}/home/%E8%8A%B1%201.jpg"
    places = ["~/花 1.jpg", url, url.replace("file://", "FILE://localhost"), "./~/b.jpg"]
    table = write_table(tmp_path / "list.csv", [{"path": place} for place in places])
    entries = listed(table)
    assert [entry.key for entry in entries] == places
    assert [read(opened(table), entry) for entry in entries] == [b"flower"] * 3 + [b"a folder of this name"]


def test_names_that_look_like_dates_or_identifiers_stay_as_they_are(tmp_path: Path) -> None:
    names = ["2024-01-01T00:00:00", "550E8400-E29B-41D4-A716-446655440000", "007", "1e5", "12:30"]
    for table in ("list.jsonl", "list.csv"):
        assert keys(write_table(tmp_path / table, [{"path": name} for name in names])) == names


@pytest.mark.slow
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
