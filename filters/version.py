"""The version of the rules: a digest of all code and data that judge, so that an upgrade shows in every verdict."""

import hashlib
import inspect
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from importlib.resources.abc import Traversable

from filters.base import Rule

_LIBRARIES = ("fugashi", "unidic-lite", "lingua-language-detector")
_JUDGING = (".py", ".txt")


def rules_version(rules: Iterable[Rule]) -> str:
    """Return a digest of the code of `filters`, of the libraries that it judges with, and of rules from elsewhere.

    A rule of a user's own counts with the source of its module. What such a module imports in turn is not seen.
    """
    digest = hashlib.sha256(_shipped().encode())
    for module in sorted({type(rule).__module__ for rule in rules}):
        if module.partition(".")[0] != "filters":
            digest.update(f"{module}\0{_source(module, rules)}\0".encode())
    return digest.hexdigest()


@cache
def _shipped() -> str:
    digest = hashlib.sha256()
    for name, file in _files(files("filters"), ""):
        digest.update(f"{name}\0".encode() + file.read_bytes() + b"\0")
    for library in _LIBRARIES:
        try:
            found = version(library)
        except PackageNotFoundError:
            found = "none"
        digest.update(f"{library} {found}\0".encode())
    return digest.hexdigest()


def _files(folder: Traversable, path: str) -> Iterator[tuple[str, Traversable]]:
    """Yields the files that judge, by their names in the package, in an order that is the same everywhere."""
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _files(entry, f"{path}{entry.name}/")
        elif entry.name.endswith(_JUDGING):
            yield f"{path}{entry.name}", entry


def _source(module: str, rules: Iterable[Rule]) -> str:
    rule = next(rule for rule in rules if type(rule).__module__ == module)
    try:
        return inspect.getsource(inspect.getmodule(type(rule)) or type(rule))
    except (OSError, TypeError):  # made in a shell, or compiled
        return type(rule).__qualname__
