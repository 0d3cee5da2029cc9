"""Pictures in WebDataset archives: every one is listed once and read back whole, and no damage goes unseen."""

import io
import os
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datagen.errors import DatagenError
from datagen.failures import Failure
from datagen.recipe import SourceSettings
from datagen.sources import open_source, told
from datagen.sources.folder import FolderSource
from datagen.sources.parquet import ParquetSource
from datagen.sources.webdataset import WebDatasetSource
from tests.conftest import FakeServer, MakeRecipe, picture
from tests.sources.listing import listed, opened, read, sentence_of
from tests.without_ray import run_here, states

FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
Members = list[tuple[str, bytes]]


def write_archive(path: Path, members: Members, form: int = tarfile.PAX_FORMAT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=form) as tar:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def contents(path: Path, **options: Any) -> dict[str, bytes]:
    """Return all pictures by key."""
    source = opened(path, **options)
    return {entry.key: read(source, entry) for entry in listed(path, **options)}


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
def test_pictures_are_listed_under_their_names_and_read_back(tmp_path: Path, form: int) -> None:
    long = "長い名前/" + "x" * 90 + "/" + "y" * 60 + ".jpg"
    members = [("000.jpg", b"a"), ("000.json", b"{}"), ("花/桜.png", b"bb" * 700), ("001.txt", b"t"), ("002.webp", b"")]
    if form != tarfile.USTAR_FORMAT:
        members.append((long, b"c" * 512))
    write_archive(tmp_path / "b" / "00001.tar", members, form)
    write_archive(tmp_path / "a.tar", [("000.jpg", b"d")], form)
    wanted = {"a.tar/000.jpg": b"d", "b/00001.tar/000.jpg": b"a", "b/00001.tar/花/桜.png": b"bb" * 700}
    wanted["b/00001.tar/002.webp"] = b""
    if form != tarfile.USTAR_FORMAT:
        wanted[f"b/00001.tar/{long}"] = b"c" * 512
    assert contents(tmp_path) == wanted
    assert list(contents(tmp_path)) == list(wanted)
    assert contents(tmp_path / "a.tar") == {"a.tar/000.jpg": b"d"}


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=200), st.binary(max_size=1500)
        ),
        max_size=12,
    )
)
def test_any_names_and_bytes_come_back(tmp_path_factory: pytest.TempPathFactory, members: Members) -> None:
    pictures = [("first.jpg", b"first"), *((f"{name}n.jpg", data) for name, data in members)]
    path = write_archive(tmp_path_factory.mktemp("tar") / "x.tar", pictures)
    assert list(contents(path).values()) == [data for _, data in pictures]


