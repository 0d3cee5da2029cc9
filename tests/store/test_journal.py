"""Parts: what a worker finished survives its death at any byte, and sealing does not show the order of the work."""

import hashlib
import os
import tarfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datagen.errors import DatagenError
from datagen.pictures.picture import Picture, prepare
from datagen.recipe import Images
from datagen.records import PART_SCHEMA, ErrorRecord, MessageRecord, Row
from datagen.store.journal import Journal, is_sealed, part_path
from datagen.store.reopening import reopen_failed
from tests.conftest import picture

PICTURES = [prepare(picture(number, (32 + number, 24)), Images()) for number in range(8)]


def pictures_of(position: int) -> list[Picture]:
    """Image 3 has two pictures, and image 4 none."""
    return {3: [PICTURES[3], PICTURES[7]], 4: []}.get(position, [PICTURES[position]])


def row(position: int, state: Any = "kept") -> Row:
    failed = state == "failed"
    return Row(
        id=f"{position:032x}",
        key=f"写真 {position}\u2028\u0085\r.jpg",
        pictures=[] if failed else [made.record for made in pictures_of(position)],
        source="s",
        task="t",
        messages=[
            MessageRecord(role="user", content="一行目\r\n二行目\u2028"),
            MessageRecord(role="assistant", content="答え"),
        ],
        state=state,
        error=ErrorRecord(class_="timeout", message="no answer") if failed else None,
    )


def append(journal: Journal, position: int, state: Any = "kept") -> None:
    journal.append(row(position, state), position, () if state == "failed" else pictures_of(position))


def fill(folder: Path, positions: list[int], failed: tuple[int, ...] = ()) -> None:
    with Journal(folder, 0) as journal:
        for position in positions:
            append(journal, position, "failed" if position in failed else "kept")


def finish(folder: Path, positions: list[int]) -> list[int]:
    """Go on where an earlier worker stopped, seal, and return what had to be done anew."""
    with Journal(folder, 0) as journal:
        missing = [position for position in positions if position not in journal.done]
        for position in missing:
            append(journal, position)
        journal.seal()
    return missing


def sealed_rows(folder: Path) -> list[dict[str, Any]]:
    table = pq.read_table(part_path(folder, 0))
    assert table.schema.equals(PART_SCHEMA)
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def assert_complete(folder: Path, positions: list[int]) -> None:
    """Every position stands there once, in order, with its own picture, and nothing else is left."""
    rows = sealed_rows(folder)
    assert [row["position"] for row in rows] == sorted(positions)
    tar = part_path(folder, 0).with_suffix(".tar").read_bytes()
    for stored in rows:
        assert stored["id"] == f"{stored['position']:032x}"
        found = [tar[member["offset"] : member["offset"] + member["size"]] for member in stored["members"]]
        failed = stored["state"] == "failed"
        assert found == ([] if failed else [made.data for made in pictures_of(stored["position"])])
        assert [picture["sha256"] for picture in stored["pictures"]] == [
            hashlib.sha256(data).hexdigest() for data in found
        ]
    assert is_sealed(folder, 0)
    assert sorted(path.name for path in folder.iterdir()) == ["part-000000.parquet", "part-000000.tar"]


def journal_file(folder: Path) -> Path:
    return folder / "part-000000.jsonl"


def test_a_part_holds_its_rows_in_index_order_and_its_pictures_in_a_tar(tmp_path: Path) -> None:
    fill(tmp_path, [2, 0], failed=(0,))
    assert not is_sealed(tmp_path, 0)
    assert finish(tmp_path, [0, 1, 2]) == [1]
    assert_complete(tmp_path, [0, 1, 2])
    with tarfile.open(part_path(tmp_path, 0).with_suffix(".tar")) as tar:
        assert tar.getnames() == [f"{position:032x}.jpg" for position in (2, 1)]
        member = tar.extractfile(tar.getnames()[0])
        assert member is not None
        assert member.read() == PICTURES[2].data


def test_counts_and_done_are_taken_up_again(tmp_path: Path) -> None:
    fill(tmp_path, [0, 1, 2], failed=(1,))
    with Journal(tmp_path, 0) as journal:
        assert journal.done == {0, 1, 2}
        assert journal.counts == {"kept": 2, "failed": 1}


