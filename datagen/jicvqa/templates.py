"""The requests that are put to models: Jinja2 templates in the folder `templates`."""

from importlib import resources

from prompts import Template


def load_template(name: str) -> Template:
    """Return one of the templates that ship with datagen."""
    folder = resources.files("datagen.jicvqa") / "templates"
    return Template(name, (folder / f"{name}.jinja").read_text(encoding="utf-8"))
