"""Students: small models that start from the same weights, are trained on one arm's data, and are asked everything."""

import json
import shutil
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from fine_tuning import answers, load_model, load_split, train
from questions import Question, about_drawings, of_benchmark, of_ones_own
from settings import OwnData, Settings, Student
from transformers import set_seed
from transformers.utils import logging

from datagen.files.writing import json_text, write_text

_SEED_OF_WARM_UP = 1_000_003
logging.disable_progress_bar()  # the ablation shows its own


class Training(NamedTuple):
    """One training of one student.

    Attributes:
        name: of its results.
        early: the weights that it starts from.
        export: the rows that it is trained on.
        seed: of their order, and of the draws of its answers.
        keep: where its weights are kept; nowhere if not given.
    """

    name: str
    early: Path
    export: Path
    seed: int
    keep: Path | None = None

    @property
    def must_be_kept(self) -> bool:
        """Whether its weights are wanted, and are not there."""
        return self.keep is not None and not self.keep.exists()


def start(student: Student, export: Path | None, settings: Settings, out: Path) -> None:
    """Write the weights that all students of one size start from: with its layers, after its warm-up.

    Args:
        student: the size.
        export: rows without faults.
        settings: of the ablation.
        out: the folder.
    """
    if out.exists():
        return
    set_seed(_SEED_OF_WARM_UP)
    model, processor = load_model(student.model)
    if student.chat_template is not None:
        processor.chat_template = student.chat_template.read_text(encoding="utf-8")
    if student.decoder_layers is not None:
        _keep_layers(model, student.decoder_layers)
    if student.warm_up and export is not None:
        rows = load_split(export, "train")
        train(
            model,
            processor,
            rows,
            out.parent,
            student.warm_up,
            settings.rate,
            _SEED_OF_WARM_UP,
            batch=settings.batch,
            quiet=True,
        )
    _save(model, processor, out)


def _save(model: Any, processor: Any, out: Path) -> None:
    """Write a model so that it is there as a whole or not at all."""
    unfinished = out.with_name(f"{out.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    processor.save_pretrained(unfinished)
    model.save_pretrained(unfinished)
    shutil.rmtree(out, ignore_errors=True)
    unfinished.rename(out)


def _keep_layers(model: Any, kept: tuple[int, ...]) -> None:
    decoder = model.model.text_model
    decoder.layers = torch.nn.ModuleList(decoder.layers[number] for number in kept)
    for number, layer in enumerate(decoder.layers):
        layer.self_attn.layer_idx = number
    model.config.text_config.num_hidden_layers = len(kept)


def teach_and_ask(training: Training, settings: Settings, pictures: Path, benchmark: Path, results: Path) -> str:
    """Train a student, ask it everything greedily and by draws, write what it said, and return its name."""
    set_seed(training.seed)
    model, processor = load_model(training.early)
    if torch.cuda.is_available():
        model.to("cuda")
    rows = load_split(training.export, "train")
    steps, rate, batch = settings.steps, settings.rate, settings.batch
    losses = train(model, processor, rows, results, steps, rate, training.seed, batch=batch, quiet=True)
    asked = asked_of(settings.own, pictures, benchmark)
    chats = [question.messages for question in asked]
    greedy = answers(model, processor, chats, longest=settings.longest)
    set_seed(training.seed)
    plain = [chat for chat, question in zip(chats, asked, strict=True) if question.kind != "jic"]
    drawn = answers(model, processor, plain, temperature=settings.temperature, longest=settings.longest)
    if training.keep is not None:
        _save(model.to(torch.bfloat16), processor, training.keep)
    document = {"loss": losses[-1]["loss"], "greedy": greedy, "drawn": drawn}
    write_text(results / f"{training.name}.json", json_text(document))
    return training.name


@cache
def asked_of(own: OwnData | None, pictures: Path, benchmark: Path) -> tuple[Question, ...]:
    """Return all questions; those of the benchmark stand behind the others."""
    plain = about_drawings(pictures) if own is None else of_ones_own(own)
    return (*plain, *of_benchmark(benchmark))


class Answers(NamedTuple):
    """What a student said: the likeliest answers to all questions, and drawn ones to those that are not four-choice."""

    loss: float
    greedy: list[str]
    drawn: list[str]


def read_answers(path: Path) -> Answers:
    """Read what `teach_and_ask` wrote."""
    return Answers(**json.loads(path.read_text(encoding="utf-8")))
