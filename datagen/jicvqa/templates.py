"""The requests that are put to models: Jinja2 templates in the folder `templates`, with a digest to record."""

import hashlib
from importlib import resources
from typing import NamedTuple

from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

_JINJA = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)


class Template(NamedTuple):
    """A template of one user message."""

    name: str
    source: str

    @property
    def digest(self) -> str:
        """The first 16 hex digits of the SHA-256 of the template."""
        return hashlib.sha256(self.source.encode()).hexdigest()[:16]

    def render(self, **variables: object) -> str:
        """Return the message, without white space around it."""
        return _JINJA.from_string(self.source).render(variables).strip()


def load_template(name: str) -> Template:
    """Return one of the templates that ship with datagen."""
    folder = resources.files("datagen.jicvqa") / "templates"
    return Template(name, (folder / f"{name}.jinja").read_text(encoding="utf-8"))
