"""The distractors file: how alike the classes are, who said so, and the design for equal class counts.

`build` takes the similarity from it and balances the design for the class counts of the table at hand.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from datagen.console import pasteable
from datagen.errors import DatagenError
from datagen.files.writing import json_text
from datagen.jicvqa.classes.lists import CHOICES, ClassLists, Subset
from datagen.jicvqa.classes.similarity import (
    GROUP_WEIGHT,
    LEXICAL_WEIGHTS,
    Matrix,
    forbidden_pairs,
    similarity_of_names,
)
from datagen.jicvqa.distractors.design import Design, mutual_design, mutual_shares, nearest_design
from datagen.jicvqa.distractors.rounding import Counts
from filters.errors import sentence

Method = Literal["mutual", "nearest"]
_DIGITS = 6
_Share = Annotated[float, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Ranker(_Part):
    """Who said how alike the classes are.

    Attributes:
        kind: `lexical` (names and groups), `llm`, `images` (embeddings of pictures) or `file` (the user's own).
        model: the name of the model, or of the file.
        prompt: the name of the request's template; `prompt_digest` is the beginning of its SHA-256.
        seed: of the candidate orders and of sampling.
        orders: in how many shuffled candidate orders each class was asked about.
        picks: how many neighbours were named in each order.
        weights: of the lexical similarity.
    """

    kind: Literal["lexical", "llm", "images", "file"]
    model: str = ""
    prompt: str = ""
    prompt_digest: str = ""
    seed: int = 0
    orders: int = 0
    picks: int = 0
    weights: dict[str, float] = {}


class OptionSetShare(_Part):
    """Four classes that share a question, and how often each is the answer (shares of one, or whole questions)."""

    classes: tuple[str, str, str, str]
    answers: tuple[_Share, _Share, _Share, _Share]


class SubsetDistractors(_Part):
    """What is known of one subset.

    Attributes:
        subset: the class list.
        counts: the questions of each class that `option_sets` is made for; empty means equally many of each.
        similarity: for each class the others with a similarity above 0, most similar first.
        conflicts: pairs that never share a question under `mutual`, with the kind of the conflict.
        both_true: pairs that do not share one either, since the model that ranked says that both can be right for one
            picture; where the counts cannot be balanced so, they are let.
        option_sets: the design.
    """

    subset: Subset
    counts: dict[str, int] = {}
    similarity: dict[str, dict[str, Annotated[float, Field(gt=0, le=1)]]]
    conflicts: tuple[tuple[str, str, str], ...] = ()
    both_true: tuple[tuple[str, str], ...] = ()
    option_sets: tuple[OptionSetShare, ...]

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        known = set(self.subset.names)
        used = set(self.similarity) | {other for row in self.similarity.values() for other in row} | set(self.counts)
        used |= {name for option_set in self.option_sets for name in option_set.classes}
        used |= {name for pair in self.both_true for name in pair}
        if unknown := sorted(used - known):
            raise ValueError(f"{', '.join(unknown)} is not in the class list; make the file again with these classes")
        return self

    @property
    def matrix(self) -> Matrix:
        """The similarity as an (n, n) array in the order of the class list."""
        index_of = {name: index for index, name in enumerate(self.subset.names)}
        matrix = np.zeros((len(index_of), len(index_of)))
        for name, row in self.similarity.items():
            for other, value in row.items():
                matrix[index_of[name], index_of[other]] = value
        return matrix

    def design(self, method: Method, counts: Mapping[str, int]) -> Design:
        """Return the design for the questions that each class has.

        Raises:
            DatagenError: fewer than four classes have questions, or no balanced option set can hold a class.
        """
        return _design(self.subset, self.matrix, method, counts, self.both_true)

    def kept_apart(self) -> dict[frozenset[str], str]:
        """Return the pairs that are not to share a question, and why."""
        pairs = {frozenset(pair): "both_true" for pair in self.both_true}
        return pairs | {frozenset((first, second)): kind for first, second, kind in self.conflicts}


class Distractors(_Part):
    """The whole file."""

    format: Literal["datagen.jicvqa.distractors/1"] = "datagen.jicvqa.distractors/1"
    method: Method
    ranker: Ranker
    classes_source: str = ""
    subsets: dict[str, SubsetDistractors] = Field(min_length=1)

    @property
    def lists(self) -> ClassLists:
        """The class lists in it."""
        return ClassLists(
            subsets={name: part.subset for name, part in self.subsets.items()}, source=self.classes_source
        )

    def text(self) -> str:
        """Return the file's text."""
        return json_text(self.model_dump(mode="json"))


def lexical_ranker() -> Ranker:
    """Return the description of the lexical ranker."""
    return Ranker(kind="lexical", weights=LEXICAL_WEIGHTS | {"groups": GROUP_WEIGHT})


def lexical_matrices(lists: ClassLists) -> dict[str, Matrix]:
    """Return the similarity of names and groups of every subset."""
    return {name: similarity_of_names(subset) for name, subset in lists.subsets.items()}


def make_distractors(
    lists: ClassLists,
    matrices: Mapping[str, Matrix],
    ranker: Ranker,
    method: Method,
    counts: Mapping[str, Mapping[str, int]] | None = None,
    both_true: Mapping[str, tuple[tuple[str, str], ...]] | None = None,
) -> Distractors:
    """Design the distractors of every subset.

    Args:
        lists: the class lists.
        matrices: by subset, the (n, n) similarity.
        ranker: who gave the similarity.
        method: `mutual` or `nearest`.
        counts: by subset and class, the questions; none means equally many of each class.
        both_true: by subset, pairs of names that a model says can be right for one picture.

    Raises:
        DatagenError: a subset has no design.
    """
    subsets = {}
    for name, subset in lists.subsets.items():
        matrix = np.round(matrices[name], _DIGITS)
        own = dict((counts or {}).get(name, {}))
        try:
            pairs = (both_true or {}).get(name, ())
            design = _design(subset, matrix, method, own, pairs) if own else _shares(subset, matrix, method, pairs)
        except DatagenError as error:
            raise DatagenError(f"{name}: {error}") from error
        subsets[name] = SubsetDistractors(
            subset=subset,
            counts=own,
            similarity=_rows(subset, matrix),
            conflicts=tuple((first, second, kind) for first, second, kind in subset.conflicts()),
            both_true=pairs,
            option_sets=named_sets(subset, design),
        )
    return Distractors(method=method, ranker=ranker, classes_source=lists.source, subsets=subsets)


def load_distractors(path: Path) -> Distractors:
    """Read a distractors file.

    Raises:
        DatagenError: it cannot be read, or is not valid.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DatagenError(
            f"The distractors {path} cannot be read: {error.strerror}. "
            f"`datagen jicvqa distractors --out {pasteable(path)}` makes the file."
        ) from error
    except (ValueError, RecursionError) as error:
        raise DatagenError(f"The distractors {path} are not valid JSON: {error}.") from error
    try:
        return Distractors.model_validate(document)
    except ValidationError as error:
        raise DatagenError(f"The distractors {path}: {sentence(error, Distractors)}") from error


def named_sets(subset: Subset, design: Design) -> tuple[OptionSetShare, ...]:
    """Return a design with the names of the classes."""
    names = subset.names
    return tuple(
        OptionSetShare.model_validate({"classes": [names[member] for member in members], "answers": answers})
        for members, answers in zip(design.members.tolist(), design.answers.tolist(), strict=True)
    )


def counts_of(subset: Subset, counts: Mapping[str, int]) -> Counts:
    """Return the counts as an array in the order of the class list."""
    return np.array([counts.get(name, 0) for name in subset.names], dtype=np.int64)


def _design(
    subset: Subset, matrix: Matrix, method: Method, counts: Mapping[str, int], both_true: Sequence[tuple[str, str]]
) -> Design:
    questions = counts_of(subset, counts)
    usable = int((questions > 0).sum())
    if usable < CHOICES:
        raise DatagenError(
            f"only {usable} of {len(questions)} classes have images, but the options of a question are {CHOICES} "
            "classes that all are the answer sometimes; add images of more classes."
        )
    if method == "nearest":
        return nearest_design(matrix, questions)
    design = mutual_design(matrix, forbidden_pairs(subset, both_true), questions)
    if both_true and design.surplus > questions.sum() % CHOICES:
        freer = mutual_design(matrix, forbidden_pairs(subset), questions)
        design = freer if freer.surplus < design.surplus else design
    _refuse_unplaced(subset, _placed(design, len(questions)) < questions)
    return design


def _shares(subset: Subset, matrix: Matrix, method: Method, both_true: Sequence[tuple[str, str]]) -> Design:
    if method == "nearest":
        return nearest_design(matrix, np.ones(len(matrix), dtype=np.int64))
    design = mutual_shares(matrix, forbidden_pairs(subset, both_true))
    if both_true and (_placed(design, len(matrix)) < 1 - 1e-6).any():
        design = mutual_shares(matrix, forbidden_pairs(subset))
    _refuse_unplaced(subset, _placed(design, len(matrix)) < 1e-6)
    return design


def _placed(design: Design, classes: int) -> npt.NDArray[np.float64]:
    """Return how many questions each class has."""
    return np.asarray(np.bincount(design.members.ravel(), weights=design.answers.ravel(), minlength=classes), float)


def _refuse_unplaced(subset: Subset, unplaced: npt.NDArray[np.bool_]) -> None:
    if unplaced.any():
        names = ", ".join(name for name, missing in zip(subset.names, unplaced, strict=True) if missing)
        raise DatagenError(
            f"{names} can stand in no question: too many of the other names are nested in it, contain it or sound like "
            "it. Add classes, or leave these out."
        )


def _rows(subset: Subset, matrix: Matrix) -> dict[str, dict[str, float]]:
    rows = {}
    names = subset.names
    for own, name in enumerate(names):
        order = [int(other) for other in np.argsort(-matrix[own], kind="stable") if matrix[own, other] > 0]
        rows[name] = {names[other]: float(matrix[own, other]) for other in order if other != own}
    return rows
