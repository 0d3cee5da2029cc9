"""Saved data sets of the `datasets` library as sources."""

import os
from pathlib import Path

import datasets
import pytest

from tests.conftest import picture
from tests.sources.listing import failure_of, image_dataset, listed, opened, pictures, read, sentence_of, touch


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
    message = sentence_of(tmp_path / "saved", column="number")
    assert "source.column 'number' of the data set is of the type int64, which holds no pictures" in message


def test_a_saved_dataset_of_lists_of_images_is_a_source(tmp_path: Path) -> None:
    features = datasets.Features({"images": datasets.List(datasets.Image())})
    rows = {"images": [[{"bytes": picture(1), "path": None}], [{"bytes": picture(2), "path": None}] * 2, []]}
    datasets.Dataset.from_dict(rows, features=features).save_to_disk(tmp_path / "saved")
    one, two, none = listed(tmp_path / "saved")
    source = opened(tmp_path / "saved")
    assert read(source, one) == picture(1)
    assert pictures(source, two) == (picture(2), picture(2))
    assert "no picture" in failure_of(source, none).message


def test_paths_of_a_saved_dataset_are_looked_up_from_its_folder_wherever_a_run_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path / "saved", b"beside/a.jpg", b"bytes of a")
    monkeypatch.chdir(tmp_path / "saved")
    features = datasets.Features({"image": datasets.Image()})
    rows = {"image": [{"bytes": None, "path": "beside/a.jpg"}]}
    datasets.Dataset.from_dict(rows, features=features).save_to_disk(tmp_path / "saved")
    monkeypatch.chdir(tmp_path)
    (entry,) = listed(tmp_path / "saved")
    assert read(opened(tmp_path / "saved"), entry) == b"bytes of a"


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