def test_a_name_that_comes_again_and_one_that_is_no_text_get_keys_of_their_own(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff.jpg")
    path = write_archive(tmp_path / "x.tar", [("a.jpg", b"1"), (name, b"2"), ("a.jpg", b"3")], tarfile.GNU_FORMAT)
    assert contents(path) == {"x.tar/a.jpg": b"1", "x.tar/\\xff.jpg": b"2", "x.tar/a.jpg#2": b"3"}


def test_the_address_and_licence_of_a_sample_are_kept(tmp_path: Path) -> None:
    about = orjson.dumps({"url": "https://example.org/桜.jpg", "license": "CC-BY-4.0", "width": 5})
    members = [
        ("s/000.jpg", b"a"),
        ("s/000.json", about),
        ("s/001.json", b"{torn"),
        ("s/001.jpg", b"b"),
        ("s/002.jpg", b"c"),
        ("s/002.json", b'{"url": 5, "license": null}'),
    ]
    entries = list(opened(write_archive(tmp_path / "x.tar", members)).entries())
    texts = [(entry.key, entry.url, entry.license) for entry in entries]
    assert texts == [
        ("x.tar/s/000.jpg", "https://example.org/桜.jpg", "CC-BY-4.0"),
        ("x.tar/s/001.jpg", "", ""),
        ("x.tar/s/002.jpg", "", ""),
    ]


def test_an_extension_chooses_among_the_pictures_of_a_sample(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "x.tar", [("0.jpg", b"a"), ("0.seg.png", b"b"), ("1.jpg", b"c"), ("1.png", b"d")])
    assert len(contents(path)) == 4
    assert contents(path, column="seg.png") == {"x.tar/0.seg.png": b"b"}
    assert contents(path, column=".JPG") == {"x.tar/0.jpg": b"a", "x.tar/1.jpg": b"c"}


def test_a_folder_of_archives_is_told_from_one_of_pictures(tmp_path: Path) -> None:
    write_archive(tmp_path / "shards" / "0.tar", [("0.jpg", b"a")])
    (tmp_path / "shards" / "0_stats.json").write_text("{}")
    assert isinstance(opened(tmp_path / "shards"), WebDatasetSource)
    (tmp_path / "shards" / "0.jpg").write_bytes(b"a")
    assert isinstance(opened(tmp_path / "shards"), FolderSource)
    assert isinstance(opened(tmp_path / "shards", kind="webdataset"), WebDatasetSource)
    (tmp_path / "shards" / "0.parquet").write_bytes(b"PAR1")
    with pytest.raises(DatagenError, match="no readable Parquet file"):
        assert isinstance(opened(tmp_path / "shards"), ParquetSource)


def about(number: int) -> bytes:
    return orjson.dumps({"url": f"https://example.org/{number}", "license": f"CC-{number}"})


def licences(path: Path) -> dict[str, str]:
    return {entry.key.partition("/")[2]: entry.license for entry in opened(path).entries()}


def test_a_licence_is_that_of_the_json_nearest_by_name_and_never_another_pictures(tmp_path: Path) -> None:
    """`photo.v1.2.jpg` and `photo.v1.3.jpg` are files of one sample in the reading of the webdataset library."""
    members = [
        *(("photo.v1.2.jpg", b"a"), ("photo.v1.2.json", about(12)), ("photo.v1.3.jpg", b"b")),
        *(
            ("photo.v1.3.json", about(13)),
            ("photo.v1.3.seg.png", b"c"),
            ("photo.v2.jpg", b"d"),
            ("photo.json", about(0)),
        ),
        *(("lone.v1.2.jpg", b"e"), ("lone.v1.2.json", about(12)), ("lone.v1.3.jpg", b"f")),
        *(("meta.jpg", b"g"), ("meta.about.json", about(5))),
        *(("torn.1.jpg", b"h"), ("torn.1.json", b"{torn"), ("torn.json", about(6))),
        *(("first.json", about(7)), ("first.jpg", b"i"), ("first.left.jpg", b"j")),
        *(("both.jpg", b"k"), ("both.left.jpg", b"l"), ("both.left.json", about(8))),
    ]
    path = write_archive(tmp_path / "x.tar", members)
    assert licences(path) == {
        "photo.v1.2.jpg": "CC-12",
        "photo.v1.3.jpg": "CC-13",
        "photo.v1.3.seg.png": "CC-13",
        "photo.v2.jpg": "CC-0",
        "lone.v1.2.jpg": "CC-12",
        "lone.v1.3.jpg": "",
        "meta.jpg": "CC-5",
        "torn.1.jpg": "CC-6",
        "first.jpg": "CC-7",
        "first.left.jpg": "CC-7",
        "both.jpg": "",
        "both.left.jpg": "CC-8",
    }


def test_links_to_files_of_the_archive_are_followed_and_others_counted(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    links = [
        ("./b.jpg", tarfile.LNKTYPE, "s/a.jpg"), ("s/c.jpg", tarfile.SYMTYPE, "a.jpg"),
        ("t/d.jpg", tarfile.SYMTYPE, "../s/c.jpg"), ("s/a.json", tarfile.LNKTYPE, "about.json"),
        ("later.jpg", tarfile.SYMTYPE, "z.jpg"), ("gone.jpg", tarfile.LNKTYPE, "nothing.jpg"),
        ("out.jpg", tarfile.SYMTYPE, "/etc/passwd"), ("up.jpg", tarfile.SYMTYPE, "../../etc/passwd"),
        ("loop.jpg", tarfile.SYMTYPE, "loop.jpg"), ("folder.jpg", tarfile.DIRTYPE, ""),
        ("pipe.jpg", tarfile.FIFOTYPE, ""), ("device.jpg", tarfile.CHRTYPE, ""),
        ("other.txt", tarfile.SYMTYPE, "s/a.jpg"),
    ]  # fmt: skip
    with tarfile.open(path, "w") as tar:
        for name, data in (("about.json", about(1)), ("s/a.jpg", b"a" * 700)):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        for name, kind, target in links:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            tar.addfile(member)
        member = tarfile.TarInfo("z.jpg")
        member.size = 3
        tar.addfile(member, io.BytesIO(b"zzz"))
    found = contents(path)
    assert found == {
        **dict.fromkeys(("x.tar/s/a.jpg", "x.tar/./b.jpg", "x.tar/s/c.jpg", "x.tar/t/d.jpg"), b"a" * 700),
        **dict.fromkeys(("x.tar/later.jpg", "x.tar/z.jpg"), b"zzz"),
    }
    source = opened(path)
    list(source.entries())
    assert source.passed_over == {"links to nothing in their archive": 4, "links, devices and the like": 3}


def test_a_hard_link_means_the_file_before_it_of_its_own_archive(tmp_path: Path) -> None:
    whole = b""
    for data in (b"first", b"second"):
        with tarfile.open(tmp_path / "one.tar", "w") as tar:
            member = tarfile.TarInfo("a.jpg")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
            link = tarfile.TarInfo("b.jpg")
            link.type, link.linkname = tarfile.LNKTYPE, "a.jpg"
            tar.addfile(link)
        whole += (tmp_path / "one.tar").read_bytes()
    (tmp_path / "one.tar").write_bytes(whole)
    wanted = {"one.tar/a.jpg": b"first", "one.tar/b.jpg": b"first"}
    assert contents(tmp_path / "one.tar") == wanted | {"one.tar/a.jpg#2": b"second", "one.tar/b.jpg#2": b"second"}


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
def test_archives_put_one_behind_the_other_are_read_to_their_end(tmp_path: Path, form: int) -> None:
    parts = []
    for number in range(3):
        members = [(f"{number}.jpg", b"%d" % number * 700), (f"{number}.json", about(number))]
        parts.append(write_archive(tmp_path / "part", members, form).read_bytes())
    path = tmp_path / "x.tar"
    lone_zero_block = parts[0].rstrip(b"\0")
    lone_zero_block = lone_zero_block.ljust(-(-len(lone_zero_block) // 512) * 512 + 512, b"\0")
    for whole in (
        b"".join(parts),
        parts[0] + bytes(3 << 20) + parts[1] + parts[2],
        lone_zero_block + parts[1] + parts[2],
    ):
        path.write_bytes(whole)
        assert contents(path) == {f"x.tar/{number}.jpg": b"%d" % number * 700 for number in range(3)}
        assert licences(path) == {f"{number}.jpg": f"CC-{number}" for number in range(3)}


def test_damage_behind_the_end_of_an_archive_is_a_sentence_and_other_bytes_there_are_counted(tmp_path: Path) -> None:
    one = write_archive(tmp_path / "one.tar", [("1.jpg", b"a" * 700)], tarfile.GNU_FORMAT).read_bytes()
    path = tmp_path / "x.tar"
    damaged = bytearray(one)
    damaged[130] ^= 1
    for second in (bytes(damaged), one[:600], one[:1536]):
        path.write_bytes(one + second)
        assert "is no whole tar file" in sentence_of(path)
    for other in (b"signature of some tool", b"x" * 5000):
        path.write_bytes(one + other)
        source = opened(path)
        assert [entry.key for entry in source.entries()] == ["x.tar/1.jpg"]
        assert source.passed_over == {"archives with other bytes behind their end": 1}


@pytest.mark.parametrize("options", [["--format=gnu"], ["--format=posix"], ["--format=posix", "--sparse-version=0.1"]])
def test_files_with_holes_are_read_as_they_were(tmp_path: Path, options: list[str]) -> None:
    """GNU tar -S leaves the holes of a file out, and writes where they were in headers of its own."""
    (tmp_path / "in").mkdir()
    with (tmp_path / "in" / "0.jpg").open("wb") as file:
        for offset in (0, 200_000, 300_000):
            file.seek(offset)
            file.write(b"data")
        file.truncate(400_000)
    (tmp_path / "in" / "1.jpg").write_bytes(b"b")
    subprocess.run(
        ["tar", "-S", *options, "-C", tmp_path / "in", "-cf", tmp_path / "x.tar", "0.jpg", "1.jpg"], check=True
    )
    assert contents(tmp_path / "x.tar") == {
        "x.tar/0.jpg": (tmp_path / "in" / "0.jpg").read_bytes(), "x.tar/1.jpg": b"b",
    }  # fmt: skip


def test_what_is_no_picture_in_or_beside_an_archive_is_counted(tmp_path: Path) -> None:
    write_archive(
        tmp_path / "x.tar", [("0.jpg", b"a"), ("0.json", b"{}"), ("0.txt", b""), ("0.cls", b""), ("1.txt", b"")]
    )
    (tmp_path / "sizes.csv").write_text("x")
    source = opened(tmp_path)
    assert len(list(source.entries())) == 1
    assert told(source.passed_over) == "2 .txt, 1 .csv, 1 .cls"


def test_an_archive_cut_short_anywhere_is_a_sentence(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "x.tar", [(f"{number}.jpg", b"x" * 700) for number in range(3)], tarfile.GNU_FORMAT)
    whole, listed = path.read_bytes(), contents(path)
    end = 3 * (512 + 1024)
    for length in range(0, len(whole), 256):
        path.write_bytes(whole[:length])
        if length < end + 512:
            assert "is no whole tar file" in sentence_of(path)
        else:
            assert contents(path) == listed


def test_a_damaged_header_is_a_sentence_and_hides_no_picture(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "x.tar", [(f"{number}.jpg", b"x" * 700) for number in range(3)], tarfile.GNU_FORMAT)
    whole = path.read_bytes()
    for header in range(3):
        damaged = bytearray(whole)
        damaged[header * (512 + 1024) + 130] ^= 1
        path.write_bytes(damaged)
        assert "is no whole tar file" in sentence_of(path)


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_a_compressed_archive_is_a_sentence(tmp_path: Path, mode: Any) -> None:
    path = tmp_path / "x.tar"
    with tarfile.open(path, mode) as tar:
        tar.addfile(tarfile.TarInfo("0.jpg"))
    assert "Archives may not be compressed" in sentence_of(path)


def test_an_archive_that_changed_after_it_was_listed_fails_its_rows_alone(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "x.tar", [("0.jpg", b"a" * 600), ("1.jpg", b"b" * 600), ("2.jpg", b"c" * 200_000)])
    source = open_source(SourceSettings(path=str(path)), max_bytes=100_000)
    first, second, large = source.entries()
    with pytest.raises(Failure, match=r"images\.max_bytes allows 100,000") as caught:
        read(source, large)
    assert caught.value.failure_class == "too_large"
    whole = path.read_bytes()
    path.write_bytes(whole[: second.row + 1000])
    assert read(source, first) == b"a" * 600
    for cut in (second.row + 1000, second.row + 100, second.row):
        path.write_bytes(whole[:cut])
        with pytest.raises(Failure) as caught:
            read(source, second)
        assert caught.value.failure_class == "unreadable"
    path.unlink()
    with pytest.raises(Failure, match="No such file"):
        read(source, first)


def test_a_run_over_archives_accounts_for_every_picture(
    tmp_path: Path, fake_server: FakeServer, make_recipe: MakeRecipe
) -> None:
    for shard in range(2):
        members = [(f"{number:03}.jpg", picture(10 * shard + number)) for number in range(5)]
        write_archive(tmp_path / "shards" / f"{shard}.tar", [*members, ("900.jpg", b"no picture"), ("900.txt", b"")])
    manifest = run_here(make_recipe(tmp_path / "shards", fake_server.endpoint), tmp_path / "out")
    assert manifest["counts"]["inputs"] == 12 == len(states(tmp_path / "out"))
    assert manifest["failures"] == {"not_an_image": 2}
