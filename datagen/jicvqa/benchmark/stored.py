"""Reading a benchmark back: a build of ours, or the published CSVs, whose choices stand in the question text."""

import csv
import os
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from datagen.errors import DatagenError
from datagen.failures import Failure
from datagen.jicvqa.benchmark.questions import Question, UnreadableQuestionError, read_question
from datagen.jicvqa.classes.lists import ClassLists, load_classes
from datagen.jicvqa.distractors.document import Distractors, load_distractors
from datagen.sources.reading.cells import holds, pictures_in
from datagen.sources.reading.row_groups import ColumnReader
from filters.errors import sentence

if TYPE_CHECKING:
    import pyarrow.parquet as pq


class _StoredQuestion(BaseModel):
    """A row of `jic_vqa.parquet`."""

    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True)

    id: str = Field(min_length=1)
    subset: str = Field(min_length=1)
    question: str
    choices: tuple[str, ...]
    category: str
    url: str = ""
    license: str = ""
    license_url: str = ""
    phash: str = Field("", pattern="^([0-9a-f]{16})?$")
    ambiguous: tuple[str, ...] = ()


@dataclass(frozen=True)
class Benchmark:
    """A benchmark as it stands in a folder.

    Attributes:
        folder: where it is.
        questions: all questions, in the order of the files.
        distractors: the distractors file beside them, if there is one.
        pictures: returns the bytes of a question's picture by id; None where the benchmark has no pictures.
    """

    folder: Path
    questions: list[Question]
    distractors: Distractors | None
    pictures: Callable[[str], bytes] | None

    @property
    def subsets(self) -> list[str]:
        """The subsets, in the order in which they come first."""
        return list(dict.fromkeys(question.subset for question in self.questions))


def load_benchmark(folder: Path, classes: Path | None = None, distractors: Path | None = None) -> Benchmark:
    """Read a benchmark.

    Args:
        folder: holds `jic_vqa.parquet`, or CSVs with `id, question, category, url`.
        classes: class lists, which say by the question's word to which subset a CSV's question belongs; by default
            those of the distractors file, then those of JIC-VQA.
        distractors: a distractors file; by default the one in the folder, if there is one.

    Raises:
        DatagenError: there is nothing to read, or a question is not valid.
    """
    beside = folder / "distractors.json"
    recorded = load_distractors(distractors or beside) if distractors or beside.exists() else None
    table = folder / "jic_vqa.parquet"
    if table.exists():
        questions, pictures = _explicit(table)
    else:
        lists = load_classes(classes) if classes or recorded is None else recorded.lists
        questions, pictures = _published(folder, lists), None
    if not questions:
        raise DatagenError(f"{folder} holds no question.")
    seen: set[str] = set()
    for question in questions:
        if question.id in seen:
            raise DatagenError(
                f"{folder}: the id '{question.id}' stands in two questions; every question needs its own."
            )
        seen.add(question.id)
        if question.category not in question.choices:
            raise DatagenError(
                f"{folder}: the answer '{question.category}' of the question {question.id} is not among its choices "
                f"({', '.join(question.choices)})."
            )
    return Benchmark(folder, questions, recorded, pictures)


def _explicit(table: Path) -> tuple[list[Question], Callable[[str], bytes] | None]:
    import pyarrow.parquet as pq

    fields = _StoredQuestion.model_fields
    try:
        file = pq.ParquetFile(table, memory_map=True)
        names = file.schema_arrow.names
        if missing := [name for name, field in fields.items() if field.is_required() and name not in names]:
            raise DatagenError(
                f"{table} has no column {', '.join(missing)}; it was not made by `datagen jicvqa build`."
            )
        records = file.read(columns=[name for name in fields if name in names]).to_pylist()
    except (OSError, ValueError) as error:  # pyarrow raises its own kinds of both
        raise DatagenError(f"{table} cannot be read ({' '.join(str(error).split())[:200]}).") from error
    questions = [_question(table, number, record) for number, record in enumerate(records, start=1)]
    if "image" not in names:
        return questions, None
    if holds(file.schema_arrow.field("image").type) != "pictures":
        raise DatagenError(f"{table}: the column image holds no pictures; it was not made by `datagen jicvqa build`.")
    return questions, _pictures(table, file, questions)


def _pictures(table: Path, file: "pq.ParquetFile", questions: Sequence[Question]) -> Callable[[str], bytes]:
    """Return what reads the picture of a question by its id."""
    groups = range(file.metadata.num_row_groups)
    ends = list(accumulate(file.metadata.row_group(group).num_rows for group in groups))
    number_of = {question.id: number for number, question in enumerate(questions)}
    images = ColumnReader("image")

    def picture(identity: str) -> bytes:
        number = number_of[identity]
        group = bisect_right(ends, number)
        try:
            cell = images.cell(os.fsencode(table), group, number - (ends[group - 1] if group else 0))
            data = pictures_in(cell)[0]
        except Failure as failure:
            raise DatagenError(f"{table}, question {identity}: {failure.message}.") from failure
        except (OSError, ValueError) as error:  # pyarrow raises its own kinds of both
            reason = " ".join(str(error).split())[:100]
            raise DatagenError(f"{table}, question {identity}: the picture cannot be read ({reason}).") from error
        if isinstance(data, str):
            raise DatagenError(f"{table} has no picture for the question {identity}, only its path; build it again.")
        return data

    return picture


def _question(table: Path, number: int, record: Mapping[str, Any]) -> Question:
    try:
        row = _StoredQuestion.model_validate({name: value for name, value in record.items() if value is not None})
    except ValidationError as error:
        raise DatagenError(f"{table}, row {number}: {sentence(error, _StoredQuestion)}") from error
    word, choices = _read(table, row.id, row.question)
    if choices != row.choices:
        raise DatagenError(f"{table}, row {number}: the choices are not those in the text of the question {row.id}.")
    return Question(word=word, **row.model_dump(exclude={"question"}))


def _published(folder: Path, lists: ClassLists) -> list[Question]:
    paths = sorted(folder.glob("*.csv"))
    if not paths:
        raise DatagenError(
            f"{folder} holds neither jic_vqa.parquet nor CSVs of questions; name the folder of a build, or of the "
            "published files."
        )
    by_word = {subset.word: name for name, subset in lists.subsets.items()}
    questions = []
    for path in paths:
        for record in _records(path):
            word, choices = _read(path, record["id"], record["question"])
            subset = path.stem if path.stem in lists.subsets else by_word.get(word, path.stem)
            questions.append(Question(record["id"], subset, word, choices, record["category"], record["url"]))
    return questions


def _records(path: Path) -> list[dict[str, Any]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in ("id", "question", "category", "url") if name not in (reader.fieldnames or ())]
            if missing:
                raise DatagenError(
                    f"{path} has no column {', '.join(missing)}; the published form is id, question, category, url."
                )
            return list(reader)
    except OSError as error:
        raise DatagenError(f"{path} cannot be read: {error.strerror}.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DatagenError(f"{path} is not a CSV in UTF-8: {error}.") from error


def _read(path: Path, identity: object, text: str) -> tuple[str, tuple[str, ...]]:
    try:
        return read_question(text or "")
    except UnreadableQuestionError as error:
        raise DatagenError(f"{path}: the question {identity}: {error}.") from error
