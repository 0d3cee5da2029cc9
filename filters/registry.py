"""From a name to what it stands for: the one registry, of rules here and of every seam of datagen.

A name is looked up in three steps: a module of the folder that the members ship in, an entry point that an installed
package offers, and a dotted name, `package.module:Name`. To add a member is to add a file. It lies here, and imports
nothing but the standard library, because `filters` and `prompts` have to stand without datagen.
"""

import pkgutil
import re
from collections.abc import Callable, Collection
from functools import cached_property, reduce
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Generic, TypeVar

from filters.errors import nearest

Member = TypeVar("Member")
_DOTTED = re.compile(r"\w[\w.]*[.:][\w.]*\w")


class RegistryError(ValueError):
    """A name that stands for nothing; the message names the field, the name, what is allowed, and what to do."""


class Registry(Generic[Member]):
    """The members of a seam by name.

    Args:
        package: the folder of the shipped members, as a dotted name. Every module in it is one; packages in it hold
            what members share, and are none.
        kind: what a member is called, in messages: "rule".
        group: the entry points under which installed packages offer members: "datagen.rules".
        asked: what a member has to be, in messages: "a class that extends filters.Rule".
        read: reads a shipped member, where the members are YAML files and no modules.
        attribute: the name under which a shipped module holds its member, if all use the same; without it, the member
            is the one thing defined there that `fits`.
        fits: whether an object is a member.
    """

    def __init__(
        self,
        package: str,
        *,
        kind: str,
        group: str,
        asked: str,
        fits: Callable[[object], bool],
        attribute: str | None = None,
        read: Callable[[Path], Member] | None = None,
    ) -> None:
        self._package = package
        self._kind = kind
        self._group = group
        self._asked = asked
        self._fits = fits
        self._attribute = attribute
        self._read = read

    @cached_property
    def shipped(self) -> tuple[str, ...]:
        """The names of the members that ship with datagen; none of them is imported."""
        if self._read:
            return tuple(sorted(path.stem for folder in _folders(self._package) for path in folder.glob("*.yaml")))
        return shipped_members(self._package)

    def names(self) -> tuple[str, ...]:
        """Return the names of all members, shipped ones and those of installed packages."""
        return (*self.shipped, *sorted({point.name for point in entry_points(group=self._group)} - {*self.shipped}))

    def find(self, name: str, field: str) -> Member:
        """Return the member that a name stands for.

        Args:
            name: as it stands in a recipe or policy.
            field: where it stands, for the message.

        Raises:
            RegistryError: there is no such member.
        """
        if name in self.shipped and self._read:
            return next(self._read(folder / f"{name}.yaml") for folder in _folders(self._package))
        if name in self.shipped:
            return self._shipped(import_module(f"{self._package}.{name}"), name, field)
        for point in entry_points(group=self._group):
            if point.name == name:
                return self._checked(self._imported(point.module, point.attr, name, field), name, field)
        module_name, colon, attribute = name.partition(":")
        if not colon:
            module_name, _, attribute = name.rpartition(".")
        if not _DOTTED.fullmatch(name):
            raise self._unknown(name, field, self.names())
        return self._checked(self._imported(module_name, attribute, name, field), name, field)

    def _unknown(self, name: str, field: str, known: Collection[str]) -> RegistryError:
        own = "by the path of its .yaml file" if self._read else f'"module:{self._attribute or "Class"}"'
        shown = name if len(name) <= 200 else f"{name[:200]}…"
        return RegistryError(
            f'{field}: "{shown}" is no {self._kind}; {nearest(name, known)}; a {self._kind} of your own is named {own}.'
        )

    def _shipped(self, module: ModuleType, name: str, field: str) -> Member:
        for key, value in vars(module).items():
            named = key == self._attribute if self._attribute else getattr(value, "__module__", "") == module.__name__
            if named and self._fits(value):
                found: Member = value
                return found
        raise RegistryError(
            f'{field}: "{name}" names a module of {self._package} without a {self._kind} in it; add {self._asked}.'
        )

    def _imported(self, module_name: str, attribute: str, name: str, field: str) -> object:
        """Return what stands at `module:attribute`; whatever its module raises is the fault of what was named."""
        try:
            module = import_module(module_name)
        except Exception as error:
            told = " ".join(str(error).split()) or "without a message"
            raise RegistryError(
                f'{field}: "{name}" cannot be loaded ({type(error).__name__}: {told}); put its module on the Python '
                "path, or correct it."
            ) from error
        try:
            return reduce(getattr, attribute.split("."), module)
        except AttributeError as error:
            raise RegistryError(
                f'{field}: "{name}" cannot be loaded ({module.__name__}, which is {_origin(module)}, has no '
                f"{attribute}); correct it, or rename a module of yours that is called like another one."
            ) from error

    def _checked(self, found: object, name: str, field: str) -> Member:
        if not self._fits(found):
            raise RegistryError(f'{field}: "{name}" is not a {self._kind}; name {self._asked}.')
        member: Member = found  # type: ignore[assignment]  # `fits` has just said so
        return member


def shipped_members(package: str) -> tuple[str, ...]:
    """Return the names of the modules of a package; neither it nor they are imported.

    >>> "refusal" in shipped_members("filters.rules")
    True
    """
    folders = map(str, _folders(package))
    return tuple(sorted(module.name for module in pkgutil.iter_modules(folders) if not module.ispkg))


def _folders(package: str) -> list[Path]:
    spec = find_spec(package)
    return [Path(folder) for folder in (spec.submodule_search_locations or ())] if spec else []


def _origin(module: ModuleType) -> str:
    return getattr(module, "__file__", None) or "no file"