@pytest.fixture(scope="module")
def three_done(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """The journal and the tar of a part with three of four images done."""
    folder = tmp_path_factory.mktemp("three")
    fill(folder, [1, 0, 3])
    return journal_file(folder).read_bytes(), part_path(folder, 0).with_suffix(".tar").read_bytes()


def restore(folder: Path, journal: bytes, tar: bytes) -> None:
    journal_file(folder).write_bytes(journal)
    part_path(folder, 0).with_suffix(".tar").write_bytes(tar)


def test_a_journal_cut_at_every_byte_of_its_last_line_continues(
    tmp_path: Path, three_done: tuple[bytes, bytes]
) -> None:
    journal, tar = three_done
    last_line = journal.rstrip(b"\n").rindex(b"\n") + 1
    for end in range(last_line, len(journal)):
        folder = tmp_path / str(end)
        folder.mkdir()
        restore(folder, journal[:end], tar)
        with Journal(folder, 0) as continued:
            assert continued.done == {0, 1}
        assert journal_file(folder).read_bytes() == journal[:last_line]
        if end % 50 == 0:
            assert finish(folder, [0, 1, 2, 3]) == [2, 3]
            assert_complete(folder, [0, 1, 2, 3])


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_journal_and_tar_cut_anywhere_lose_and_double_nothing(
    tmp_path_factory: pytest.TempPathFactory, three_done: tuple[bytes, bytes], data: st.DataObject
) -> None:
    journal, tar = three_done
    folder = tmp_path_factory.mktemp("cut")
    restore(folder, journal[: data.draw(st.integers(0, len(journal)))], tar[: data.draw(st.integers(0, len(tar)))])
    # A second death in the middle of the rest, then the end.
    with Journal(folder, 0) as continued:
        for position in [position for position in (0, 1, 2, 3) if position not in continued.done][:1]:
            append(continued, position)
    finish(folder, [0, 1, 2, 3])
    assert_complete(folder, [0, 1, 2, 3])


def test_after_a_whole_line_nothing_is_done_again(tmp_path: Path, three_done: tuple[bytes, bytes]) -> None:
    restore(tmp_path, *three_done)
    assert finish(tmp_path, [0, 1, 2, 3]) == [2]


def test_pictures_that_no_line_points_at_are_overwritten(tmp_path: Path) -> None:
    fill(tmp_path, [0])
    tar = part_path(tmp_path, 0).with_suffix(".tar")
    size = tar.stat().st_size
    with tar.open("ab") as file:
        file.write(b"orphan" * 5000)
    fill(tmp_path, [1])
    assert b"orphan" not in tar.read_bytes()
    finish(tmp_path, [0, 1])
    assert_complete(tmp_path, [0, 1])
    assert sealed_rows(tmp_path)[1]["members"][0]["offset"] >= size


def test_lines_whose_pictures_were_lost_are_gone_for_good(tmp_path: Path) -> None:
    """After a power cut; otherwise such a line would count again once the tar has grown past its end."""
    fill(tmp_path, [0, 1, 2])
    tar = part_path(tmp_path, 0).with_suffix(".tar")
    os.truncate(tar, 600)
    with Journal(tmp_path, 0) as journal:
        assert journal.done == set()
        for position in (5, 4, 3):
            append(journal, position)
    with Journal(tmp_path, 0) as journal:
        assert journal.done == {3, 4, 5}
    assert finish(tmp_path, [0, 1, 2, 3, 4, 5]) == [0, 1, 2]
    assert_complete(tmp_path, [0, 1, 2, 3, 4, 5])


@settings(max_examples=25, deadline=None)
@given(order=st.permutations([0, 1, 2, 3, 4]), deaths=st.sets(st.integers(1, 4)))
def test_sealed_rows_do_not_show_the_order_of_the_work(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], deaths: set[int]
) -> None:
    """All columns are equal but `members`, whose offsets in the tar lead to the same pictures."""
    straight, shuffled = tmp_path_factory.mktemp("straight"), tmp_path_factory.mktemp("shuffled")
    fill(straight, [0, 1, 2, 3, 4], failed=(2,))
    bounds = [0, *sorted(deaths), 5]
    for first, last in pairwise(bounds):
        fill(shuffled, order[first:last], failed=(2,))
    for folder in (straight, shuffled):
        finish(folder, [0, 1, 2, 3, 4])
        assert_complete(folder, [0, 1, 2, 3, 4])
    first_rows, second_rows = (
        [{name: value for name, value in row.items() if name != "members"} for row in sealed_rows(folder)]
        for folder in (straight, shuffled)
    )
    assert first_rows == second_rows


def test_the_same_order_seals_to_the_same_bytes_however_often_it_died(tmp_path: Path) -> None:
    for name, pieces in (("once", [[3, 1, 0, 2]]), ("often", [[3], [1], [0, 2]])):
        (tmp_path / name).mkdir()
        for positions in pieces:
            fill(tmp_path / name, positions)
        finish(tmp_path / name, [0, 1, 2, 3])
    for suffix in (".parquet", ".tar"):
        first, second = (part_path(tmp_path / name, 0).with_suffix(suffix).read_bytes() for name in ("once", "often"))
        assert first == second


def test_a_part_in_use_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with Journal(tmp_path, 0), pytest.raises(DatagenError, match="in use by another process; wait"):
        Journal(tmp_path, 0)
    finish(tmp_path, [])  # and is free again afterwards


