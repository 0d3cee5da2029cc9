"""What an ablation compares: shares of answers that ask back, ways to filter them, students and seeds."""

from pathlib import Path
from typing import Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from datagen.errors import DatagenError
from filters.errors import sentence

EXAMPLES = Path(__file__).resolve().parents[1]
UNFILTERED = "unfiltered"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Student(_Section):
    """What a student starts from.

    Attributes:
        model: a folder, or a name on the hub.
        chat_template: a file with the model's chat template and the marks `{% generation %}` around what the assistant
            says, if its own has none.
        decoder_layers: those of the model's decoder that the student keeps, in this order; all if not given.
        warm_up: steps on data without faults that all students of this size have behind them.
    """

    model: str
    chat_template: Path | None = None
    decoder_layers: tuple[int, ...] | None = None
    warm_up: int = Field(0, ge=0)


class OwnData(_Section):
    """Data of your own in place of the teacher's.

    Attributes:
        run: a finished run, which is cut anew for every arm.
        questions: JSON lines with `image` (a path beside the file), `question` and `answers`, one of which has to stand
            in a right answer.
    """

    run: Path
    questions: Path


class Settings(_Section):
    """An ablation.

    Attributes:
        students: by name, smallest first.
        arms: by name, the policy that its data are cut by; `unfiltered` has none.
        shares: of the teacher's answers that ask back.
        own: data that are there already, instead of those of the teacher; there are no shares then.
        seeds: trainings of every student on every data set.
        things: of `examples/pictures`, that pictures are made of.
        pictures_each: of each thing, that the teacher is asked about.
        held_out_each: those that students are asked about, and nobody is trained on; further ones.
        turns: questions about each picture.
        steps: of every training, of `batch` conversations; `rate` is the peak of the learning rate.
        temperature: at which students are asked when it is counted how often they ask back.
        longest: tokens that a student's answer may have.
        benchmark: a build of JIC-VQA; the miniature if not given.
        where: `ray` trains as many students side by side as there are cores, `local` one after the other (on a GPU).
        served: whether one student of each size is asked again through vLLM.
    """

    students: dict[str, Student] = Field(min_length=1)
    arms: dict[str, str | None] = {UNFILTERED: None, "filtered": "standard", "repaired": "repairing"}
    shares: tuple[float, ...] = (0.0, 0.05, 0.1, 0.2)
    own: OwnData | None = None
    seeds: int = Field(3, ge=1)
    things: int = Field(150, ge=1, le=150)
    pictures_each: int = Field(4, ge=1)
    held_out_each: int = Field(1, ge=1)
    turns: int = Field(3, ge=1, le=4)
    steps: int = Field(150, ge=1)
    batch: int = Field(8, ge=1)
    rate: float = Field(5e-4, gt=0)
    temperature: float = Field(1.0, gt=0)
    longest: int = Field(64, ge=1)
    benchmark: Path | None = None
    where: Literal["ray", "local"] = "ray"
    served: bool = True

    @field_validator("shares")
    @classmethod
    def _of_one(cls, shares: tuple[float, ...]) -> tuple[float, ...]:
        if list(shares) != sorted(set(shares)) or not all(0 <= share <= 1 for share in shares):
            raise ValueError("give different shares between 0 and 1, the smallest first")
        return shares

    @field_validator("arms")
    @classmethod
    def _with_an_unfiltered_one(cls, arms: dict[str, str | None]) -> dict[str, str | None]:
        if UNFILTERED not in arms or len(arms) < 2:
            raise ValueError(f"give {UNFILTERED} and at least one more, which is compared with it")
        return arms

    @model_validator(mode="after")
    def _with_something_to_warm_up_on(self) -> Self:
        if any(student.warm_up for student in self.students.values()) and (self.own or 0 not in self.shares):
            raise ValueError("warm_up needs the teacher's data without faults: no own, and 0 among the shares")
        return self


def load_settings(path: Path) -> Settings:
    """Read settings; paths in them are seen from the file.

    Raises:
        DatagenError: the file cannot be read, or a field is wrong.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        settings = Settings.model_validate(document)
    except ValidationError as error:
        raise DatagenError(f"{path}: {sentence(error, Settings)}") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DatagenError(f"{path} cannot be read as YAML ({str(error).splitlines()[0]}).") from error
    folder = path.resolve().parent
    students = {name: _seen_from(folder, student) for name, student in settings.students.items()}
    changes: dict[str, object] = {"students": students}
    if settings.own is not None:
        own = OwnData(run=folder / settings.own.run, questions=folder / settings.own.questions)
        changes["own"] = own
    if settings.benchmark is not None:
        changes["benchmark"] = folder / settings.benchmark
    return settings.model_copy(update=changes)


def _seen_from(folder: Path, student: Student) -> Student:
    """Return a student whose files are found from anywhere; a name on the hub stays as it is."""
    model = folder / student.model
    template = student.chat_template and folder / student.chat_template
    found = str(model.resolve()) if model.is_dir() else student.model
    return student.model_copy(update={"model": found, "chat_template": template})
