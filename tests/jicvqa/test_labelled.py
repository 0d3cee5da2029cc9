"""Promise: anybody's labelled pictures are read as they lie; what is read otherwise than written is said."""

import csv
import json
import unicodedata
from collections.abc import Callable
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datagen.errors import DatagenError
from datagen.jicvqa.benchmark.labelled import read_label_names, read_labelled
from datagen.jicvqa.benchmark.splits import Labels
from datagen.jicvqa.benchmark.stored import load_benchmark
from tests.jicvqa.conftest import command, picture

FLOWERS = {"桜": 3, "梅": 3, "バラ": 3, "ユリ": 3}
LABELS = [name for name, count in FLOWERS.items() for _ in range(count)]


def jpegs() -> list[bytes]:
    return [picture(number) for number in range(len(LABELS))]


def folder_by_class(place: Path, below: str = "") -> Path:
    for number, (label, data) in enumerate(zip(LABELS, jpegs(), strict=True)):
        path = place / below / label / f"{number:03}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return place


def pictures_beside(place: Path) -> list[str]:
    (place / "p").mkdir(parents=True)
    for number, data in enumerate(jpegs()):
        (place / "p" / f"{number}.jpg").write_bytes(data)
    return [f"p/{number}.jpg" for number in range(len(LABELS))]


def image_folder(place: Path) -> Path:
    names = pictures_beside(place)
    with (place / "metadata.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["file_name", "label"], *zip(names, LABELS, strict=True)])
    return place


def csv_table(place: Path, suffix: str = ".csv", delimiter: str = ",") -> Path:
    names = pictures_beside(place)
    with (place / f"t{suffix}").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows([["filename", "class"], *zip(names, LABELS, strict=True)])
    return place / f"t{suffix}"


def json_lines(place: Path) -> Path:
    names = pictures_beside(place)
    lines = [{"path": name, "label": label, "extra": [1]} for name, label in zip(names, LABELS, strict=True)]
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    (place / "t.jsonl").write_text(text, encoding="utf-8")
    return place / "t.jsonl"


def parquet(place: Path, column: "pa.Array") -> Path:
    pq.write_table(pa.table({"image": column, "label": LABELS}), place / "t.parquet", row_group_size=5)
    return place / "t.parquet"


def class_labels() -> datasets.Dataset:
    names = list(FLOWERS)
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=names)})
    rows = {
        "image": [{"bytes": data, "path": None} for data in jpegs()],
        "label": [names.index(label) for label in LABELS],
    }
    return datasets.Dataset.from_dict(rows, features=features)


def saved(place: Path) -> Path:
    class_labels().save_to_disk(str(place / "saved"))
    return place / "saved"


def saved_splits(place: Path) -> Path:
    datasets.DatasetDict({"train": class_labels()}).save_to_disk(str(place / "saved"))
    return place / "saved"


def numbered_parquet(place: Path) -> Path:
    class_labels().to_parquet(str(place / "t.parquet"))
    return place / "t.parquet"


