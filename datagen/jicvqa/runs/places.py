"""Where the commands ask, write and speak."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from datagen.console import PlainConsole
from datagen.errors import DatagenError
from datagen.jicvqa.classes.lists import ClassLists
from datagen.jicvqa.models import ModelServer

CONSOLE = PlainConsole(soft_wrap=True)

_MANY_CLASSES = 200


@contextmanager
def serving(server: ModelServer, folder: Path) -> Iterator[ModelServer]:
    """Yield the server as it is, or with the endpoint of one that is started here."""
    if server.endpoints:
        yield server
        return
    from datagen.engines.servers.process import local_server

    if not server.model:
        raise DatagenError("Name the model that vLLM is to load with --model, or a running server with --endpoint.")
    folder.mkdir(parents=True, exist_ok=True)
    CONSOLE.print(f"Starting vLLM with {server.model}; its log is {folder / 'server.log'}.")
    name = Path(server.model).name
    with local_server(name, folder / "server.log", server.model) as running:
        yield server._replace(endpoints=(running.endpoint,), model=running.model)


def beside(folder: Path, ending: str) -> Path:
    """Return the path next to a folder, `build` giving `build-audit`, also for `.` and `..`."""
    path = Path(os.path.abspath(folder))  # noqa: PTH100 (resolve() would follow a link to elsewhere)
    return folder.parent / f"{path.name}{ending}" if folder.name not in ("", "..") else Path(f"{path}{ending}")


def say_if_long(lists: ClassLists) -> None:
    """Say of lists whose option sets take a while to design that they do: the solver tells nothing before its end."""
    most = max(len(subset.classes) for subset in lists.subsets.values())
    if most >= _MANY_CLASSES:
        CONSOLE.print(f"Designing option sets for up to {most:,} classes; for 1,000 that takes about a minute.")
