"""The engines of a recipe: a model, how it is reached, and how its servers are started."""

import json
import re
from importlib.metadata import entry_points
from typing import Any, Literal, Self

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, field_validator, model_validator

from datagen import access
from filters.errors import nearest
from filters.registry import shipped_members
from prompts import Sampling

_SENT_BY_DATAGEN = frozenset(
    {"model", "messages", "seed", "stream", "response_format", "structured_outputs", "n", *Sampling.model_fields}
)


class Section(BaseModel):
    """One mapping of a recipe: it has the fields that are named and no others."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ServerSettings(Section):
    """A vLLM server that datagen starts for the run, on this machine or where Ray has room.

    Attributes:
        args: further arguments of `vllm serve`, in order: `["--tensor-parallel-size", "2"]`.
        start_seconds: how long it may take until it answers.
    """

    args: tuple[str, ...] = ()
    start_seconds: int = Field(900, ge=1)


class EngineSettings(Section):
    """A model and how to reach it.

    Attributes:
        kind: how it is spoken to: `openai`, or a class of your own as `package.module:Class`.
        stand_in: a class that answers in the model's place, as `package.module:Class`, so that a recipe can be tried
            without the model; `--model` and `--endpoint` take it away.
        model: the name that the server knows it by; with endpoints that serve one model alone it may be left out.
        weights: what vLLM is to load when datagen starts the server: a folder or a hub name; `model` if not given.
        endpoints: base URLs of OpenAI-compatible servers, `http://host:port/v1`; none means that datagen starts one.
        vision: whether the picture is sent; false for a text model that works from the caption.
        api_key_env: the environment variable that holds the API key.
        headers: further headers of every request; `${NAME}` in a value stands for an environment variable, whose value
            is written nowhere.
        timeout: seconds that one answer may take.
        patience: seconds for which no endpoint may answer before the run stops.
        extra_body: further fields of every request, such as `{top_k: 20}`, `{mm_processor_kwargs: {…}}` or
            `{chat_template_kwargs: {enable_thinking: false}}`; called `request` before.
        system: how a prompt's system text is sent: `message` is one of its own, `merge` puts it before the first
            question, for chat templates that know no system role.
        structured_outputs: whether the server is asked to hold answers to a prompt's JSON schema; false for models that
            think first, whose answers are read behind their thinking.
        gpus: of one replica that datagen starts, its tensors split over them; one, where there are any, if not given.
        replicas: how many are started; as many as fit if not given.
        server: how vLLM is started, where it is.
    """

    kind: str = "openai"
    stand_in: str | None = None
    model: str = ""
    weights: str | None = None
    endpoints: tuple[str, ...] = ()
    vision: bool = True
    api_key_env: str | None = None
    headers: dict[str, str] = {}
    timeout: float = Field(180.0, gt=0)
    patience: float = Field(120.0, gt=0)
    extra_body: dict[str, Any] = Field({}, validation_alias=AliasChoices("extra_body", "request"))
    system: Literal["message", "merge"] = "message"
    structured_outputs: bool = True
    gpus: int | None = Field(None, ge=0)
    replicas: int | None = Field(None, ge=1)
    server: ServerSettings = ServerSettings()

    @property
    def answered_by(self) -> str:
        """The kind of engine that answers: the stand-in, where there is one."""
        return self.stand_in or self.kind

    @field_validator("kind", "stand_in")
    @classmethod
    def _known_kind(cls, kind: str | None) -> str | None:
        return None if kind is None else known(kind, "datagen.engines", "engine")

    @field_validator("endpoints")
    @classmethod
    def _base_urls(cls, endpoints: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(access.base_url, endpoints))

    @field_validator("headers")
    @classmethod
    def _headers_of_http(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            access.check_header(name, value)
        return headers

    @field_validator("extra_body")
    @classmethod
    def _json_of_its_own(cls, extra_body: dict[str, Any]) -> dict[str, Any]:
        if taken := sorted(_SENT_BY_DATAGEN.intersection(extra_body)):
            raise ValueError(f"{taken[0]} is set by datagen itself (sampling and seed are fields of stages and recipe)")
        try:
            json.dumps(extra_body, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ValueError(f"it cannot be sent as JSON ({error})") from error
        return extra_body

    @model_validator(mode="after")
    def _something_to_serve(self) -> Self:
        if self.api_key_env is not None and not access.is_variable(self.api_key_env):
            raise ValueError(f"api_key_env {access.NO_VARIABLE}")
        if not self.model and not self.endpoints:
            raise ValueError("name a model, or give endpoints that serve one")
        if self.endpoints and (self.gpus is not None or self.replicas is not None):
            raise ValueError("gpus and replicas are of servers that datagen starts; leave them out beside endpoints")
        return self


def known(name: str, package: str, kind: str, *others: str) -> str:
    """Return a name of a seam's member if it may be one; nothing is imported, and a dotted name is not followed."""
    group = f"datagen.{package.rpartition('.')[2]}"
    allowed = (*shipped_members(package), *others, *(point.name for point in entry_points(group=group)))
    if name not in allowed and not re.search(r"\w[.:]\w", name):
        raise ValueError(f"it is no {kind}: {nearest(name, allowed)}; one of your own is named package.module:Name")
    return name


def api_key(engine: EngineSettings) -> str | None:
    """Return the engine's API key from the environment.

    Raises:
        DatagenError: the recipe names a variable that is not set, or that holds more than a key.
    """
    return None if engine.api_key_env is None else access.api_key(engine.api_key_env)
