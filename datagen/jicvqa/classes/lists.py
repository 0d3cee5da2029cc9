"""Class lists: the closed lists of answers, by subset, with the word that the question uses.

A list file is JSON or YAML, `{subset: [names]}` or `{subset: {"word": "花", "classes": [...]}}`; a class is a name or
`{"name": …, "reading": …, "aliases": [...]}`, and `"apart": [[names], …]` keeps names from sharing a question. Keys
that start with an underscore are notes. A bare list, or a text file with a name a line, is one subset, which is called
as the file is.
"""

import json
from collections.abc import Mapping
from functools import cached_property
from importlib import resources
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from datagen.errors import DatagenError
from datagen.jicvqa.classes.names import NameConflict, conflict_of, key_of, perhaps_in_conflict
from filters.errors import nearest, sentence

CHOICES = 4
"""Options a question has."""

_Text = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\r\n\t]*\S[^\r\n\t]*$")]


class LabelClass(BaseModel):
    """One class: the name that stands in the options, how it is read, and other spellings of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: _Text
    reading: str = ""
    aliases: tuple[_Text, ...] = ()

    @property
    def forms(self) -> tuple[str, ...]:
        """Every further spelling: the aliases, and the reading when one is given."""
        return (*self.aliases, self.reading) if self.reading else self.aliases


class Subset(BaseModel):
    """The classes of one subset.

    Attributes:
        word: what the question asks for, 花 in この画像にはどの花が映っていますか？
        classes: the closed list of answers.
        distinct: pairs of names that look like two spellings of one thing and are not; they still never share a
            question.
        apart: groups of names no two of which ever share a question, since both can be right for one picture: synonyms,
            kinds of one another, what is served together (パスタ/スパゲッティ, 寿司/刺身).
        groups: by what they have in common, names that look or are alike (麺類: そば, うどん); a name may
            be in several.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    word: _Text
    classes: tuple[LabelClass, ...]
    distinct: tuple[tuple[str, str], ...] = ()
    apart: tuple[tuple[str, ...], ...] = ()
    groups: dict[str, tuple[str, ...]] = {}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The class names, in the order of the list."""
        return tuple(entry.name for entry in self.classes)

    def conflicts(self) -> list[NameConflict]:
        """Return every pair of classes that must not stand in one question, in the order of the list."""
        return list(self._conflicts)

    @cached_property
    def _conflicts(self) -> tuple[NameConflict, ...]:
        apart = {frozenset(pair) for group in self.apart for pair in combinations(group, 2)}
        number_of = {entry.name: number for number, entry in enumerate(self.classes)}
        pairs = {tuple(sorted(number_of[name] for name in pair)) for pair in apart if pair <= number_of.keys()}
        pairs |= perhaps_in_conflict([(entry.name, entry.forms) for entry in self.classes])
        found = []
        for first, second in ((self.classes[a], self.classes[b]) for a, b in sorted(pairs)):
            kind = conflict_of(first.name, second.name, first.forms, second.forms)
            if not kind and {first.name, second.name} in apart:
                kind = "apart"
            if kind:
                found.append(NameConflict(first.name, second.name, kind))
        return tuple(found)

    def class_of(self, label: str) -> str | None:
        """Return the name of the class that a label means: its name, an alias or its reading, whatever its width.

        Where a label is the alias of two classes it means neither.
        """
        if label in self.names:
            return label
        key = key_of(label)
        found = {entry.name for entry in self.classes if key == key_of(entry.name)}
        found = found or {entry.name for entry in self.classes if key in map(key_of, entry.forms)}
        return found.pop() if len(found) == 1 else None

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if len(self.classes) < CHOICES:
            raise ValueError(f"it has {len(self.classes)} classes, but a question needs {CHOICES}; add classes")
        seen: dict[str, str] = {}
        for name in self.names:
            if (key := key_of(name)) in seen:
                raise ValueError(
                    f"'{name}' and '{seen[key]}' are one name; list it once, with the other spelling in its aliases"
                )
            seen[key] = name
        for group in self.apart:
            if unknown := [name for name in group if name not in self.names]:
                raise ValueError(f"apart: '{unknown[0]}' is no class of the list: {nearest(unknown[0], self.names)}")
            if len(set(group)) < 2:
                raise ValueError(f"apart: a group needs two different names, not {list(group)}")
        for title, group in self.groups.items():
            if unknown := [name for name in group if name not in self.names]:
                raise ValueError(
                    f"groups: '{unknown[0]}' of '{title}' is no class of the list: {nearest(unknown[0], self.names)}"
                )
        return self


class ClassLists(BaseModel):
    """The class lists of a benchmark, by subset."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    subsets: dict[str, Subset] = Field(min_length=1)
    source: str = ""

    @model_validator(mode="after")
    def _synonyms_are_aliases(self) -> Self:
        for subset_name, subset in self.subsets.items():
            known = {frozenset(pair) for pair in subset.distinct}
            same = [
                (first, second)
                for first, second, kind in subset.conflicts()
                if kind in {"alias", "spelling"} and {first, second} not in known
            ]
            if same:
                pairs = ", ".join(f"{first}/{second}" for first, second in same)
                raise ValueError(
                    f"{subset_name}: {pairs} name the same thing, so that a question could have two right options; "
                    "keep one of each as the class and move the other into its aliases, or list the pair in 'distinct' "
                    "when they are two things"
                )
        return self

    def subset_of(self, category: str) -> list[str]:
        """Return the subsets that have a class of this name."""
        return [name for name, subset in self.subsets.items() if category in subset.names]


