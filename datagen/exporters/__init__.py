"""Exporters: a run in the form that a trainer reads. Each is a module with a class that extends `Exporter`.

A new format is one new file here, or a class anywhere that is named as `package.module:Class`, or an entry point of the
group `datagen.exporters`. Most extend one of the forms in `writing/`, lines of JSON, Parquet or tars, and say no more
than what a row looks like. `writing/export.py` reads the shards, and gives each conversation to all formats at once.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import ClassVar, NamedTuple, TypeAlias

from datagen.exporters.writing.conversation import Conversation
from datagen.exporters.writing.store import PictureStore
from filters.registry import Registry

Write: TypeAlias = Callable[[Conversation], None]
"""Writes one conversation.

Raises:
    RowError: the format has no way to say it; nothing was written.
"""


class Settings(NamedTuple):
    """What an exporter is made with.

    Attributes:
        name: of the format, and of its folder.
        task: the name of the run's product.
        pictures: the store of pictures that formats of text share.
        root: where the trainer sees the folder of the export, as a path or URL.
        from_format: the same, seen from the folder of the format: `..`, unless a root was asked for.
    """

    name: str
    task: str
    pictures: PictureStore
    root: str
    from_format: str = ".."


class Exporter(ABC):
    """One form that trainers read: each shard of a run becomes one file, or none where it has no row for a split.

    Attributes:
        suffix: of the files.
        takes_system: whether a conversation may begin with a system message.
    """

    suffix: ClassVar[str]
    takes_system: ClassVar[bool] = True

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @abstractmethod
    def open(self, path: Path) -> AbstractContextManager[Write]:
        """Open a file for the conversations of a shard; it is whole when the context ends."""

    @abstractmethod
    def count(self, path: Path) -> int:
        """Return how many conversations a file has, as it says itself."""

    def finish(self, folder: Path, files: Mapping[str, Sequence[Path]]) -> None:
        """Add what the format has beside the files of its splits, or put them together; may be called again.

        Args:
            folder: of the format.
            files: of each split, in the order of the shards, which lie in the folder.
        """
        return


def _is_exporter(found: object) -> bool:
    return isinstance(found, type) and issubclass(found, Exporter) and not inspect.isabstract(found)


EXPORTERS: Registry[type[Exporter]] = Registry(
    "datagen.exporters",
    kind="format",
    group="datagen.exporters",
    asked="a class that extends datagen.exporters.Exporter",
    fits=_is_exporter,
)
