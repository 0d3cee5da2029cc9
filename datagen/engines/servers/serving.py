"""Making every engine of a recipe answer: given endpoints are checked, and servers are started for the others."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from datagen.access import with_variables
from datagen.engines import engine_class
from datagen.engines.servers.vllm import RunningServer, gpu_count, local_server, log_name
from datagen.engines.wire.endpoints import check_chat
from datagen.event_loops import run_to_end
from datagen.progress import duration
from datagen.recipe import Recipe, api_key


class Served(NamedTuple):
    """A recipe whose engines all answer.

    Attributes:
        recipe: with endpoints for every engine.
        keys: the API keys by engine.
        servers: those that were started here.
    """

    recipe: Recipe
    keys: dict[str, str | None]
    servers: list[RunningServer]

    def check(self) -> None:
        """Make sure that the servers that were started here are still there.

        Raises:
            DatagenError: one has ended.
        """
        for server in self.servers:
            server.check()


def check_given_endpoints(recipe: Recipe) -> None:
    """Make sure that the endpoints which the recipe names answer and serve its models.

    Raises:
        DatagenError: an endpoint is dead or serves another model.
    """
    for engine in recipe.engines.values():
        if engine.endpoints and engine_class(engine.kind).needs_server:
            run_to_end(check_chat(engine.model, engine.endpoints, api_key(engine), with_variables(engine.headers)))


@contextmanager
def served(recipe: Recipe, logs: Path, console: Console) -> Iterator[Served]:
    """Make every engine of a recipe answer, starting servers for those that have no endpoints.

    Args:
        recipe: the engines.
        logs: the folder that takes the log of each server that is started.
        console: where is said what is waited for.

    Raises:
        DatagenError: an endpoint is dead or serves another model, or a server does not start.
    """
    engines = {
        name: engine.model_copy(update={"headers": with_variables(engine.headers)})
        for name, engine in recipe.engines.items()
    }
    keys = {name: api_key(engine) for name, engine in engines.items()}
    started: list[RunningServer] = []
    with ExitStack() as servers:
        for name, engine in list(engines.items()):
            if not engine_class(engine.kind).needs_server:
                continue
            if engine.endpoints:
                model = run_to_end(check_chat(engine.model, engine.endpoints, keys[name], engine.headers))
                engines[name] = engine.model_copy(update={"model": model})
                continue
            device = f"{gpu_count()} GPU" if gpu_count() else "CPU"
            log = logs / log_name(name)
            console.print(
                f"Starting a vLLM server for {engine.model} on the {device} (log: {log}).", soft_wrap=True, markup=False
            )
            with console.status("waiting for the server, 0 s") as status:
                server = servers.enter_context(
                    local_server(
                        engine.model,
                        log,
                        engine.weights,
                        engine.server.args,
                        engine.server.start_seconds,
                        waiting=status.update,
                    )
                )
            console.print(f"The server answers after {duration(server.seconds)} at {server.endpoint}.")
            started.append(server)
            engines[name] = engine.model_copy(update={"endpoints": (server.endpoint,)})
        yield Served(recipe.model_copy(update={"engines": engines}), keys, started)
