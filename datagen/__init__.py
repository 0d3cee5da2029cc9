"""datagen makes Japanese visual-instruction data.

Ray workers caption images and write Japanese question-answer pairs with a VLM that vLLM serves, rules judge every
answer, and a policy cuts the result into Parquet shards. The command line is `datagen` (see `datagen.cli`); the
rules live in the package `filters`, the prompts in the package `prompts`.
"""

__version__: str


def __getattr__(name: str) -> str:
    # Asked for late: `python -m datagen` imports this before the working directory is out of the way (`__main__`).
    if name == "__version__":
        from importlib.metadata import version

        return version("datagen")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
