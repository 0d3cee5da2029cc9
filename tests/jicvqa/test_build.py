"""Promise: the same table gives the same bytes, places are balanced, and bad input leaves nothing half-written."""

import base64
import csv
import json
import sys
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datagen.jicvqa.benchmark.stored import load_benchmark
from tests.jicvqa.conftest import SMALL, command, picture, rows_of, write_csv, write_parquet


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_inputs_give_the_same_bytes(small_table: Path, distractors_file: Path, tmp_path: Path) -> None:
    builds = []
    for name in ("first", "second"):
        out = tmp_path / name
        assert command("build", "--images", small_table, "--distractors", distractors_file, "--out", out).code == 0
        builds.append(files_of(out))
    assert builds[0] == builds[1]
    assert {
        "jaflower30.csv",
        "jafacility20.csv",
        "jic_vqa.parquet",
        "circular.parquet",
        "build.json",
        "README.md",
    } < set(builds[0])


def test_the_order_of_the_table_is_neither_kept_nor_felt(distractors_file: Path, tmp_path: Path) -> None:
    """In a table that is sorted by class, neighbouring questions would tell each other's answers."""
    builds = []
    for name, rows in (("mixed", rows_of(SMALL)), ("sorted", sorted(rows_of(SMALL), key=lambda row: row.category))):
        (tmp_path / name).mkdir()
        table = write_parquet(tmp_path / name / "table.parquet", rows)
        out = tmp_path / name / "build"
        assert command("build", "--images", table, "--distractors", distractors_file, "--out", out).code == 0
        builds.append(files_of(out))
    assert builds[0] == builds[1]


