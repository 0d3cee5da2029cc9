"""What it takes to reach an endpoint: its base URL and its API key, checked where they enter."""

import os
import re
from collections.abc import Mapping
from functools import partial
from urllib.parse import urlsplit

from datagen.errors import DatagenError

_KEY = re.compile("[!-~]+")
_VARIABLE = re.compile("[A-Za-z_][A-Za-z0-9_]*")
_NAMED_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t -~]*")
_OWN_HEADERS = frozenset({"content-type", "content-length", "host", "transfer-encoding"})


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


def check_header(name: str, value: str) -> None:
    """Make sure that a header can be sent (RFC 9110, 5.1 and 5.5).

    Raises:
        ValueError: it cannot, or HTTP itself or a key of its own has it.
    """
    if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
        raise ValueError(f"'{name}' is no header that can be sent; names and values are printable ASCII on one line")
    if name.lower() in _OWN_HEADERS:
        raise ValueError(f"'{name}' is set by HTTP itself; leave it out")
    if name.lower() == "authorization" and not _NAMED_VARIABLE.search(value):
        raise ValueError(
            f"'{name}' would be written to the run; put the secret into an environment variable and write ${{NAME}}, "
            "or name the variable in api_key_env"
        )


def with_variables(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers with the values of the environment variables that they name.

    Raises:
        DatagenError: a variable is not set, or holds what no header can.
    """

    def value_of(header: str, found: re.Match[str]) -> str:
        value = os.environ.get(found[1])
        if value is None or not _HEADER_VALUE.fullmatch(value):
            told = "is not set" if value is None else "holds what no header can"
            raise DatagenError(
                f"The header {header} names the environment variable {found[1]}, which {told}; export it and run again."
            )
        return value

    return {name: _NAMED_VARIABLE.sub(partial(value_of, name), value) for name, value in headers.items()}