KINDS: dict[str, Callable[[Path], Path]] = {
    "folder by class": folder_by_class,
    "folder by class below train": lambda place: folder_by_class(place, "train"),
    "ImageFolder with metadata.csv": image_folder,
    "CSV with filename and class": csv_table,
    ".CSV": lambda place: csv_table(place, ".CSV"),
    "CSV with semicolons": lambda place: csv_table(place, delimiter=";"),
    "TSV": lambda place: csv_table(place, ".tsv", "\t"),
    "JSON lines": json_lines,
    "binary": lambda place: parquet(place, pa.array(jpegs(), pa.binary())),
    "large_binary": lambda place: parquet(place, pa.array(jpegs(), pa.large_binary())),
    "binary_view": lambda place: parquet(place, pa.array(jpegs(), pa.binary_view())),
    "numbered labels": numbered_parquet,
    "save_to_disk": saved,
    "save_to_disk with splits": saved_splits,
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_pictures_give_the_same_questions_however_they_lie(
    kind: str, distractors_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "source").mkdir()
    source = KINDS[kind](tmp_path / "source")
    outcome = command("build", "--images", source, "--distractors", distractors_file, "--out", tmp_path / "b")
    assert outcome.code == 0, outcome.error
    benchmark = load_benchmark(tmp_path / "b")
    assert benchmark.pictures is not None
    found = {benchmark.pictures(question.id): question.category for question in benchmark.questions}
    assert found == dict(zip(jpegs(), LABELS, strict=True))
    # Ids are made of the pictures, so that they are the same wherever these lie, and say nothing of the class.
    assert all(question.id.isdigit() and len(question.id) <= 15 for question in benchmark.questions)
    first = sorted(question.id for question in benchmark.questions)[0]
    assert first == sorted(str(int(digest, 16) % 10**15) for digest in _digests())[0]


def _digests() -> list[str]:
    from hashlib import sha256

    return [sha256(data).hexdigest() for data in jpegs()]


def split_folders(place: Path) -> None:
    folder_by_class(place, "train")
    folder_by_class(place, "test")


def split_files(place: Path) -> None:
    for split in ("train", "test"):
        class_labels().to_parquet(str(place / f"{split}-00000-of-00001.parquet"))


def split_saved(place: Path) -> None:
    datasets.DatasetDict({"train": class_labels(), "test": class_labels()}).save_to_disk(str(place))


def split_image_folders(place: Path) -> None:
    image_folder(place / "train")
    image_folder(place / "test")


@pytest.mark.parametrize("make", [split_folders, split_files, split_saved, split_image_folders])
def test_several_splits_are_named_and_one_is_chosen(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path)
    source = str(tmp_path)
    with pytest.raises(DatagenError, match=r"has the splits (test, train|train, test)"):
        read_labelled(source)
    with pytest.raises(DatagenError, match="--split 'tset': did you mean 'test'"):
        read_labelled(source, Labels("tset"))
    assert len(read_labelled(source, Labels("test")).rows) == 12
    assert len(read_labelled(source, Labels("all")).rows) == 24


def test_a_picture_that_comes_twice_asks_once_and_one_of_two_classes_not_at_all(
    distractors_file: Path, tmp_path: Path
) -> None:
    source = folder_by_class(tmp_path / "s")
    (source / "桜" / "again.jpg").write_bytes(jpegs()[0])
    (source / "梅" / "both.jpg").write_bytes(jpegs()[11])
    assert command("build", "--images", source, "--distractors", distractors_file, "--out", tmp_path / "b").code == 0
    assert len(load_benchmark(tmp_path / "b").questions) == 11
    lost = [json.loads(line) for line in (tmp_path / "b" / "lost.jsonl").read_text(encoding="utf-8").splitlines()]
    assert sorted(entry["reason"].split(" as ")[0] for entry in lost) == [
        "the same picture",
        "the same picture is labelled ユリ and 梅",
        "the same picture is labelled ユリ and 梅",
    ]


def test_spaces_and_letters_taken_apart_are_mended_and_said(distractors_file: Path, tmp_path: Path) -> None:
    written = {"桜 ": "桜", unicodedata.normalize("NFD", "バラ"): "バラ", "　梅": "梅", "百合": "ユリ", "サクラ": "桜"}
    rows = "".join(f"{n},{label}\n" for n, label in enumerate([*written, "梅", "バラ", "ユリ"]))
    (tmp_path / "t.csv").write_text(f"id,category\n{rows}", encoding="utf-8")
    build = ("build", "--images", tmp_path / "t.csv", "--without-pictures", "--distractors", distractors_file)
    outcome = command(*build, "--out", tmp_path / "b")
    assert outcome.code == 0, outcome.error
    assert "3 labels had spaces around them or letters taken apart" in outcome.output
    assert "百合 → ユリ (1)" in outcome.output
    assert "サクラ → 桜 (1)" in outcome.output
    answers = {question.id: question.category for question in load_benchmark(tmp_path / "b").questions}
    assert [answers[str(n)] for n in range(5)] == list(written.values())


def test_numbers_without_names_are_refused_and_named_by_a_file(distractors_file: Path, tmp_path: Path) -> None:
    numbers = [list(FLOWERS).index(label) for label in LABELS]
    pq.write_table(pa.table({"image": jpegs(), "label": numbers}), tmp_path / "t.parquet")
    build = ("build", "--images", tmp_path / "t.parquet", "--distractors", distractors_file, "--out", tmp_path / "b")
    outcome = command(*build)
    assert (outcome.code, "--label-names" in outcome.error) == (2, True)
    (tmp_path / "n.txt").write_text("\n".join(FLOWERS), encoding="utf-8")
    assert command(*build, "--label-names", tmp_path / "n.txt").code == 0
    (tmp_path / "n.json").write_text(json.dumps(list(FLOWERS)[:2]), encoding="utf-8")
    outcome = command(*build, "--overwrite", "--label-names", tmp_path / "n.json")
    assert "the label 2 is not among the 2 label names" in outcome.error
    (tmp_path / "n.json").write_text('{"a": 1}', encoding="utf-8")
    with pytest.raises(DatagenError, match="give a JSON list of names"):
        read_label_names(tmp_path / "n.json")


def test_a_table_whose_pictures_are_not_found_never_builds_without_them(distractors_file: Path, tmp_path: Path) -> None:
    rows = "".join(f"{n},{label},{n}.jpg\n" for n, label in enumerate(LABELS))
    for column, says in (("filename", "None of the 12 pictures can be read"), ("photo", "has no column with pictures")):
        (tmp_path / "t.csv").write_text(f"id,category,{column}\n{rows}", encoding="utf-8")
        build = ("build", "--images", tmp_path / "t.csv", "--distractors", distractors_file, "--out", tmp_path / "b")
        outcome = command(*build)
        assert (outcome.code, says in outcome.error) == (2, True), outcome.error
        assert not (tmp_path / "b").exists()
    names = pictures_beside(tmp_path)
    rows = "".join(f"{n},{label},{name}\n" for n, (label, name) in enumerate(zip(LABELS, names, strict=True)))
    (tmp_path / "t.csv").write_text(f"id,sort,photo\n{rows}", encoding="utf-8")
    assert command(*build, "--image-column", "photo", "--label-column", "sort").code == 0


def test_the_paths_of_pictures_are_not_published_as_urls(distractors_file: Path, tmp_path: Path) -> None:
    """They say the class as often as not: in their folder, or by their numbers."""
    names = pictures_beside(tmp_path)
    rows = "".join(f"{label},{name}\n" for label, name in zip(LABELS, names, strict=True))
    (tmp_path / "t.csv").write_text(f"category,url\n{rows}", encoding="utf-8")
    build = ("build", "--images", tmp_path / "t.csv", "--distractors", distractors_file)
    assert command(*build, "--out", tmp_path / "b").code == 0
    assert {question.url for question in load_benchmark(tmp_path / "b").questions} == {""}
    assert "p/" not in (tmp_path / "b" / "jaflower30.csv").read_text(encoding="utf-8")


def test_pictures_outside_a_folder_of_a_class_are_a_sentence(tmp_path: Path) -> None:
    folder_by_class(tmp_path)
    (tmp_path / "stray.jpg").write_bytes(picture(99))
    with pytest.raises(DatagenError, match=r"the picture stray.jpg lies in no folder that names its class"):
        read_labelled(str(tmp_path))


def test_ids_that_follow_the_classes_are_replaced_when_asked(distractors_file: Path, tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": list(range(12)), "image": jpegs(), "label": LABELS}), tmp_path / "t.parquet")
    build = ("build", "--images", tmp_path / "t.parquet", "--distractors", distractors_file)
    assert command(*build, "--out", tmp_path / "own").code == 0
    assert {question.id for question in load_benchmark(tmp_path / "own").questions} == set(map(str, range(12)))
    assert command(*build, "--out", tmp_path / "new", "--new-ids").code == 0
    assert not {question.id for question in load_benchmark(tmp_path / "new").questions} & set(map(str, range(12)))
