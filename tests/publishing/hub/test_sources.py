"""A data set on the hub is a source, and ten rows of a large one cost ten rows."""

import io
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from PIL import Image

from tests.conftest import FakeServer
from tests.jicvqa.conftest import SMALL, rows_of, write_parquet
from tests.publishing.hub.conftest import LocalHub
from tests.without_ray import states

pytestmark = pytest.mark.slow
ROWS = 400


def noise(number: int) -> bytes:
    """A picture of about 25 kB that nothing makes smaller."""
    encoded = io.BytesIO()
    pixels = np.random.default_rng(number).integers(0, 256, (96, 128, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(encoded, "PNG")
    return encoded.getvalue()


def upload(hub: LocalHub, folder: Path, files: dict[str, bytes], name: str = "org/pictures") -> None:
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    code = (
        "from huggingface_hub import HfApi; api = HfApi();"
        f"api.create_repo({name!r}, repo_type='dataset', exist_ok=True);"
        f"api.upload_folder(repo_id={name!r}, repo_type='dataset', folder_path={str(folder)!r})"
    )
    hub.run("-c", code)


def parquet(rows: int, **columns: Any) -> bytes:
    features = datasets.Features({"image": datasets.Image(), **{name: datasets.Value("string") for name in columns}})
    table = {"image": [{"bytes": noise(row), "path": None} for row in range(rows)], **columns}
    written = io.BytesIO()
    datasets.Dataset.from_dict(table, features=features).to_parquet(written, batch_size=100)
    return written.getvalue()


@pytest.fixture
def recipe(tmp_path: Path, fake_server: FakeServer) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "source: {path: org/pictures, kind: hub}\n"
        f"engines: {{vlm: {{model: fake-vlm, endpoints: ['{fake_server.endpoint}']}}}}\n"
        "stages: [{prompt: caption, engine: vlm}, {prompt: question_answer, engine: vlm}]\n"
    )
    return path


def test_ten_rows_of_a_large_set_do_not_download_all_of_it(hub: LocalHub, recipe: Path, tmp_path: Path) -> None:
    data = parquet(ROWS)
    upload(
        hub, tmp_path / "set", {"data/train-00000-of-00002.parquet": data, "data/train-00001-of-00002.parquet": data}
    )
    hub.run("-m", "datagen", "run", recipe, "--out", tmp_path / "run", "--limit", "10", "--local")
    found = states(tmp_path / "run")
    assert sorted(found) == sorted(f"train#{row}" for row in range(10))
    assert "failed" not in found.values()
    served = hub.control()["served"]
    assert served.keys() == {"data/train-00000-of-00002.parquet"}
    assert sum(served.values()) < len(data) / 3


def test_every_row_of_a_split_is_an_input_with_its_number(hub: LocalHub, recipe: Path, tmp_path: Path) -> None:
    data = parquet(20)
    files = {f"data/{split}-{number:05d}-of-00002.parquet": data for split in ("train", "test") for number in range(2)}
    upload(hub, tmp_path / "set", files)
    hub.run("-m", "datagen", "run", recipe, "--out", tmp_path / "run", "--local", "--set", "source.split=test")
    assert sorted(states(tmp_path / "run")) == sorted(f"test#{row}" for row in range(40))
    said = hub.run("-m", "datagen", "run", recipe, "--out", tmp_path / "no", "--set", "source.split=tst", code=2)
    assert "did you mean 'test'?" in said


def test_a_set_that_is_no_parquet_is_downloaded_and_read(hub: LocalHub, recipe: Path, tmp_path: Path) -> None:
    upload(hub, tmp_path / "set", {f"train/{number}.png": noise(number) for number in range(5)})
    hub.run("-m", "datagen", "run", recipe, "--out", tmp_path / "run", "--local")
    assert sorted(states(tmp_path / "run")) == [f"train#{row}" for row in range(5)]


def test_a_set_that_is_not_there_is_a_sentence(hub: LocalHub, recipe: Path, tmp_path: Path) -> None:
    said = hub.run("-m", "datagen", "run", recipe, "--out", tmp_path / "run", code=2)
    assert said.count("\n") == 1
    assert "org/pictures cannot be loaded" in said


def test_jicvqa_is_built_from_a_data_set_on_the_hub_as_from_the_file(hub: LocalHub, tmp_path: Path) -> None:
    table = write_parquet(tmp_path / "small.parquet", rows_of(SMALL))
    upload(hub, tmp_path / "set", {"data/train-00000-of-00001.parquet": table.read_bytes()}, "org/classes")
    hub.run("-m", "datagen", "jicvqa", "distractors", "--out", tmp_path / "distractors.json")
    for images, out in ((table, "file"), ("org/classes", "hub")):
        options = ("--distractors", tmp_path / "distractors.json", "--out", tmp_path / out)
        hub.run("-m", "datagen", "jicvqa", "build", "--images", images, *options)
    of_hub, of_file = (
        {path.name: path.read_bytes() for path in (tmp_path / out).rglob("*.parquet")} for out in ("hub", "file")
    )
    assert of_hub == of_file
    assert of_hub