def test_another_seed_gives_other_orders_of_the_same_design(
    small_table: Path, small_build: Path, distractors_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "other"
    arguments = ("--images", small_table, "--distractors", distractors_file, "--out", out, "--seed", 1)
    assert command("build", *arguments).code == 0
    assert (out / "design.json").read_bytes() == (small_build / "design.json").read_bytes()
    assert (out / "jaflower30.csv").read_bytes() != (small_build / "jaflower30.csv").read_bytes()


def test_every_picture_has_one_question_with_its_class_and_licence(small_build: Path) -> None:
    rows = {row.id: row for row in rows_of(SMALL)}
    questions = load_benchmark(small_build).questions
    assert {question.id: question.category for question in questions} == {i: row.category for i, row in rows.items()}
    assert {question.license for question in questions} == {"CC BY 4.0"}


def test_hugging_face_reads_pictures_and_choices_without_an_argument(small_build: Path, tmp_path: Path) -> None:
    rows = datasets.load_dataset(
        "parquet", data_files=str(small_build / "jic_vqa.parquet"), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert rows[0]["image"].size == (64, 48)
    assert rows[0]["choices"][rows[0]["answer_index"]] == rows[0]["category"]
    assert str(rows.features["id"].dtype) == "int64"


def test_the_circular_edition_has_every_option_in_every_place(small_build: Path) -> None:
    by_id: dict[int, list[dict[str, object]]] = {}
    for row in pq.read_table(small_build / "circular.parquet").to_pylist():
        by_id.setdefault(row["id"], []).append(row)
    assert len(by_id) == 48
    for rows in by_id.values():
        assert sorted(row["answer_index"] for row in rows) == [0, 1, 2, 3]
        assert all(row["choices"][row["answer_index"]] == row["category"] for row in rows)


def test_vlmevalkit_gets_letters_and_pictures_in_base64(small_build: Path) -> None:
    usual = csv.field_size_limit(sys.maxsize)
    with (small_build / "vlmevalkit" / "JIC-VQA.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    csv.field_size_limit(usual)
    answers = {question.id: question for question in load_benchmark(small_build).questions}
    assert len(rows) == 48
    for row, question in zip(rows, answers.values(), strict=True):
        assert row[row["answer"]] == question.category
        assert base64.b64decode(row["image"]).startswith(b"\xff\xd8")


def test_pictures_on_disk_are_found_beside_the_table(distractors_file: Path, tmp_path: Path) -> None:
    rows = rows_of(SMALL)
    (tmp_path / "pictures").mkdir()
    with (tmp_path / "table.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "label", "path"])
        for row in rows:
            (tmp_path / "pictures" / f"{row.id}.jpg").write_bytes(picture(row.number))
            writer.writerow([f"p{row.id}", row.category, f"pictures/{row.id}.jpg"])
    out = tmp_path / "build"
    outcome = command("build", "--images", tmp_path / "table.csv", "--distractors", distractors_file, "--out", out)
    assert outcome.code == 0, outcome.error
    benchmark = load_benchmark(out)
    assert benchmark.pictures is not None
    first = benchmark.questions[0]
    assert benchmark.pictures(first.id) == (tmp_path / "pictures" / f"{first.id[1:]}.jpg").read_bytes()


def test_images_without_bytes_are_read_from_their_paths_beside_the_table(
    distractors_file: Path, tmp_path: Path
) -> None:
    table, rows = tmp_path / "t.parquet", rows_of(SMALL)
    (tmp_path / "pictures").mkdir()
    records = pq.read_table(write_parquet(table, rows)).to_pylist()
    for record in records:
        (tmp_path / "pictures" / f"{record['id']}.jpg").write_bytes(record["image"]["bytes"])
        record["image"] = {"bytes": None, "path": f"pictures/{record['id']}.jpg"}
    lost = dict(zip((str(record["id"]) for record in records), ("gone.jpg", "pictures", "s3://b/a.jpg"), strict=False))
    for record, path in zip(records, lost.values(), strict=False):
        record["image"]["path"] = path
    pq.write_table(pa.Table.from_pylist(records), table)
    out = tmp_path / "build"
    assert command("build", "--images", table, "--distractors", distractors_file, "--out", out).code == 0
    found = [json.loads(line) for line in (out / "lost.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {entry["id"] for entry in found} == set(lost)
    reasons = " ".join(entry["reason"] for entry in found)
    assert [said for said in ("No such file", "Is a directory", "is of the scheme s3") if said not in reasons] == []
    benchmark = load_benchmark(out)
    assert benchmark.pictures is not None
    for question in benchmark.questions:
        assert benchmark.pictures(question.id) == (tmp_path / "pictures" / f"{question.id}.jpg").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("form", ["list", "octets", "base64", "large"])
def test_pictures_are_read_from_any_column_that_holds_them(distractors_file: Path, tmp_path: Path, form: str) -> None:
    table = write_parquet(tmp_path / "t.parquet", rows_of(SMALL))
    build = ("build", "--distractors", distractors_file, "--images", table, "--out")
    assert command(*build, tmp_path / "plain").code == 0
    found = pq.read_table(table)
    data = [cell["bytes"] for cell in found.column("image").to_pylist()]
    if form == "list":
        column = pa.array([[cell] for cell in found.column("image").to_pylist()])
    elif form == "octets":
        column = pa.array([list(item) for item in data], pa.list_(pa.uint8()))
    elif form == "base64":
        column = pa.array([base64.b64encode(item).decode() for item in data])
    else:
        column = pa.array(data, pa.large_binary())
    pq.write_table(found.set_column(found.schema.get_field_index("image"), "image", column), table)
    assert command(*build, tmp_path / "other").code == 0
    assert files_of(tmp_path / "plain") == files_of(tmp_path / "other")


def test_an_image_column_of_another_type_is_a_sentence(distractors_file: Path, tmp_path: Path) -> None:
    table = write_parquet(tmp_path / "t.parquet", rows_of(SMALL))
    found = pq.read_table(table).drop_columns("image")
    pq.write_table(found.append_column("image", pa.array([[0.5]] * len(found))), table)
    outcome = command("build", "--images", table, "--distractors", distractors_file, "--out", tmp_path / "build")
    assert "is of the type list<element: double>, which holds no pictures" in outcome.error


def test_unreadable_pictures_are_left_out_before_the_balance(distractors_file: Path, tmp_path: Path) -> None:
    table = write_parquet(tmp_path / "t.parquet", rows_of(SMALL))
    rows = pq.read_table(table).to_pylist()
    for row in rows[:4]:
        row["image"]["bytes"] = b"<html>gone</html>"
    import pyarrow as pa

    pq.write_table(pa.Table.from_pylist(rows), table)
    out = tmp_path / "build"
    assert command("build", "--images", table, "--distractors", distractors_file, "--out", out).code == 0
    assert len(load_benchmark(out).questions) == 44
    lost = [json.loads(line) for line in (out / "lost.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {entry["id"] for entry in lost} == {str(row["id"]) for row in rows[:4]}
    assert json.loads((out / "build.json").read_text(encoding="utf-8"))["lost_pictures"] == 4


def test_a_build_is_not_overwritten_unless_asked(small_table: Path, small_build: Path, distractors_file: Path) -> None:
    arguments = ("--images", small_table, "--distractors", distractors_file, "--out", small_build)
    outcome = command("build", *arguments)
    assert outcome.code == 2
    assert "--overwrite" in outcome.error
    assert command("build", *arguments, "--overwrite").code == 0


def test_a_folder_with_other_things_is_never_replaced(
    small_table: Path, distractors_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    arguments = ("--images", small_table, "--distractors", distractors_file, "--out", tmp_path / "mine", "--overwrite")
    assert command("build", *arguments).code == 2
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "x"


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("id,category\n1,ハクサイ\n2,桜\n3,ハクサイ\n", "2 rows have labels that are in none of the class lists"),
        ("id,category\n1,ハクサイ\n2,ニンジン\n3,ハクサイ\n", "'ハクサイ' (2), 'ニンジン' (1)"),
        ("id,category\n1,スーパーマーケツト\n", "did you mean 'スーパーマーケット'?"),
        ("id,category\n1,桜\n2,梅\n1,バラ\n", "the id '1' stands in row 1 and in row 3"),
        ("id,category\n1,桜\n2,梅\n3,バラ\n", "only 3 of 30 classes have images"),
        ("id,kind\n1,桜\n", "has no column 'category'"),
        ("id,category\n1,\n", "row 1: category"),
        ("id,category\n", "has no rows"),
        ("id,category\n1,桜,梅\n", "a row has more or fewer fields than the header"),
        ("id,category,subset\n1,桜,jafood101\n", "'桜' (1)"),
    ],
)
def test_bad_tables_end_in_a_sentence_and_leave_nothing(
    distractors_file: Path, tmp_path: Path, table: str, says: str
) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "t.csv").write_text(table, encoding="utf-8")
    build = ("build", "--images", folder / "t.csv", "--without-pictures", "--distractors", distractors_file)
    outcome = command(*build, "--out", folder / "out")
    assert outcome.code == 2
    assert says in outcome.error
    assert [path.name for path in folder.iterdir()] == ["t.csv"]


def test_a_table_in_another_encoding_or_cut_short_ends_in_a_sentence(
    small_table: Path, distractors_file: Path, tmp_path: Path
) -> None:
    arguments = ("--distractors", distractors_file, "--out", tmp_path / "b")
    rows = "".join(f"{number},bird\n" for number in range(3000))
    (tmp_path / "sjis.csv").write_bytes(f"id,category\n{rows}".encode() + "3000,桜\n".encode("shift_jis"))
    outcome = command("build", "--images", tmp_path / "sjis.csv", *arguments)
    assert (outcome.code, "it is in Shift_JIS; write it in UTF-8" in outcome.error) == (2, True)
    (tmp_path / "cut.parquet").write_bytes(small_table.read_bytes()[:-100])
    outcome = command("build", "--images", tmp_path / "cut.parquet", *arguments)
    assert (outcome.code, "is no readable Parquet file" in outcome.error) == (2, True)


def test_a_damaged_build_ends_in_a_sentence(small_build: Path) -> None:
    table = small_build / "jic_vqa.parquet"
    table.write_bytes(table.read_bytes()[:-100])
    outcome = command("audit", small_build)
    assert (outcome.code, "cannot be read" in outcome.error) == (2, True)


def test_a_crash_while_writing_leaves_nothing(
    small_table: Path, distractors_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("datagen.jicvqa.benchmark.editions.write_vlmevalkit", full)
    outcome = command("build", "--images", small_table, "--distractors", distractors_file, "--out", tmp_path / "b")
    assert outcome.code == 2
    assert "No space left" in outcome.error
    assert not [path for path in tmp_path.iterdir() if path.name.startswith((".b", "b"))]


def test_a_table_without_pictures_becomes_the_published_csvs(distractors_file: Path, tmp_path: Path) -> None:
    table = write_csv(tmp_path / "t.csv", rows_of(SMALL))
    out = tmp_path / "build"
    build = ("build", "--images", table, "--distractors", distractors_file, "--out", out)
    outcome = command(*build)
    assert outcome.code == 2
    assert "48 of 48 pictures of" in outcome.error
    assert "--download" in outcome.error
    assert not out.exists()
    assert command(*build, "--without-pictures").code == 0
    assert not (out / "llm_jp_eval_mm").exists()
    assert "image" not in pq.read_schema(out / "jic_vqa.parquet").names
    assert len(load_benchmark(out).questions) == 48
