"""Every command of `datagen jicvqa` with every sort of wrong input: one line that says what is wrong."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datagen.jicvqa.benchmark.questions import question_text
from datagen.jicvqa.models import AnswerJournal
from tests.conftest import called
from tests.jicvqa.conftest import command

pytestmark = pytest.mark.slow

CHOICES = ("桜", "梅", "バラ", "ユリ")
BUILT: dict[str, Any] = {
    "id": ["1"],
    "subset": ["jaflower30"],
    "question": [question_text("花", CHOICES)],
    "choices": [list(CHOICES)],
    "category": ["桜"],
}
DOCUMENTS = {
    "list": "[]",
    "null": "null",
    "number": "3",
    "text": '"x"',
    "torn": "{",
    "object": "{}",
    "nothing": "",
    "numbers": '{"jaflower30": [1, 2, 3, 4]}',
    "wrong": '{"jaflower30": {"classes": 3}}',
    "deep": "[" * 100_000,
}
TABLES: dict[str, dict[str, Any]] = {
    "other": {"a": [1]},
    "lists": {"id": ["1"], "category": [["桜"]]},
    "structs": {"id": [{"a": 1}], "category": ["桜"]},
    "empty": {"id": pa.array([], pa.string()), "category": pa.array([], pa.string())},
}
BENCHMARKS: dict[str, dict[str, Any]] = {
    "columns": {"a": [1]},
    "numbers": dict(zip(BUILT, ([number] for number in range(5)), strict=True)),
    **{f"null_{name}": {**BUILT, name: pa.array([None], pa.array(BUILT[name]).type)} for name in BUILT},
    "few": {**BUILT, "choices": [["桜"]]},
    "same": {**BUILT, "choices": [["桜"] * 4]},
    "other_choices": {**BUILT, "choices": [["桜", "梅", "バラ", "ラン"]]},
    "answer": {**BUILT, "category": ["ラン"]},
    "hash": {**BUILT, "phash": ["zz"]},
    "paths": {**BUILT, "image": ["a.jpg"]},
    "rows": {name: pa.array([], pa.array(values).type) for name, values in BUILT.items()},
}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with wrong inputs, and a distractors file and a build that are right."""
    folder = tmp_path_factory.mktemp("inputs")
    (folder / "empty").mkdir()
    (folder / "binary").write_bytes(bytes(range(256)))
    for name, text in DOCUMENTS.items():
        (folder / f"{name}.json").write_text(text)
    (folder / "folder.json").mkdir()
    for name, columns in TABLES.items():
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")
    (folder / "text.parquet").write_text("no Parquet")
    (folder / "folder.parquet").mkdir()
    for name, text in {
        "nothing": "",
        "header": "id,category\n",
        "other": "a,b\n1,2\n",
        "short": "id,category\n1\n",
    }.items():
        (folder / f"{name}.csv").write_text(text)
    (folder / "binary.csv").write_bytes(bytes(range(256)))
    (folder / "folder.csv").mkdir()
    for name, columns in {"built": BUILT, **BENCHMARKS}.items():
        (folder / f"b_{name}").mkdir()
        pq.write_table(pa.table(columns), folder / f"b_{name}" / "jic_vqa.parquet")
    for name in ("text", "folder"):
        (folder / f"b_{name}").mkdir()
        (folder / f"{name}.parquet").rename(folder / f"b_{name}" / "jic_vqa.parquet")
    (folder / "text.parquet").write_text("no Parquet")
    (folder / "folder.parquet").mkdir()
    for name, text in {
        "list": "[]",
        "number": "3",
        "torn": "{",
        "date": "twins: 2020-13-45",
        "key": "tvins: 3",
    }.items():
        (folder / f"{name}.yaml").write_text(text)
    for name in ("csv_other", "csv_short", "csv_binary", "csv_folder"):
        (folder / name).mkdir()
    (folder / "csv_other" / "a.csv").write_text("id\n1\n")
    (folder / "csv_short" / "a.csv").write_text("id,question,category,url\n1\n")
    (folder / "csv_binary" / "a.csv").write_bytes(bytes(range(256)))
    (folder / "csv_folder" / "a.csv").mkdir()
    assert command("distractors", "--out", folder / "right.json").code == 0
    return folder


