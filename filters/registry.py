"""From the name in a policy to the class of a rule.

A shipped rule is one class in one module of `filters.rules`, and the module has the rule's name: to add a rule is to
add a file. Rules of users are named `package.module:Class`, `package.module.Class`, or by an entry point of the group
`datagen.rules`.
"""

import pkgutil
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points

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
    if reference in plugins:
        return _checked(plugins[reference].load(), reference, field)
    module_name, colon, class_name = reference.partition(":")
    if not colon:
        module_name, _, class_name = reference.rpartition(".")
    if not module_name or not class_name:
        raise PolicyError(
            f'{field}: "{reference}" is no rule; {nearest(reference, [*shipped_rules(), *plugins])}; '
            'a rule of your own is named "module:Class".'
        )
    try:
        found = getattr(import_module(module_name), class_name)
    except (ImportError, AttributeError) as error:
        raise PolicyError(
            f'{field}: "{reference}" cannot be loaded ({error}); put its module on the Python path, or correct it.'
        ) from error
    return _checked(found, reference, field)


def _checked(found: object, reference: str, field: str) -> type[Rule]:
    if isinstance(found, type) and issubclass(found, Rule):
        return found
    raise PolicyError(f'{field}: "{reference}" is not a rule; name a class that extends filters.Rule.')
