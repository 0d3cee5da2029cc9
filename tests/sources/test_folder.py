"""Folders: every picture is listed once, in a stable order, under a key of its own, and reads as bytes or fails."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datagen.failures import Failure
from datagen.pictures.picture import prepare
from datagen.recipe import Images
from datagen.sources import key_of, told
from datagen.sources.folder import FolderSource
from tests.sources.listing import MAX_BYTES, failure_of, keys, listed, opened, read, sentence_of, touch


def test_a_folder_is_listed_to_any_depth_in_the_order_of_names(tmp_path: Path) -> None:
    for name in (b"b.jpg", b"a/z.png", b"a/b/c/d/e.webp", b"B.JPG", "桜/花.jpeg".encode(), b"a.jpg", b"no_suffix"):
        touch(tmp_path, name)
    for name in (b"notes.txt", b"labels.csv.bak", b".hidden", b"a/.DS_Store"):
        touch(tmp_path, name)
    assert keys(tmp_path) == ["B.JPG", "a/b/c/d/e.webp", "a/z.png", "a.jpg", "b.jpg", "no_suffix", "桜/花.jpeg"]
    assert keys(f"{tmp_path}/") == keys(tmp_path)


def test_what_is_passed_over_is_counted_by_suffix(tmp_path: Path) -> None:
    names = [b"a.jpg", b"b.JSON", b"c.json", b"notes.txt", b".DS_Store", b".hidden", b"x.a_very_long_suffix_here"]
    for name in names:
        touch(tmp_path, name)
    source = opened(tmp_path)
    for _ in range(2):
        assert len(list(source.entries())) == 1
        assert told(source.passed_over) == "2 .json, 1 .DS_Store, 1 .hidden, 1 .txt, 1 of other names"


def test_counts_of_what_is_passed_over_take_no_memory_for_each_name(tmp_path: Path) -> None:
    for number in range(1500):
        touch(tmp_path, b"photo.%d" % number)
    source = opened(tmp_path)
    assert list(source.entries()) == []
    assert source.passed_over.total() == 1500
    assert len(source.passed_over) <= 1001
    assert told(source.passed_over).endswith("others")


@pytest.mark.parametrize("suffix", ["jxl", "heics", "avifs", "jxr", "psd", "dng", "cr2", "nef", "arw", "svgz", "dib"])
def test_picture_formats_that_are_not_read_are_inputs_that_fail(tmp_path: Path, suffix: str) -> None:
    touch(tmp_path, f"a.{suffix}".encode(), b"\xff\x0a" + bytes(50))
    (entry,) = listed(tmp_path)
    with pytest.raises(Failure, match="is a JPEG XL picture"):
        prepare(read(opened(tmp_path), entry), Images())


def test_the_directories_of_runs_are_left_out_and_counted(tmp_path: Path) -> None:
    touch(tmp_path, b"a.jpg")
    for name in (b"run.json", b"parts/part-00000.tar", b"parts/part-00000.parquet", b"index.parquet", b"no_suffix"):
        touch(tmp_path / "deep" / "run", name)
    for name in (b"run.json", b"b.jpg"):
        touch(tmp_path / "no run", name)
    assert keys(tmp_path) == ["a.jpg", "no run/b.jpg"]
    source = opened(tmp_path)
    assert isinstance(source, FolderSource)
    list(source.entries())
    assert source.passed_over["directories of datagen runs"] == 1
    assert "is the directory of a datagen run; give its folder train" in sentence_of(tmp_path / "deep" / "run")


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
