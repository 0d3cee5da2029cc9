"""The recipes of `examples/recipes`, and what `datagen init` makes of one.

As they lie there they run on the tiny model, which is for trying them. A comment `# init: …` at the end of a line says
what stands in its place for a user's own pictures and models; nothing behind it takes the line out.
"""

import re
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from datagen.errors import DatagenError
from filters.errors import nearest

_CHECKOUT = Path(__file__).parents[1] / "examples" / "recipes"
_INSTALLED = "share/datagen/recipes/"
_INIT = re.compile(r"^(?P<indent> *)[^\n#]*# init:(?P<line>[^\n]*)\n", re.MULTILINE)


def shipped_recipes() -> dict[str, Path]:
    """Return the files of the recipes by their names.

    >>> sorted(shipped_recipes())[0]
    'ocr_dialogue'
    """
    return {path.stem: path for path in sorted(_paths())}


def _paths() -> list[Path]:
    if _CHECKOUT.is_dir():
        return list(_CHECKOUT.glob("*.yaml"))
    try:
        installed = files("datagen") or []
    except PackageNotFoundError:
        return []
    return [Path(str(file.locate())) for file in installed if _INSTALLED in file.as_posix() and file.suffix == ".yaml"]


def begun(name: str) -> str:
    """Return a recipe for a user's own pictures and models, with its comments.

    Raises:
        DatagenError: there is no such recipe.
    """
    recipes = shipped_recipes()
    if name not in recipes:
        raise DatagenError(f"'{name}' is no recipe; {nearest(name, recipes)}.")
    text = recipes[name].read_text(encoding="utf-8")
    return _INIT.sub(lambda match: f"{match['indent']}{match['line'].strip()}\n" if match["line"].strip() else "", text)


def purpose_of(path: Path) -> str:
    """Return the first two lines of a recipe's comment: what it is for, in Japanese and English."""
    lines = path.read_text(encoding="utf-8").splitlines()[:2]
    return "\n  ".join(line.removeprefix("# ") for line in lines)
