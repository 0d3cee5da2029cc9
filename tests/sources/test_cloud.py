"""Pictures in a cloud: memory:// in this process, and S3 on a server of its own."""

from collections.abc import Iterator
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.clouds import memory_folder, s3_bucket
from tests.conftest import FakeServer, MakeRecipe, picture
from tests.sources.listing import IMAGE, failure_of, keys, listed, opened, read, sentence_of
from tests.without_ray import run_here, states


@pytest.fixture
def memory() -> Iterator[str]:
    with memory_folder("photos") as url:
        yield url


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    with s3_bucket() as url:
        yield url


def put(url: str, data: bytes) -> None:
    with fsspec.open(url, "wb") as file:
        file.write(data)


def table(rows: int) -> bytes:
    sink = pa.BufferOutputStream()
    images = pa.array([{"bytes": picture(number), "path": None} for number in range(rows)], IMAGE)
    columns = {"image": images, "license": pa.array(["CC0"] * rows)}
    pq.write_table(pa.table(columns), sink, row_group_size=4)  # type: ignore[arg-type]
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize("cloud", ["memory", pytest.param("s3", marks=pytest.mark.slow)])
def test_pictures_below_a_url_are_a_source(cloud: str, request: pytest.FixtureRequest) -> None:
    root = f"{request.getfixturevalue(cloud)}/pictures"
    for number in range(3):
        put(f"{root}/花/{number}.jpg", picture(number))
    put(f"{root}/notes.txt", b"mine")
    entries = listed(root)
    assert [entry.key for entry in entries] == ["花/0.jpg", "花/1.jpg", "花/2.jpg"]
    assert [read(opened(root), entry) for entry in entries] == [picture(number) for number in range(3)]
    assert keys(f"{root}/花/1.jpg") == ["1.jpg"]
    source = opened(root)
    list(source.entries())
    assert source.passed_over == {".txt": 1}


@pytest.mark.parametrize("cloud", ["memory", pytest.param("s3", marks=pytest.mark.slow)])
def test_parquet_below_a_url_is_read_row_by_row(cloud: str, request: pytest.FixtureRequest) -> None:
    root = f"{request.getfixturevalue(cloud)}/tables"
    put(f"{root}/a.parquet", table(10))
    put(f"{root}/b/c.parquet", table(3))
    put(f"{root}/README.md", b"about")
    entries = listed(root)
    rows = [f"a.parquet#{row}" for row in range(10)] + [f"b/c.parquet#{row}" for row in range(3)]
    assert [entry.key for entry in entries] == rows
    assert {entry.license for entry in entries} == {"CC0"}
    assert [read(opened(root), entry) for entry in (entries[9], entries[12])] == [picture(9), picture(2)]


def test_what_is_gone_or_too_large_fails_alone(memory: str) -> None:
    put(f"{memory}/0.jpg", picture(0))
    put(f"{memory}/1.jpg", b"x" * 1_000_001)
    gone, large = listed(memory)
    fsspec.filesystem("memory").rm("/photos/0.jpg")
    assert failure_of(opened(memory), gone).failure_class == "unreadable"
    assert failure_of(opened(memory), large).failure_class == "too_large"


def test_an_address_without_anything_or_a_cloud_nobody_knows_is_a_sentence(memory: str) -> None:
    assert "nothing at memory://photos" in sentence_of(memory)
    assert "nowhere://photos cannot be used" in sentence_of("nowhere://photos")
    assert "pip install 'datagen[gs]'" in sentence_of("gs://bucket/photos")


def test_a_table_of_paths_in_a_cloud_is_refused_by_name(memory: str) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"url": ["https://pictures.example/a.jpg"]}), sink)
    put(f"{memory}/list.parquet", sink.getvalue().to_pybytes())
    assert "copy the table to a disk" in sentence_of(memory)


def test_a_run_reads_a_cloud_and_its_directory_is_on_a_disk(
    memory: str, fake_server: FakeServer, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    for number in range(5):
        put(f"{memory}/{number}.jpg", picture(number))
    recipe = make_recipe(tmp_path, fake_server.endpoint, **{"source.path": memory})
    run_here(recipe, tmp_path / "run")
    assert len(states(tmp_path / "run")) == 5
