"""What is wrong with a policy, a prompt or a recipe, said in one sentence."""

from collections.abc import Iterable
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

_LONGEST = 200
"""Characters of a value that are shown."""


class PolicyError(ValueError):
    """A policy that cannot be used; the message names the field, the value, what is allowed, and what to do."""


def nearest(value: object, known: Iterable[str]) -> str:
    """Returns a clause that says which of the known names was probably meant, and which there are.

    >>> nearest("standart", ["light", "standard", "strict"])
    "did you mean 'standard'? (known: light, standard, strict)"
    >>> nearest("x", ["drop", "flag"])
    'known: drop, flag'
    """
    names = sorted(known)
    if not names:
        return "there is none"
    listed = f"known: {', '.join(names)}"
    close = get_close_matches(str(value), names, n=1)
    return f"did you mean '{close[0]}'? ({listed})" if close else listed


def sentence(error: ValidationError, model: type[BaseModel]) -> str:
    """Returns the first fault that pydantic has found: the field, the value, what is allowed and what to do.

    Args:
        error: as it was raised.
        model: that refused the document.

    >>> class Limits(BaseModel, extra="forbid"):
    ...     rows: int
    >>> def fault_of(document):
    ...     try:
    ...         Limits.model_validate(document)
    ...     except ValidationError as error:
    ...         return sentence(error, Limits)
    >>> fault_of({"rows": "many"})
    "rows is 'many', but input should be a valid integer, unable to parse string as an integer."
    >>> fault_of({"row": 3})
    "there is no field 'row': did you mean 'rows'? (known: rows)."
    >>> fault_of({})
    'the field rows is missing; add it.'

    The fields of a section that may be left out are known too.

    >>> class Shards(BaseModel, extra="forbid"):
    ...     limits: Limits | None = None
    >>> try:
    ...     Shards.model_validate({"limits": {"row": 3}})
    ... except ValidationError as error:
    ...     print(sentence(error, Shards))
    there is no field 'row' in limits: did you mean 'rows'? (known: rows).
    """
    # A misspelt field is reported before the one that is missing because of it.
    fault = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
    field = ".".join(map(str, fault["loc"]))
    if fault["type"] == "extra_forbidden":
        *parents, name = map(str, fault["loc"])
        where = f" in {'.'.join(parents)}" if parents else ""
        return f"there is no field '{name}'{where}: {nearest(name, _fields_at(model, fault['loc'][:-1]))}."
    if fault["type"] == "missing":
        return f"the field {field} is missing; add it."
    message = fault["msg"].removeprefix("Value error, ").rstrip(".")
    if not field:
        return f"{message}."
    return f"{_shown(field, fault['input'])}{message[:1].lower()}{message[1:]}."


def _shown(field: str, value: object) -> str:
    text = "empty" if value is None else repr(value)
    secret = "@" in text or ("://" in text and ("?" in text or "#" in text))  # a URL may hold a password or a key
    if secret or (isinstance(value, BaseModel | dict) and value):
        return f"{field}: "
    return f"{field} is {text if len(text) <= _LONGEST else f'{text[:_LONGEST]}…'}, but "


def _fields_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Returns the names that are allowed at a location in a document of the model."""
    found: Any = model
    for part in location:
        found = _inner(found, part)
    models = [each for each in (found, *get_args(found)) if _is_model(each)]
    return [field.alias or name for each in models for name, field in each.model_fields.items()]


def _inner(annotation: Any, part: int | str) -> Any:
    if _is_model(annotation):
        fields = annotation.model_fields
        return next((field.annotation for name, field in fields.items() if part in (name, field.alias)), None)
    arguments = get_args(annotation)
    if get_origin(annotation) in (Annotated, Union, UnionType):
        return next((found for each in arguments if (found := _inner(each, part)) is not None), None)
    return arguments[-1 if isinstance(part, str) else 0] if arguments else None


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
