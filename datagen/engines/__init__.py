"""Engines: what answers. Each is a module with a class of the shape of `Engine`.

vLLM itself is never imported; any server that speaks the chat API will do. A new engine is one new file here, or a
class anywhere that a recipe names as `package.module:Class`, or an entry point of the group `datagen.engines`.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar, Protocol, Self

from datagen.engine_settings import EngineSettings
from datagen.engines.wire.chat import Completion
from filters.registry import Registry
from prompts import Sampling

__all__ = ["ENGINES", "ChatMessage", "Completion", "Engine", "engine_class", "open_engine"]

ChatMessage = Mapping[str, Any]
"""One message as the chat API takes it; parts may hold `orjson.Fragment`s, which are spliced in as they are."""


class Engine(Protocol):
    """A model that answers; an asynchronous context manager, used inside one event loop.

    Attributes:
        needs_server: whether there has to be an endpoint; datagen starts a vLLM server where the recipe names none.
        model: the name that is recorded with every call.
        retries: how many errors have been met so far.
    """

    needs_server: ClassVar[bool]
    model: str
    retries: int

    @classmethod
    def of(cls, engine: "EngineSettings", key: str | None) -> Self:
        """Return the engine for these settings of a recipe, with its API key."""

    async def __aenter__(self) -> Self:
        """Connect."""

    async def __aexit__(self, *_: object) -> None:
        """Let go of connections."""

    def lease(self) -> AbstractAsyncContextManager[Any]:
        """Hold what answers for all turns of one sample, so that its caches hit."""

    async def complete(
        self,
        lease: Any,
        messages: Sequence[ChatMessage],
        *,
        sampling: Sampling,
        seed: int,
        schema: Mapping[str, Any] | None = None,
        choices: Sequence[str] | None = None,
    ) -> Completion:
        """Ask for one answer.

        Raises:
            Failure: this request cannot be answered.
            DatagenError: no request can be answered any more; the run stops.
        """


ENGINES: Registry[type[Engine]] = Registry(
    "datagen.engines",
    kind="engine",
    group="datagen.engines",
    asked="a class of the shape of datagen.engines.Engine",
    fits=lambda found: isinstance(found, type) and hasattr(found, "complete") and hasattr(found, "needs_server"),
)


def engine_class(kind: str, field: str = "engines.kind") -> type[Engine]:
    """Return the class of a kind of engine.

    Raises:
        RegistryError: there is no such kind.
    """
    return ENGINES.find(kind, field)


def open_engine(engine: "EngineSettings", key: str | None) -> Engine:
    """Return the engine for these settings of a recipe, not yet connected."""
    return engine_class(engine.answered_by).of(engine, key)
