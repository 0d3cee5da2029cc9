"""What students are asked: questions about held-out pictures, and the four-choice questions of a JIC-VQA build."""

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

from drawings import HELD_OUT, read_book
from evaluate import QUESTIONS, names_in
from PIL import Image
from pydantic import BaseModel, ConfigDict, ValidationError
from settings import OwnData

from datagen.errors import DatagenError
from datagen.jicvqa.benchmark.stored import load_benchmark
from datagen.jicvqa.evaluation.scoring import read_answer
from filters.errors import sentence

Kind: TypeAlias = Literal["name", "vqa", "jic"]


class Question(NamedTuple):
    """One question.

    Attributes:
        group: the picture that it is about; intervals draw pictures anew, each with all its questions.
        picture: its file.
        text: what is asked.
        kind: `name`, whose answer has to name the thing and nothing else; `vqa`, whose answer has to hold one of the
            answers; `jic`, whose answer has to name the first of the answers and no other.
        answers: see there.
    """

    group: str
    picture: bytes
    text: str
    kind: Kind
    answers: tuple[str, ...]

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The question as a chat, with its picture."""
        with Image.open(io.BytesIO(self.picture)) as image:
            picture = image.convert("RGB")
        return [{"role": "user", "content": [{"type": "image", "image": picture}, {"type": "text", "text": self.text}]}]

    def is_right(self, answer: str) -> bool:
        """Whether an answer is right."""
        if self.kind == "name":
            return names_in(answer) == {self.answers[0]}
        if self.kind == "jic":
            return read_answer(answer, self.answers).choice == 0
        return any(wanted in answer for wanted in self.answers)


def about_drawings(pictures: Path) -> Iterator[Question]:
    """Yield four questions about each held-out picture: name, kind, colour and place."""
    book = read_book(pictures / f"{HELD_OUT}.json")
    for path in sorted((pictures / HELD_OUT).glob("*.png")):
        data = path.read_bytes()
        drawing = book[hashlib.sha256(data).hexdigest()]
        answers = {"kind": (drawing.concept.kind,), "colour": drawing.colours, "place": (drawing.concept.place,)}
        for topic, text in QUESTIONS.items():
            kind: Kind = "name" if topic == "name" else "vqa"
            yield Question(path.name, data, text, kind, answers.get(topic, (drawing.name,)))


def of_benchmark(folder: Path) -> Iterator[Question]:
    """Yield the questions of a JIC-VQA build, in the published form.

    Raises:
        DatagenError: the build cannot be read, or has no pictures.
    """
    benchmark = load_benchmark(folder)
    if benchmark.pictures is None:
        raise DatagenError(f"benchmark is {folder}, which has no pictures; build it from a table with pictures.")
    for question in benchmark.questions:
        wrong = tuple(choice for choice in question.choices if choice != question.category)
        picture = benchmark.pictures(question.id)
        yield Question(question.id, picture, question.text, "jic", (question.category, *wrong))


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid")

    image: str
    question: str
    answers: tuple[str, ...]


def of_ones_own(own: OwnData) -> Iterator[Question]:
    """Yield the questions of a file of one's own.

    Raises:
        DatagenError: the file or a picture cannot be read, or a line is no question.
    """
    try:
        lines = own.questions.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DatagenError(f"own.questions is {own.questions}, which cannot be read ({error}).") from error
    for number, line in enumerate(lines, start=1):
        try:
            asked = _Line.model_validate_json(line)
            picture = (own.questions.parent / asked.image).read_bytes()
        except ValidationError as error:
            raise DatagenError(f"{own.questions}, line {number}: {sentence(error, _Line)}") from error
        except OSError as error:
            raise DatagenError(f"{own.questions}, line {number}: {asked.image} cannot be read ({error}).") from error
        yield Question(asked.image, picture, asked.question, "vqa", asked.answers)
