"""What it takes to reach an endpoint: its base URL and its API key, checked where they enter."""

import os
import re
from urllib.parse import urlsplit

from datagen.errors import DatagenError

_KEY = re.compile("[!-~]+")
_VARIABLE = re.compile("[A-Za-z_][A-Za-z0-9_]*")


NO_VARIABLE = (
    "takes the name of an environment variable that holds the API key (letters, digits and _), and never the key itself"
)


def is_variable(name: str) -> bool:
    """Whether a name can be that of an environment variable; an API key pasted in its place seldom can.

    >>> is_variable("OPENAI_API_KEY"), is_variable("sk-5d41402abc")
    (True, False)
    """
    return bool(_VARIABLE.fullmatch(name))


def base_url(text: str) -> str:
    """Return an endpoint's base URL without the slash at its end.

    A base URL is written to recipes and messages, so it may hold no secret; the errors show none either.

    >>> base_url("http://127.0.0.1:8000/v1/")
    'http://127.0.0.1:8000/v1'

    Raises:
        ValueError: the text is no base URL, or carries a password or a query.
    """
    form = "write it as http://host:port/v1"
    try:
        parts = urlsplit(text)
        web = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        web, parts = False, urlsplit("")
    if "@" in (parts.netloc if web else text):
        raise ValueError(
            f"the URL of an endpoint carries a user name or a password, which would be written to the run; {form}, and "
            "put the API key into the environment variable that api_key_env names"
        )
    if "?" in text or "#" in text:
        raise ValueError(f"the URL of an endpoint carries a query, which no base URL does; {form}")
    if not web or not text.isprintable() or " " in text:
        raise ValueError(f"{text!r} is no base URL; {form}")
    return text.rstrip("/")


def api_key(variable: str, named_by: str = "api_key_env") -> str:
    """Return the API key in an environment variable.

    Args:
        variable: the variable's name.
        named_by: the field or option that names it.

    Raises:
        DatagenError: the variable is not set, or holds what no HTTP header can carry.
    """
    if not is_variable(variable):
        raise DatagenError(f"{named_by} {NO_VARIABLE}.")
    key = os.environ.get(variable, "").strip()
    if not key:
        raise DatagenError(f"The environment variable {variable} ({named_by}) is not set; export the API key in it.")
    if not _KEY.fullmatch(key):
        raise DatagenError(
            f"The environment variable {variable} ({named_by}) holds more than an API key: a space, a line break or a "
            "character outside ASCII is in it. Export the key alone."
        )
    return key
