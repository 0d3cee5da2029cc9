"""A text for a model with variables in it: a sandboxed Jinja2 template, known by its digest."""

import hashlib
from functools import lru_cache
from typing import NamedTuple

import jinja2
from jinja2 import StrictUndefined, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

_JINJA = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)


class Template(NamedTuple):
    """A template of one user message.

    Attributes:
        name: of what it asks.
        source: the text.
    """

    name: str
    source: str

    @property
    def digest(self) -> str:
        """The first 16 hex digits of the SHA-256 of the text."""
        return hashlib.sha256(self.source.encode()).hexdigest()[:16]

    def variables(self) -> set[str]:
        """Return the names of the variables that it uses.

        >>> sorted(Template("caption", "{{ focus }}について、{{ turn }}文で。").variables())
        ['focus', 'turn']

        Raises:
            jinja2.TemplateError: it is no template.
        """
        return meta.find_undeclared_variables(_JINJA.parse(self.source))

    def render(self, **variables: object) -> str:
        """Return the message, without white space around it; whatever the template raises is raised."""
        return _compiled(self.source).render(variables).strip()


@lru_cache(maxsize=256)
def _compiled(text: str) -> jinja2.Template:
    """Return the template of a text; a prompt holds none itself, since templates cannot travel to other processes."""
    return _JINJA.from_string(text)
