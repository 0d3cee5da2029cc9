"""A prompt template: what it asks, the shape of the answer, and how to sample it."""

import hashlib
import json
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import yaml
from jinja2 import TemplateError
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from filters.errors import sentence
from filters.registry import Registry, RegistryError
from prompts.template import Template

_EXAMPLE: dict[str, object] = {
    "turn": 1,
    "caption": "説明",
    "turns": [{"question": "質問", "answer": "答え"}] * 20,
    "dialogue": "[Q1] What is it?",
    "context": "",
    "fault": "",
}
VARIABLES = frozenset({*_EXAMPLE, "focus"})
"""What a template may use, see `Prompt.user`."""


class PromptError(ValueError):
    """A prompt that cannot be used; the message says which field of which file, and what to do."""


class Sampling(BaseModel):
    """How the model draws its answer; the fields are those of the OpenAI chat API.

    Attributes:
        temperature: 0 takes the likeliest token.
        top_p: draws from the likeliest tokens that together have this probability.
        max_tokens: of the answer; one that is longer is cut off, and asked for again.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    temperature: float = Field(0.7, ge=0, le=2)
    top_p: float = Field(1.0, gt=0, le=1)
    max_tokens: int = Field(512, ge=1)


class Answer(BaseModel):
    """The shape of the answer.

    Attributes:
        reads_as: what it becomes in a row: `caption` (of a field `caption`), `turn` (of `question` and `answer`),
            `dialogue` (of `turns`, a list of such pairs), `score` (a judge's `score` and `reason`), `translation` (of
            the whole conversation, as plain text), or a reader of your own as `package.module:Class`.
        schema: the JSON schema that the server is held to; none for plain text.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    reads_as: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.:]*$")]
    json_schema: dict[str, Any] | None = Field(None, alias="schema")


class Prompt(BaseModel):
    """One prompt template, as its YAML file says it.

    Attributes:
        name: the name that recipes use and rows record.
        version: raised when the wording changes.
        purpose: one or two sentences for the reader.
        system: sent when this prompt opens the conversation with its engine.
        user: the Jinja2 template of the request. It may use `turn` (1, 2, … of a repetition), `focus`, `caption` (of an
            earlier stage) and `turns` (the dialogue so far, a list of objects with `question` and `answer`); for a
            translation also `dialogue` (the numbered texts), `context` (the translations before a text that is asked
            for alone) and `fault` (what was wrong with the last one).
        instructions: for captions, what a user might have asked; one is drawn when the caption becomes a turn.
        focuses: what the question is about; every repetition in a row gets another one.
        answer: the shape of the answer.
        sampling: the default sampling, which a recipe's stage may override.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    version: int = Field(ge=1)
    purpose: str
    system: str = ""
    user: str
    instructions: tuple[str, ...] = ()
    focuses: tuple[str, ...] = ()
    answer: Answer
    sampling: Sampling = Sampling()

    @model_validator(mode="after")
    def _template_uses_known_variables(self) -> "Prompt":
        try:
            used = Template(self.name, self.user).variables()
        except TemplateError as error:
            raise ValueError(f"user is not a valid Jinja2 template: {error}") from error
        if unknown := sorted(used - VARIABLES):
            raise ValueError(f"user uses {', '.join(unknown)}; a template may use {', '.join(sorted(VARIABLES))}")
        if "focus" in used and not self.focuses:
            raise ValueError("user uses focus, but focuses is empty; list at least one")
        for turn in (1, 2):  # so that a template which fails is found before anything starts
            try:
                self.render(**{**_EXAMPLE, "turn": turn, "focus": next(iter(self.focuses), "")})
            except PromptError as error:
                raise ValueError(str(error)) from error
        return self

    @cached_property
    def digest(self) -> str:
        """The first 16 hex digits of the SHA-256 of all that is sent; `purpose` and `version` do not count."""
        sent = self.model_dump(mode="json", by_alias=True, exclude={"purpose", "version"})
        return hashlib.sha256(json.dumps(sent, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:16]

    def render(self, **variables: object) -> str:
        """Return the user text for these variables, without white space around it.

        Raises:
            PromptError: the template needs a variable that is not given, or fails.
        """
        try:
            return Template(self.name, self.user).render(**variables)
        except Exception as error:  # a template may do arithmetic, include files, …
            raise PromptError(f"Prompt '{self.name}' could not be rendered: {type(error).__name__}: {error}") from error


def prompt_names() -> list[str]:
    """Return the names of the prompts that ship with datagen, and of those that installed packages offer."""
    return sorted(PROMPTS.names())


def load_prompt(name: str) -> Prompt:
    """Load a prompt: one by its name (see `PROMPTS`), or any by the path of its YAML file.

    Raises:
        PromptError: there is no such prompt, or its file is not valid.
    """
    if name.endswith((".yaml", ".yml")):
        return read_prompt(Path(name))
    try:
        return PROMPTS.find(name, "prompt")
    except RegistryError as error:
        raise PromptError(str(error).removeprefix("prompt: ")) from error


def read_prompt(path: Path) -> Prompt:
    """Read a prompt file.

    Raises:
        PromptError: it cannot be read, or is not valid.
    """
    try:
        return Prompt.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except UnicodeDecodeError as error:
        raise PromptError(f"{path} is not UTF-8 text: {error}. Save it as UTF-8.") from error
    except OSError as error:
        known = ", ".join(prompt_names())
        raise PromptError(
            f"There is no prompt '{path}' ({error.strerror}). Give the path of a YAML file, or a name: {known}."
        ) from error
    except ValidationError as error:
        raise PromptError(f"{path}: {sentence(error, Prompt)}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date that is none
        raise PromptError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error


PROMPTS: Registry[Prompt] = Registry(
    "prompts",
    kind="prompt",
    group="datagen.prompts",
    asked="a prompts.Prompt",
    fits=lambda found: isinstance(found, Prompt),
    read=read_prompt,
)
"""The prompts by name: the YAML files of this folder, and those of installed packages."""
