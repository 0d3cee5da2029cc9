"""`output.pictures: reference`: pictures that are files of the source stay where they are, and are there once."""

import io
from pathlib import Path

import datasets
import pyarrow.parquet as pq
import pytest
from PIL import Image

from datagen.errors import DatagenError
from tests.conftest import FakeServer, MakeRecipe, picture
from tests.without_ray import run_here, shard_digests


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "写真"
    folder.mkdir()
    for number in range(6):
        (folder / f"{number}.jpg").write_bytes(picture(number))
    (folder / "transparent.png").write_bytes(_transparent())
    return folder


def _transparent() -> bytes:
    encoded = io.BytesIO()
    Image.new("RGBA", (64, 64), (255, 0, 0, 100)).save(encoded, "PNG")
    return encoded.getvalue()


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_the_shards_hold_paths_and_datasets_decodes_the_pictures(
    images: Path, make_recipe: MakeRecipe, fake_server: FakeServer, tmp_path: Path
) -> None:
    recipe = make_recipe(images, fake_server.endpoint, output__pictures="reference", stages__1__repeat=1)
    counts = run_here(recipe, tmp_path / "out")["counts"]
    assert (counts["inputs"], counts["failed"]) == (7, 0)
    shards = sorted((tmp_path / "out").glob("*/*.parquet"))
    rows = [
        row for path in shards if path.parent.name in ("train", "dropped") for row in pq.read_table(path).to_pylist()
    ]
    found = {row["key"]: row["images"][0] for row in rows}
    assert found["3.jpg"] == {"bytes": None, "path": str(images / "3.jpg")}
    assert found["transparent.png"]["bytes"].startswith(b"\xff\xd8")  # it was made into another
    read = datasets.load_dataset("parquet", data_files=[str(path) for path in shards if path.parent.name == "train"])
    for row in read["train"]:
        assert row["images"][0].size == (row["pictures"][0]["width"], row["pictures"][0]["height"])
    assert size_of(tmp_path / "out" / "parts") < size_of(images) + 60_000


def test_a_run_that_stops_goes_on_and_phases_pass_references_on(
    images: Path, make_recipe: MakeRecipe, fake_server: FakeServer, tmp_path: Path
) -> None:
    engine = {"model": "fake-vlm", "endpoints": [fake_server.endpoint]}
    stages = [{"prompt": "caption", "engine": "vlm"}, {"prompt": "dialogue_from_caption", "engine": "llm"}]
    changes = {"engines": {"vlm": engine, "llm": engine}, "stages": stages, "output__pictures": "reference"}
    run_here(make_recipe(images, **{"engines__vlm__endpoints": [fake_server.endpoint], **changes}), tmp_path / "out")
    made = make_recipe(
        images, **{"engines__vlm__endpoints": [fake_server.endpoint], **changes, "one_after_the_other": True}
    )
    run_here(made, tmp_path / "phases")
    assert shard_digests(tmp_path / "out") == shard_digests(tmp_path / "phases")


def test_a_file_that_is_gone_is_named_before_the_shards_are_written(
    images: Path, make_recipe: MakeRecipe, fake_server: FakeServer, tmp_path: Path
) -> None:
    recipe = make_recipe(images, fake_server.endpoint, output__pictures="reference", stages__1__repeat=1)
    run_here(recipe, tmp_path / "out")
    calls = fake_server.statistics()["requests"]
    (images / "3.jpg").rename(tmp_path / "3.jpg")
    (tmp_path / "out" / "manifest.json").unlink()
    with pytest.raises(DatagenError, match=r"3\.jpg, which the row .* refers to .* is not there any more"):
        run_here(recipe, tmp_path / "out")
    (tmp_path / "3.jpg").rename(images / "3.jpg")
    assert run_here(recipe, tmp_path / "out")["counts"]["inputs"] == 7
    assert fake_server.statistics()["requests"] == calls
