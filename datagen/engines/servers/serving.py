"""Making every engine of a recipe answer: given endpoints are checked, and servers are started for the others.

Where Ray does the work it places them, `datagen.engines.servers.replicas`. Without Ray they are on this machine, and
engines share its GPUs evenly.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from datagen.access import with_variables
from datagen.engine_settings import EngineSettings, api_key
from datagen.engines import engine_class
from datagen.engines.servers.process import ServerProcess, local_server
from datagen.engines.servers.vllm import check_installed, log_name, visible_gpus
from datagen.engines.wire.endpoints import check_chat
from datagen.errors import DatagenError
from datagen.event_loops import run_to_end
from datagen.executors import executor
from datagen.progress import duration
from datagen.recipe import Recipe

Endpoints = Mapping[str, tuple[str, ...]]


class Served(NamedTuple):
    """A recipe whose engines all answer.

    Attributes:
        recipe: with endpoints for every engine.
        keys: the API keys by engine.
        look: takes the number of rows made so far, and returns where the engines that were started here are served
            now; raises a `DatagenError` when they are no more.
    """

    recipe: Recipe
    keys: dict[str, str | None]
    look: Callable[[int], Endpoints]


def check_given_endpoints(recipe: Recipe) -> None:
    """Make sure that the endpoints which the recipe names answer and serve its models.

    Raises:
        DatagenError: an endpoint is dead or serves another model.
    """
    for engine in recipe.engines.values():
        if engine.endpoints and engine_class(engine.answered_by).needs_server:
            headers = with_variables(engine.headers)
            run_to_end(check_chat(engine.model, engine.endpoints, api_key(engine), headers))


@contextmanager
def served(recipe: Recipe, logs: Path, console: Console) -> Iterator[Served]:
    """Make every engine of a recipe answer, starting servers for those that have no endpoints.

    Args:
        recipe: the engines.
        logs: the folder that takes the log of each server that is started.
        console: where is said what is waited for, and what happens to servers later on.

    Raises:
        DatagenError: an endpoint is dead or serves another model, or a server does not start.
    """
    engines = {
        name: engine.model_copy(update={"headers": with_variables(engine.headers)})
        for name, engine in recipe.engines.items()
    }
    keys = {name: api_key(engine) for name, engine in engines.items()}
    to_start: dict[str, EngineSettings] = {}
    for name, engine in list(engines.items()):
        if not engine_class(engine.answered_by).needs_server:
            continue
        if engine.endpoints:
            model = run_to_end(check_chat(engine.model, engine.endpoints, keys[name], engine.headers))
            engines[name] = engine.model_copy(update={"model": model})
        else:
            to_start[name] = engine
    with ExitStack() as stack:
        look: Callable[[int], Endpoints] = lambda _: {}  # noqa: E731 (nothing is started, and nothing can end)
        if to_start:
            check_installed()
            place = _placed_by_ray if executor() == "ray" else _started_here
            look, own_keys = stack.enter_context(place(to_start, logs, console))
            keys |= own_keys
            for name, endpoints in look(0).items():
                engines[name] = engines[name].model_copy(
                    update={"endpoints": endpoints, "gpus": None, "replicas": None}
                )
        yield Served(recipe.model_copy(update={"engines": engines}), keys, look)


_Started = tuple[Callable[[int], Endpoints], dict[str, str | None]]


@contextmanager
def _placed_by_ray(engines: Mapping[str, EngineSettings], logs: Path, console: Console) -> Iterator[_Started]:
    from datagen.engines.servers.replicas import Replicas
    from datagen.executors.ray_tasks import start_ray

    start_ray()
    logs.mkdir(parents=True, exist_ok=True)
    with Replicas(engines, logs, _saying(console)) as replicas:
        with console.status("waiting for the servers, 0 s") as status:
            replicas.wait(status.update)

        def look(made: int) -> Endpoints:
            replicas.look(made)
            return replicas.endpoints

        yield look, dict.fromkeys(engines, replicas.key)


@contextmanager
def _started_here(engines: Mapping[str, EngineSettings], logs: Path, console: Console) -> Iterator[_Started]:
    say = _saying(console)
    shared = _shared_gpus(engines)
    servers: dict[str, ServerProcess] = {}
    with ExitStack() as stack:
        for name, engine in engines.items():
            gpus = shared[name]
            count = len(visible_gpus() if gpus is None else gpus)
            device = f"{count} GPU{'s' * (count > 1)}" if count else "CPU"
            log = logs / log_name(name)
            say(f"Starting a vLLM server for {engine.model} on the {device} (log: {log}).")
            with console.status("waiting for the server, 0 s") as status:
                servers[name] = stack.enter_context(
                    local_server(
                        engine.model,
                        log,
                        engine.weights,
                        engine.server.args,
                        engine.server.start_seconds,
                        waiting=status.update,
                        gpus=gpus,
                        each=engine.gpus,
                    )
                )
            say(f"The server answers after {duration(servers[name].seconds)} at {servers[name].endpoint}.")

        def look(_: int) -> Endpoints:
            for server in servers.values():
                server.check()
            return {name: (server.endpoint,) for name, server in servers.items()}

        yield look, {}


def _shared_gpus(engines: Mapping[str, EngineSettings]) -> dict[str, list[str] | None]:
    """Return the GPUs of each engine on this machine: all for one alone, and as many for each of several."""
    gpus = visible_gpus()
    if len(engines) == 1 or not gpus:
        return dict.fromkeys(engines, None)
    share = len(gpus) // len(engines)
    if not share:
        raise DatagenError(
            f"{len(engines)} engines need a GPU each, and {len(gpus)} may be seen here; let them work one after the "
            "other (one_after_the_other: true), or name an endpoint for one of them."
        )
    return {name: gpus[number * share : (number + 1) * share] for number, name in enumerate(engines)}


def _saying(console: Console) -> Callable[[str], None]:
    return lambda text: console.print(text, soft_wrap=True, markup=False)