def shipped_images_per_subset() -> dict[str, int]:
    """Return how many questions the published JIC-VQA has in each subset."""
    document = json.loads(_shipped().read_text(encoding="utf-8"))
    return {str(name): int(count) for name, count in document["_images_per_subset"].items()}


def load_classes(path: Path | None = None) -> ClassLists:
    """Load class lists from a JSON, YAML or text file, or the lists of JIC-VQA that ship with datagen.

    Raises:
        DatagenError: the file cannot be read, or a list cannot make questions.
    """
    shown = str(path) if path else "the shipped class lists"
    try:
        text = path.read_text(encoding="utf-8-sig") if path else _shipped().read_text(encoding="utf-8")
        document = _document(path.suffix.lower() if path else ".json", text)
    except OSError as error:
        raise DatagenError(
            f"The class lists {shown} cannot be read: {error.strerror}. Give the path of a JSON, YAML or text file."
        ) from error
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        kind = "YAML" if isinstance(error, yaml.YAMLError) else "JSON"
        raise DatagenError(f"The class lists {shown} are not valid {kind}: {' '.join(str(error).split())}.") from error
    if path and isinstance(document, list) and document and all(isinstance(item, str | dict) for item in document):
        document = {path.stem: document}
    return parse_classes(document, shown)


def lists_of_labels(counts: Mapping[str, Mapping[str, int]]) -> ClassLists:
    """Return class lists of the labels that pictures have, the most frequent first.

    Args:
        counts: by subset and label, how many pictures.

    Raises:
        DatagenError: a list cannot make questions.
    """
    document = {name: sorted(own, key=lambda label: (-own[label], label)) for name, own in counts.items()}
    return parse_classes(document, "the labels of the pictures")


def parse_classes(document: Any, shown: str) -> ClassLists:
    """Validate class lists as they stand in a file.

    Raises:
        DatagenError: a list cannot make questions; the message starts with `shown`.
    """
    if not isinstance(document, dict):
        raise DatagenError(f"{shown}: write an object of subsets, {{subset: [class names]}}.")
    subsets = {name: _subset(name, entry) for name, entry in document.items() if not str(name).startswith("_")}
    if not subsets:
        raise DatagenError(f"{shown} has no subsets; write {{subset: [class names]}}.")
    try:
        return ClassLists.model_validate({"subsets": subsets, "source": str(document.get("_source", ""))})
    except ValidationError as error:
        raise DatagenError(f"{shown}: {sentence(error, ClassLists).removeprefix('subsets.')}") from error


def _document(suffix: str, text: str) -> Any:
    if suffix == ".txt":
        return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return yaml.safe_load(text) if suffix in (".yaml", ".yml") else json.loads(text)


def _subset(name: str, entry: object) -> object:
    """Bring the two ways to write a subset, and the two ways to write a class, to one."""
    if isinstance(entry, list):
        entry = {"word": _word_of(name), "classes": entry}
    if isinstance(entry, dict) and isinstance(entry.get("classes"), list):
        classes = [{"name": item} if isinstance(item, str) else item for item in entry["classes"]]
        return {**entry, "word": entry.get("word", _word_of(name)), "classes": classes}
    return entry


def _word_of(name: str) -> str:
    """Return the word of a subset that is named as the published ones are; any other is asked for by its own name."""
    document = json.loads(_shipped().read_text(encoding="utf-8"))
    entry = document.get(name)
    published = isinstance(entry, dict) and "word" in entry
    return str(entry["word"]) if published else str(document["_words"].get(name, name))


def _shipped() -> "resources.abc.Traversable":
    return resources.files("datagen.jicvqa") / "data" / "jic_classes.json"