@pytest.mark.parametrize("damage", [b"{", b"\0\0\0\0", b"[]", b'{"id": "x"}', b"\xff\xfe", b""])
def test_a_damaged_line_in_the_middle_is_a_sentence(
    tmp_path: Path, three_done: tuple[bytes, bytes], damage: bytes
) -> None:
    journal, tar = three_done
    first, _, third, _ = journal.split(b"\n")
    restore(tmp_path, b"\n".join([first, damage, third, b""]), tar)
    for use in (lambda: Journal(tmp_path, 0), lambda: reopen_failed(tmp_path, 0)):
        with pytest.raises(DatagenError, match=r"line 2 is damaged; delete that line alone"):
            use()
    journal_file(tmp_path).unlink()
    assert finish(tmp_path, [0, 1]) == [0, 1]


def test_death_between_the_two_steps_of_sealing_pays_nothing_twice(tmp_path: Path) -> None:
    fill(tmp_path, [0, 1])
    lines = journal_file(tmp_path).read_bytes()
    finish(tmp_path, [0, 1])
    before = part_path(tmp_path, 0).read_bytes()
    journal_file(tmp_path).write_bytes(lines)
    assert not is_sealed(tmp_path, 0)
    assert finish(tmp_path, [0, 1]) == []
    assert part_path(tmp_path, 0).read_bytes() == before


def test_reopening_forgets_the_failed_alone(tmp_path: Path) -> None:
    fill(tmp_path, [0, 1, 2, 3], failed=(1, 3))
    finish(tmp_path, [0, 1, 2, 3])
    assert reopen_failed(tmp_path, 0) == 2
    assert not is_sealed(tmp_path, 0)
    assert finish(tmp_path, [0, 1, 2, 3]) == [1, 3]
    assert_complete(tmp_path, [0, 1, 2, 3])
    assert {row["state"] for row in sealed_rows(tmp_path)} == {"kept"}
    assert reopen_failed(tmp_path, 0) == 0
    assert is_sealed(tmp_path, 0)


def test_reopening_a_part_under_way_or_not_begun(tmp_path: Path) -> None:
    assert reopen_failed(tmp_path, 0) == 0
    assert not journal_file(tmp_path).exists()
    fill(tmp_path, [0, 1, 2], failed=(1,))
    with journal_file(tmp_path).open("ab") as file:
        file.write(b'{"id": "torn')
    assert reopen_failed(tmp_path, 0) == 1
    assert finish(tmp_path, [0, 1, 2]) == [1]
    assert_complete(tmp_path, [0, 1, 2])


def test_reopening_twice_counts_the_failed_once(tmp_path: Path) -> None:
    fill(tmp_path, [0, 1], failed=(0,))
    finish(tmp_path, [0, 1])
    assert [reopen_failed(tmp_path, 0), reopen_failed(tmp_path, 0)] == [1, 0]
    assert finish(tmp_path, [0, 1]) == [0]


def test_a_damaged_sealed_part_is_a_sentence_when_reopened(tmp_path: Path) -> None:
    part_path(tmp_path, 0).write_bytes(b"PAR1 damaged PAR1")
    with pytest.raises(DatagenError, match=r"delete part-000000\.parquet and part-000000\.tar"):
        reopen_failed(tmp_path, 0)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("suffix", [".jsonl", ".tar"])
def test_a_full_disk_stops_with_a_sentence_and_records_nothing(tmp_path: Path, suffix: str) -> None:
    fill(tmp_path, [0])
    with Journal(tmp_path, 0) as journal:
        attribute = {".jsonl": "_journal", ".tar": "_pictures"}[suffix]
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, getattr(journal, attribute).fileno())
        os.close(full)
        with pytest.raises(DatagenError, match="No space left on device"):
            append(journal, 1)
        assert journal.done == {0}
    assert finish(tmp_path, [0, 1]) == [1]
    assert_complete(tmp_path, [0, 1])


def test_pictures_of_every_size_keep_their_offset(tmp_path: Path) -> None:
    """Sizes around the blocks of a tar and the buffers of files."""
    sizes = [1, 511, 512, 513, 1024, 8191, 8192, 8193, 131_072]
    with Journal(tmp_path, 0) as journal:
        for position, size in enumerate(sizes):
            made = Picture(os.urandom(size), ".png", "image/png", 1, 1, "0" * 16)
            bare = Row(id=f"{position:032x}", key="k", pictures=[made.record], source="s", task="t", state="kept")
            journal.append(bare, position, [made])
        journal.seal()
    tar = part_path(tmp_path, 0).with_suffix(".tar").read_bytes()
    for stored, size in zip(sealed_rows(tmp_path), sizes, strict=True):
        (member,), (picture,) = stored["members"], stored["pictures"]
        assert member["size"] == size
        found = tar[member["offset"] : member["offset"] + size]
        assert hashlib.sha256(found).hexdigest() == picture["sha256"]
