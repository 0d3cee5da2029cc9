"""Checking the settings of a rule against the signature of its constructor."""

import inspect
from functools import cache
from typing import Annotated, Any, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from filters.base import Rule
from filters.errors import PolicyError, nearest

Count = Annotated[int, Field(ge=0)]
"""A setting that counts something."""
Share = Annotated[float, Field(ge=0, le=1)]
"""A setting between nothing and all."""


@cache
def settings_model(rule: type[Rule]) -> type[BaseModel]:
    """Makes the pydantic model of a rule's settings from its constructor."""
    hints = get_type_hints(rule.__init__, include_extras=True)
    fields: dict[str, Any] = {
        name: (hints.get(name, Any), ... if parameter.default is parameter.empty else parameter.default)
        for name, parameter in inspect.signature(rule).parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }
    model: type[BaseModel] = create_model(
        rule.__name__ + "Settings", __config__=ConfigDict(extra="forbid", strict=True), **fields
    )
    return model


def check_settings(rule: type[Rule], settings: dict[str, Any], field: str) -> dict[str, Any]:
    """Fills in the defaults of a rule's settings.

    Raises:
        PolicyError: A setting is unknown, missing, or of the wrong kind.
    """
    model = settings_model(rule)
    try:
        return model.model_validate(settings).model_dump(mode="json")
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else ""
        where = f"{field}.{'.'.join(map(str, first['loc']))}"
        if first["type"] == "extra_forbidden":
            message = f"{where}: {rule.name} has no such setting; {nearest(name, model.model_fields)}."
        elif first["type"] == "missing":
            message = f"{where}: {rule.name} needs this setting; add it."
        else:
            told = first["msg"][0].lower() + first["msg"][1:]
            default = model.model_fields[name].default if name in model.model_fields else None
            message = f"{where}: {first['input']!r} does not fit, {told}; correct it or leave it out for {default!r}."
        raise PolicyError(message) from error
