"""The editions of a build: one writer each for the forms that others read.

- `<subset>.csv`: as published, `id, question, category, url`;
- `jic_vqa.parquet`: explicit columns, the picture where there is one;
- `llm_jp_eval_mm/jic_vqa.parquet`: what llm-jp-eval-mm reads, pictures shrunk as it shrinks them;
- `vlmevalkit/JIC-VQA.tsv`: for VLMEvalKit, pictures in base64;
- `tasks/`: the task files of lmms-eval and Inspect, which read `jic_vqa.parquet`;
- `circular.parquet`: every question with its options in all four rotations.
"""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import pybase64

from datagen.jicvqa.benchmark.questions import Question
from datagen.jicvqa.classes.lists import CHOICES

PUBLISHED_COLUMNS = ("id", "question", "category", "url")
ReadPicture = Callable[[Question], bytes]

_ROWS = 256
_TASKS = {
    "lmms_eval": {"lmms_eval.yaml": "jic_vqa.yaml", "lmms_eval.py.txt": "jic_vqa.py"},
    "inspect_ai": {"inspect_ai.py.txt": "jic_vqa.py"},
}
_LETTERS = "ABCD"


def published_csv(questions: Sequence[Question]) -> str:
    """Return one subset in the published form."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(PUBLISHED_COLUMNS)
    writer.writerows((question.id, question.text, question.category, question.url) for question in questions)
    return text.getvalue()


def write_explicit(path: Path, questions: Sequence[Question], picture: ReadPicture | None) -> None:
    """Write the table with explicit choices; `picture` returns the bytes of a question's picture."""
    import datasets

    text, identity = datasets.Value("string"), _identity(questions)
    features: dict[str, Any] = {
        "id": datasets.Value(identity[0]),
        "subset": text,
        "question": text,
        "choices": datasets.List(text),
        "answer_index": datasets.Value("int64"),
        "category": text,
        "url": text,
        "license": text,
        "license_url": text,
        "phash": text,
        "ambiguous": datasets.List(text),
    }
    if picture:
        features["image"] = datasets.Image()

    def row(question: Question) -> dict[str, Any]:
        columns = {
            "id": identity[1](question.id),
            "subset": question.subset,
            "question": question.text,
            "choices": list(question.choices),
            "answer_index": question.answer_index,
            "category": question.category,
            "url": question.url,
            "license": question.license,
            "license_url": question.license_url,
            "phash": question.phash,
            "ambiguous": list(question.ambiguous),
        }
        return columns | ({"image": {"bytes": picture(question), "path": None}} if picture else {})

    _write_parquet(path, datasets.Features(features).arrow_schema, map(row, questions))


def write_llm_jp_eval_mm(path: Path, questions: Sequence[Question], thumbnail: ReadPicture) -> None:
    """Write the table that llm-jp-eval-mm's task reads; ids that are no numbers become row numbers."""
    import datasets

    numeric = _identity(questions)[0] == "int64"
    text = datasets.Value("string")
    features = datasets.Features(
        {
            "question_id": datasets.Value("int64"),
            "input_text": text,
            "answer": text,
            "image": datasets.Image(),
            "url": text,
            "domain": text,
        }
    )
    rows = (
        {
            "question_id": int(question.id) if numeric else number,
            "input_text": question.text,
            "answer": question.category,
            "image": {"bytes": thumbnail(question), "path": None},
            "url": question.url,
            "domain": question.subset,
        }
        for number, question in enumerate(questions)
    )
    _write_parquet(path, features.arrow_schema, rows)


def write_vlmevalkit(path: Path, questions: Sequence[Question], picture: ReadPicture) -> None:
    """Write the TSV that VLMEvalKit reads.

    In its circular mode it turns the options itself, by 0 to 3 positions as `circular.parquet` does, and gives the
    turned questions indices a million apart.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(["index", "id", "image", "question", *_LETTERS, "answer", "category", "split"])
        for number, question in enumerate(questions):
            image = pybase64.b64encode(picture(question)).decode("ascii")
            asked = f"この画像にはどの{question.word}が映っていますか？"
            answer = _LETTERS[question.answer_index]
            writer.writerow([number, question.id, image, asked, *question.choices, answer, question.subset, "test"])


def write_tasks(folder: Path) -> None:
    """Write the task files of lmms-eval and Inspect."""
    shipped = resources.files("datagen.jicvqa") / "templates" / "tasks"
    for tool, files in _TASKS.items():
        (folder / tool).mkdir(parents=True)
        for source, target in files.items():
            (folder / tool / target).write_text((shipped / source).read_text(encoding="utf-8"), encoding="utf-8")


def write_circular(path: Path, questions: Sequence[Question]) -> None:
    """Write every question four times, its options moved by 0 to 3 positions; pictures are joined by `id`."""
    import datasets

    text, identity = datasets.Value("string"), _identity(questions)
    features = datasets.Features(
        {
            "id": datasets.Value(identity[0]),
            "rotation": datasets.Value("int64"),
            "subset": text,
            "question": text,
            "choices": datasets.List(text),
            "answer_index": datasets.Value("int64"),
            "category": text,
        }
    )
    rows = (
        {
            "id": identity[1](question.id),
            "rotation": rotation,
            "subset": question.subset,
            "question": turned.text,
            "choices": list(turned.choices),
            "answer_index": turned.answer_index,
            "category": question.category,
        }
        for question in questions
        for rotation in range(CHOICES)
        for turned in [question.rotated(rotation)]
    )
    _write_parquet(path, features.arrow_schema, rows)


def _identity(questions: Sequence[Question]) -> tuple[str, Callable[[str], Any]]:
    """Return the type of the id column: whole numbers where every id is one, as published, otherwise text."""
    whole = all(q.id.isascii() and q.id.isdigit() and str(int(q.id)) == q.id and len(q.id) <= 18 for q in questions)
    return ("int64", int) if whole else ("string", str)


def _write_parquet(path: Path, schema: pa.Schema, rows: Iterator[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    leaves = _leaves(schema)
    plain = [name for name in leaves if not name.startswith("image.")]
    compression: dict[str, Literal["none", "zstd"]] = {name: "zstd" if name in plain else "none" for name in leaves}
    settings: dict[str, Any] = {"compression": compression, "use_dictionary": plain}
    with pq.ParquetWriter(path, schema, **settings) as writer:
        while batch := list(islice(rows, _ROWS)):
            writer.write_table(pa.Table.from_pylist(batch, schema=schema))


def _leaves(schema: pa.Schema) -> list[str]:
    """Return the names that Parquet knows the columns by."""
    leaves = []
    for column in schema:
        if pa.types.is_struct(column.type):
            leaves += [f"{column.name}.{child.name}" for child in column.type]
        elif pa.types.is_list(column.type):
            leaves.append(f"{column.name}.list.element")
        else:
            leaves.append(column.name)
    return leaves