FOLDERS = [f"b_{name}" for name in (*BENCHMARKS, "text", "folder")]
FOLDERS += ["csv_other", "csv_short", "csv_binary", "csv_folder", "empty", "binary", "missing", ".", ""]
JSON = [f"{name}.json" for name in (*DOCUMENTS, "folder", "missing")] + ["empty", "binary"]
TABLE_FILES = [f"{name}.parquet" for name in (*TABLES, "text", "folder", "missing")]
TABLE_FILES += [
    "nothing.csv",
    "header.csv",
    "other.csv",
    "short.csv",
    "binary.csv",
    "folder.csv",
    "empty",
    "binary",
    "",
]
ASKED = ("--model", "m", "--endpoint", "http://127.0.0.1:9/v1")
WRONG: list[tuple[str, ...]] = [
    *[("distractors", "--out", "out.json", "--classes", name) for name in JSON],
    *[("distractors", "--out", "out.json", "--counts", name) for name in TABLE_FILES if name],
    *[("distractors", "--out", name) for name in ("empty", "binary/out.json", ".", "")],
    *[("build", "--images", name, "--distractors", "right.json", "--out", "out") for name in TABLE_FILES],
    *[("build", "--images", "header.csv", "--distractors", name, "--out", "out") for name in JSON],
    *[
        ("build", "--images", "header.csv", "--distractors", "right.json", "--out", name)
        for name in ("binary", ".", "")
    ],
    *[("audit", name) for name in FOLDERS],
    *[
        ("audit", "b_built", "--gates", name)
        for name in ("number.yaml", "torn.yaml", "date.yaml", "key.yaml", "binary")
    ],
    *[("audit", "b_built", "--distractors", name) for name in JSON],
    *[("audit", "csv_short", "--classes", name) for name in JSON],
    *[("audit", "b_built", "--out", name) for name in ("binary", "binary/out")],
    *[("compare", name, "b_built") for name in FOLDERS],
    *[("compare", "b_built", name) for name in FOLDERS],
    *[("compare", "b_built", "b_built", "--out", name) for name in ("empty", "binary/out.json", ".")],
    *[("evaluate", name, *ASKED) for name in (*FOLDERS, "b_built")],
]


@pytest.mark.parametrize("arguments", WRONG, ids=lambda arguments: " ".join(arguments)[:60])
def test_wrong_input_is_told_in_one_line(
    inputs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(inputs)
    code, error = called(monkeypatch, capsys, "jicvqa", *arguments)
    assert code == 2
    assert error.startswith("datagen: ")
    assert len(error.splitlines()) == 1
    assert len(error) < 600


@pytest.mark.parametrize("folder", [".", "..", "../b_built", "./"])
def test_a_benchmark_may_be_where_the_command_runs(
    inputs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    folder: str,
) -> None:
    benchmark = tmp_path / "b_built"
    (benchmark / "inner").mkdir(parents=True)
    (benchmark / "jic_vqa.parquet").symlink_to(inputs / "b_built" / "jic_vqa.parquet")
    monkeypatch.chdir(benchmark / "inner" if folder == ".." else benchmark)
    code, error = called(monkeypatch, capsys, "jicvqa", "audit", folder)
    assert (code, error) == (1, "")  # a benchmark of one question passes no gate
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b_built", "b_built-audit"]


def test_answers_with_line_separators_are_not_asked_for_again(tmp_path: Path) -> None:
    answers = {"1": "桜\u2028です", "2": "梅\u0085です\x1c"}
    with AnswerJournal(tmp_path / "answers.jsonl") as journal:
        for key, answer in answers.items():
            journal.add(key, answer)
    with AnswerJournal(tmp_path / "answers.jsonl") as journal:
        assert journal.answers == answers
