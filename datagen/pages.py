"""Pages that need no network: one HTML file with its style, its script and its pictures in it.

Everything shown is escaped by Jinja2, and a content security policy lets nothing run or load but the page's own script
and style, which it names by their digests.
"""

import base64
import hashlib
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from datagen.console import shown
from datagen.errors import DatagenError
from datagen.files.writing import write_text
from datagen.version import VERSION

_FOLDER = "templates"


class Pages:
    """The pages of one package.

    Args:
        package: in whose folder `templates` they are.
        style: the file of their style.
        known: what every template knows.
    """

    def __init__(self, package: str, style: str, **known: Any) -> None:
        self._package = package
        self._style = style
        self._known = known

    def render(self, template: str, code: tuple[str, ...] = (), **context: Any) -> str:
        """Return a page.

        Args:
            template: its name in the folder of templates.
            code: the files of its script, in order.
            context: what the template shows.
        """
        style = self._text(self._style)
        script = "\n".join(map(self._text, code))
        scripts = _digest(script) if code else "'none'"
        policy = (
            f"default-src 'none'; img-src data:; style-src {_digest(style)}; script-src {scripts}; "
            "base-uri 'none'; form-action 'none'"
        )
        return self._environment.get_template(template).render(
            style=Markup(style),  # noqa: S704 (our own file)
            script=Markup(script),  # noqa: S704
            content_security_policy=policy,
            version=VERSION,
            **context,
        )

    @cached_property
    def _environment(self) -> Environment:
        environment = Environment(
            loader=PackageLoader(self._package, _FOLDER),
            autoescape=True,
            finalize=_legible,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.globals |= self._known
        environment.filters |= {"count": _count, "percent": _percent, "number": _number, "zip": zip}
        return environment

    def _text(self, name: str) -> str:
        return resources.files(self._package).joinpath(_FOLDER, name).read_text(encoding="utf-8")


def write_page(path: Path, text: str) -> None:
    """Write a page, making its folder if need be.

    Raises:
        DatagenError: it cannot be written.
    """
    if not path.name:
        raise DatagenError(f"{path} is a folder; give the file that the page is to be written to.")
    try:
        write_text(path, text)
    except OSError as error:
        raise DatagenError(f"{path} cannot be written: {error.strerror}; give another file.") from error


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _legible(value: Any) -> Any:
    """Write out what would turn a line around or is not to be seen, in all that a template shows but finished HTML."""
    return shown(value) if type(value) is str else value


def _count(value: int) -> str:
    return f"{value:,}"


def _percent(share: float, digits: int = 1) -> str:
    return f"{share:.{digits}%}"


def _number(value: float) -> str:
    return f"{value:,.10g}"
