"""Where two documents differ, by name: for refusals that say what was changed."""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson


def differences(found: Any, wanted: Any, path: str = "") -> Iterator[str]:
    """Name the paths at which two documents of plain data differ, with both values."""
    if isinstance(found, Mapping) and isinstance(wanted, Mapping):
        for key in sorted(found.keys() | wanted.keys()):
            yield from differences(found.get(key), wanted.get(key), f"{path}.{key}".lstrip("."))
    elif isinstance(found, list) and isinstance(wanted, list) and len(found) == len(wanted):
        for number, pair in enumerate(zip(found, wanted, strict=True)):
            yield from differences(*pair, f"{path}.{number}")
    elif found != wanted:
        yield f"{path} was {_shown(found)}, now {_shown(wanted)}"


def _shown(value: Any) -> str:
    return orjson.dumps(value).decode()[:120]
