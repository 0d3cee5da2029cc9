"""From the name in a policy to the class of a rule.

A shipped rule is one class in one module of `filters.rules`, and the module has the rule's name: to add a rule is to
add a file. Rules of users are named `package.module:Class`, `package.module.Class`, or by an entry point of the group
`datagen.rules`.
"""

import pkgutil
from functools import cache, reduce
from importlib import import_module
from importlib.metadata import entry_points
from types import ModuleType

from filters.base import Rule
from filters.errors import PolicyError, nearest

ENTRY_POINTS = "datagen.rules"


@cache
def shipped_rules() -> tuple[str, ...]:
    """The names of the rules in `filters.rules`."""
    package = import_module("filters.rules")
    return tuple(sorted(module.name for module in pkgutil.iter_modules(package.__path__)))


def rule_class(reference: str, field: str = "rule") -> type[Rule]:
    """Finds the class that a name in a policy stands for.

    >>> rule_class("question_in_answer").__name__
    'QuestionInAnswer'

    Raises:
        PolicyError: There is no such rule.
    """
    if reference in shipped_rules():
        module = import_module(f"filters.rules.{reference}")
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, Rule) and value.__module__ == module.__name__:
                return value
        raise PolicyError(
            f'{field}: "{reference}" names a module of filters.rules without a rule in it; add the class.'
        )
    plugins = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    if point := plugins.get(reference):
        return _checked(_imported(f"{point.module}:{point.attr}", reference, field), reference, field)
    module_name, colon, class_name = reference.partition(":")
    if not colon:
        module_name, _, class_name = reference.rpartition(".")
    if not module_name or not class_name:
        raise PolicyError(
            f'{field}: "{reference}" is no rule; {nearest(reference, [*shipped_rules(), *plugins])}; '
            'a rule of your own is named "module:Class".'
        )
    return _checked(_imported(f"{module_name}:{class_name}", reference, field), reference, field)


def _imported(place: str, reference: str, field: str) -> object:
    """Returns what stands at `module:name`; whatever its module raises is the fault of what was named."""
    module_name, _, name = place.partition(":")
    try:
        module = import_module(module_name)
    except Exception as error:
        told = " ".join(str(error).split()) or "without a message"
        raise PolicyError(
            f'{field}: "{reference}" cannot be loaded ({type(error).__name__}: {told}); put its module on the Python '
            "path, or correct it."
        ) from error
    try:
        return reduce(getattr, name.split("."), module)
    except AttributeError as error:
        raise PolicyError(
            f'{field}: "{reference}" cannot be loaded ({module.__name__}, which is {_origin(module)}, has no {name}); '
            "correct it, or rename a module of yours that is called like another one."
        ) from error


def _origin(module: ModuleType) -> str:
    return getattr(module, "__file__", None) or "no file"


def _checked(found: object, reference: str, field: str) -> type[Rule]:
    if isinstance(found, type) and issubclass(found, Rule):
        return found
    raise PolicyError(f'{field}: "{reference}" is not a rule; name a class that extends filters.Rule.')
