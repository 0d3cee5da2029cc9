"""The index: row groups are parts, ids are unique and stable, and listing takes no memory for the images."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datagen.errors import DatagenError
from datagen.recipe import SourceSettings
from datagen.sources import Entry
from datagen.store.index import Index, grow_index, row_id, write_index


class Listing:
    """A source of so many entries."""

    column = None

    def __init__(self, count: int) -> None:
        self.passed_over: Counter[str] = Counter()
        self.listed = 0
        self._count = count

    def entries(self) -> Iterator[Entry]:
        for number in range(self._count):
            self.listed += 1
            yield Entry(f"写真/{number}.jpg", b"/pictures/\xff%d" % number, number, number // 3, f"u{number}", "CC0")

    async def read(self, entry: Entry) -> bytes:
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError


@pytest.mark.parametrize("count", [1, 7, 8, 9, 16, 50])
def test_row_groups_are_parts_and_hold_the_entries_in_order(tmp_path: Path, count: int) -> None:
    path = tmp_path / "index.parquet"
    assert write_index(Listing(count), path, part_rows=8) == count
    index = Index(path)
    assert index.count == count
    assert index.parts == -(-count // 8) == pq.ParquetFile(path).num_row_groups
    listed = [image for number in range(index.parts) for image in index.part(number)]
    assert [image.entry for image in listed] == list(Listing(count).entries())
    assert [image.position for image in listed] == list(range(count))
    assert [image.id for image in listed] == [row_id(image.entry.key) for image in listed]
    assert len(index.part(0)) == min(count, 8)


def test_a_limit_takes_the_first_and_lists_no_further(tmp_path: Path) -> None:
    source = Listing(1000)
    assert (
        write_index(source, tmp_path / "index.parquet", part_rows=8, settled=SourceSettings(path=".", limit=10)) == 10
    )
    assert source.listed == 10


def test_the_same_source_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_index(Listing(100), tmp_path / name, part_rows=8)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_an_index_from_before_coordinates_is_read_and_grows(tmp_path: Path) -> None:
    write_index(Listing(20), tmp_path / "now", part_rows=8, settled=SourceSettings(path=".", kind="table"))
    now = pq.ParquetFile(tmp_path / "now")
    columns = now.schema_arrow.names[:-2]
    schema = now.read(columns=columns).schema
    with pq.ParquetWriter(tmp_path / "earlier", schema) as writer:
        for number in range(now.num_row_groups):
            writer.write_table(now.read_row_group(number, columns=columns))
    earlier, index = Index(tmp_path / "earlier"), Index(tmp_path / "now")
    assert [earlier.part(number) for number in range(3)] == [index.part(number) for number in range(3)]
    settled = SourceSettings(path=".", kind="table")
    assert grow_index(earlier, Listing(30), tmp_path / "grown", 8, settled) == 10
    assert grow_index(index, Listing(30), tmp_path / "expected", 8, settled) == 10
    assert (tmp_path / "grown").read_bytes() == (tmp_path / "expected").read_bytes()


def test_an_empty_source_says_what_it_passed_over(tmp_path: Path) -> None:
    source = Listing(0)
    source.passed_over.update({".gz": 3})
    with pytest.raises(DatagenError, match=r"holds no images among 3 \.gz; check source\.path"):
        write_index(source, tmp_path / "index.parquet", part_rows=8)


def test_the_index_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    class Breaking(Listing):
        def entries(self) -> Iterator[Entry]:
            yield from super().entries()
            raise DatagenError("The table ends in the middle.")

    with pytest.raises(DatagenError, match="in the middle"):
        write_index(Breaking(20), tmp_path / "index.parquet", part_rows=8)
    assert not (tmp_path / "index.parquet").exists()
    assert write_index(Listing(20), tmp_path / "index.parquet", part_rows=8) == 20


def test_an_empty_source_is_a_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(DatagenError, match=r"holds no images; check source\.path"):
        write_index(Listing(0), tmp_path / "index.parquet", part_rows=8)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [None, b"", b"PAR1 damaged"])
def test_a_missing_or_damaged_index_is_a_sentence(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "index.parquet").write_bytes(content)
    remedy = "There is no index" if content is None else r"Delete index\.parquet and nothing else"
    with pytest.raises(DatagenError, match=remedy):
        Index(tmp_path / "index.parquet")


@settings(deadline=None)
@given(st.lists(st.text(max_size=8), unique=True, max_size=30))
def test_ids_are_unique_and_depend_on_the_key_alone(keys: list[str]) -> None:
    ids = [row_id(key) for key in keys]
    assert len(set(ids)) == len(keys)
    assert ids == [row_id(key) for key in keys]
    assert all(len(one) == 32 and int(one, 16) >= 0 for one in ids)


@pytest.mark.slow
def test_listing_memory_does_not_grow_with_the_images(tmp_path: Path) -> None:
    """Forty times the images in a process of its own; held in memory they would take over 60 MB more."""
    program = """
import resource, sys
from pathlib import Path
from datagen.recipe import SourceSettings
from datagen.store.index import write_index
from tests.store.test_index import Listing
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
write_index(Listing(4_000), Path(sys.argv[1]), 256)
before = peak()
write_index(Listing(160_000), Path(sys.argv[1]), 256)
print(peak() - before)
"""
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", program, str(tmp_path / "index.parquet")]
    done = subprocess.run(command, cwd=root, capture_output=True, check=True)
    assert float(done.stdout) < 20
