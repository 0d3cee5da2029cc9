"""Recipe files: a recipe from its YAML file, with changes from the command line, and with paths that hold anywhere."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from datagen.errors import DatagenError
from datagen.recipe import Recipe
from filters.errors import sentence


def load_recipe(path: Path, overrides: Iterable[str] = (), replace: dict[str, Any] | None = None) -> Recipe:
    """Load and validate a recipe.

    Args:
        path: the YAML file. Relative paths in it (source, prompts, policy, models) are looked up from where the
            command runs first, then from the recipe's folder.
        overrides: `key=value` with dotted keys, the value read as YAML: `stages.1.repeat=4`.
        replace: the same as dotted keys with Python values; applied first.

    Raises:
        DatagenError: the file cannot be read, or a field is wrong.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DatagenError(
            f"The recipe {path} cannot be read: {error.strerror}. Give the path of a YAML file."
        ) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: no UTF-8, or a date that is none
        raise DatagenError(f"The recipe {path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict):
        raise DatagenError(f"The recipe {path} must be a mapping with source, engines and stages.")
    for key, value in (replace or {}).items():
        _set(document, key, value)
    for override in overrides:
        key, separator, text = override.partition("=")
        if not separator:
            raise DatagenError(f"--set {override}: write it as key=value, for example stages.1.repeat=4.")
        try:
            _set(document, key, yaml.safe_load(text))
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            told = " ".join(str(error).split())
            raise DatagenError(f"--set {override}: the value is not valid YAML: {told}") from error
    _resolve_paths(document, path.parent)
    try:
        recipe = Recipe.model_validate(document)
    except ValidationError as error:
        raise DatagenError(f"{path}: {sentence(error, Recipe)}") from error
    try:
        recipe.model_dump_json()
    except ValueError as error:  # a lone surrogate, which YAML can write as "\ud800"
        raise DatagenError(f"{path} has text that is not Unicode: {error}. Correct it.") from error
    return recipe


def _set(document: dict[str, Any], key: str, value: object) -> None:
    """Set a dotted key; numbers index into lists, and `*` stands for every entry of a mapping."""
    *parents, last = key.split(".")
    targets: list[Any] = [document]
    try:
        for name in parents:
            targets = [inner for target in targets for inner in _inner(target, name)]
        for target in targets:
            target[int(last) if isinstance(target, list) else last] = value
    except (ValueError, IndexError, TypeError, AttributeError) as error:
        raise DatagenError(
            f"--set {key}: the recipe has no such field; write it as stages.0.prompt, for example."
        ) from error


def _inner(target: Any, name: str) -> list[Any]:
    if isinstance(target, list):
        return [target[int(name)]]
    return list(target.values()) if name == "*" else [target.setdefault(name, {})]


def _resolve_paths(document: dict[str, Any], folder: Path) -> None:
    """Make paths absolute, so that workers elsewhere and later calls from elsewhere find the same files."""

    def resolved(value: object) -> object:
        for start in (Path(), folder):
            # os.path.exists, because Path.exists raises for names that are too long
            if isinstance(value, str) and value and os.path.exists(start / value):  # noqa: PTH110
                return str((start / value).resolve())
        return value

    for section, name in _path_fields(document):
        section[name] = resolved(section[name])
    survey = document.get("survey")
    if isinstance(survey, dict) and isinstance(survey.get("benchmarks"), list):
        survey["benchmarks"] = [resolved(path) for path in survey["benchmarks"]]


def _path_fields(document: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    engines, stages = document.get("engines"), document.get("stages")
    paths = [(document.get("source"), "path")]
    paths += [(engine, "weights") for engine in engines.values()] if isinstance(engines, dict) else []
    named: list[tuple[Any, str]] = [(document, "policy")]
    named += [(stage, "prompt") for stage in stages] if isinstance(stages, list) else []
    # Names without a suffix are those of shipped policies and prompts.
    paths += [
        (section, name)
        for section, name in named
        if isinstance(section, dict) and str(section.get(name)).endswith((".yaml", ".yml"))
    ]
    for section, name in paths:
        if isinstance(section, dict) and name in section:
            yield section, name
