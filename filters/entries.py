"""The entries of a policy: a rule with its settings, or a score with its bounds."""

import math
from collections.abc import Mapping, Sequence
from inspect import isabstract
from typing import Any

from filters.base import Rule
from filters.errors import PolicyError, nearest
from filters.registry import Registry, RegistryError
from filters.repairs import REPAIRS, RepairAction
from filters.scores import ScoreBound
from filters.settings import check_settings

_ACTIONS = ("drop", "flag")
"""What findings do besides the repairs of `filters.repairs`."""
_RULE_FIELDS = ("rule", "action", "settings")
_SCORE_FIELDS = ("score", "at_least", "at_most", "action", "name")

RULES: Registry[type[Rule]] = Registry(
    "filters.rules",
    kind="rule",
    group="datagen.rules",
    asked="a class that extends filters.Rule",
    fits=lambda found: isinstance(found, type) and issubclass(found, Rule) and not isabstract(found),
)


def rule_class(name: str, field: str = "rule") -> type[Rule]:
    """Finds the class that a name in a policy stands for.

    >>> rule_class("question_in_answer").__name__
    'QuestionInAnswer'

    Raises:
        PolicyError: There is no such rule.
    """
    try:
        return RULES.find(name, field)
    except RegistryError as error:
        raise PolicyError(str(error)) from error


def repair_actions(action: str | Sequence[str], field: str = "action") -> tuple[tuple[str, RepairAction], ...]:
    """Finds what repairs by an action's name, or by several; nothing for `drop` and `flag`.

    >>> [name for name, _ in repair_actions("trim")], repair_actions("drop")
    (['trim'], ())

    Raises:
        PolicyError: There is no such action.
    """
    names = [action] if isinstance(action, str) else action
    try:
        return tuple((name, REPAIRS.find(name, field)()) for name in names if name not in _ACTIONS)
    except RegistryError as error:
        raise PolicyError(str(error)) from error


def shown_action(action: str | Sequence[str]) -> str:
    """The action of an entry as text.

    >>> shown_action("drop"), shown_action(["trim", "drop_turn"])
    ('drop', 'trim, drop_turn')
    """
    return action if isinstance(action, str) else ", ".join(action)


def entry_name(entry: Mapping[str, Any]) -> str:
    """The name of an entry's findings, as far as the entry itself says it: a rule of a user's own has its class's.

    >>> entry_name({"rule": "refusal"}), entry_name({"score": "sharpness", "at_least": 20})
    ('refusal', 'sharpness')
    """
    return str(entry.get("name") or entry.get("score") or entry.get("rule"))


def checked_entry(entry: object, where: str) -> dict[str, Any]:
    """Returns an entry with its defaults filled in.

    Raises:
        PolicyError: Something in it is wrong.
    """
    if isinstance(entry, str):
        entry = {"rule": entry}
    if isinstance(entry, Mapping) and "score" in entry and "rule" not in entry:
        return _score_entry(entry, where)
    if not isinstance(entry, Mapping) or not isinstance(entry.get("rule"), str):
        raise PolicyError(
            f'{where}: {entry!r} names no rule; write {{rule: name}}, such as "rule: question_in_answer", or '
            "{score: name, at_least: value}."
        )
    refuse_unknown(entry, _RULE_FIELDS, where)
    settings = entry.get("settings") or {}
    if not isinstance(settings, Mapping) or not all(isinstance(key, str) for key in settings):
        raise PolicyError(f"{where}.settings: {settings!r} is no mapping; write setting: value.")
    found = rule_class(entry["rule"], f"{where}.rule")
    return {
        "rule": entry["rule"],
        "action": _action(entry, where),
        "settings": check_settings(found, dict(settings), f"{where}.settings"),
    }


def rule_of(entry: Mapping[str, Any], where: str) -> Rule:
    """Makes the rule of a checked entry.

    Raises:
        PolicyError: The rule refuses its settings.
    """
    if "score" in entry:
        return ScoreBound(entry["score"], entry.get("at_least"), entry.get("at_most"), entry.get("name"))
    try:
        return rule_class(entry["rule"])(**entry["settings"])
    except PolicyError:
        raise
    except (ValueError, OSError) as error:
        raise PolicyError(f"{where}.settings: {entry['rule']} refuses them: {error}.") from error


def refuse_unknown(content: Mapping[Any, Any], allowed: tuple[str, ...], where: str) -> None:
    """Makes sure that a mapping has no other fields.

    Raises:
        PolicyError: It has.
    """
    for key in content:
        if key not in allowed:
            raise PolicyError(f'{where}: "{key}" is no field here; {nearest(key, allowed)}.')


def _score_entry(entry: Mapping[Any, Any], where: str) -> dict[str, Any]:
    refuse_unknown(entry, _SCORE_FIELDS, where)
    for field in ("score", "name"):
        if field in entry and (not isinstance(entry[field], str) or not entry[field]):
            raise PolicyError(f"{where}.{field}: {entry[field]!r} is no name; write a text.")
    bounds = {field: _bound(entry[field], f"{where}.{field}") for field in ("at_least", "at_most") if field in entry}
    if not bounds:
        raise PolicyError(f"{where}: the score {entry['score']} has no bound; add at_least, at_most, or both.")
    if bounds.get("at_least", -math.inf) > bounds.get("at_most", math.inf):
        raise PolicyError(f"{where}: no value is at least {bounds['at_least']:g} and at most {bounds['at_most']:g}.")
    name = entry.get("name", entry["score"])
    if name in RULES.shipped:
        raise PolicyError(f'{where}: "{name}" is the name of a rule; give the bound another one with name.')
    named = {"name": name} if name != entry["score"] else {}
    return {"score": entry["score"], **bounds, **named, "action": _action(entry, where)}


def _bound(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise PolicyError(f"{where}: {value!r} is no number; write one, such as 40 or 0.6.")
    return float(value)


def _action(entry: Mapping[Any, Any], where: str) -> str | list[str]:
    action = entry.get("action", "drop")
    if isinstance(action, str) and action in _ACTIONS:
        return action
    names = action if isinstance(action, list) and action else [action]
    for name in names:
        if not isinstance(name, str) or (name not in REPAIRS.names() and ":" not in name):
            known = (*_ACTIONS, *REPAIRS.names())
            raise PolicyError(f'{where}.action: "{name}" is no action; {nearest(name, known)}.')
    repair_actions(names, f"{where}.action")
    return names if len(names) > 1 else str(names[0])
