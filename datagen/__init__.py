"""datagen makes Japanese visual-instruction data.

Workers caption images and write Japanese question-answer pairs with a VLM that vLLM serves, rules judge every answer,
and a policy cuts the result into Parquet shards. The command line is `datagen` (see `datagen.cli`), the functions below
are the same in Python (see `datagen.api`); the rules live in the package `filters`, the prompts in `prompts`.

>>> import datagen
>>> rows = [{"question": "何が見えますか？", "answer": "赤い屋根です。ほかに何が見えますか？"}]
>>> [row["state"] for row in datagen.filter_conversations(rows)]
['dropped']
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datagen.api import Run, filter_conversations, load_policy, load_recipe, open_run, preview, run

__all__ = ["Run", "filter_conversations", "load_policy", "load_recipe", "open_run", "preview", "run"]
__version__: str


def __getattr__(name: str) -> Any:
    # Late: `import datagen` is light, and `python -m datagen` imports this before the working directory is out of the
    # way (`__main__`).
    if name == "__version__":
        from datagen.version import VERSION

        return VERSION
    if name in __all__:
        from datagen import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
