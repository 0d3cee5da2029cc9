"""datagen makes Japanese visual-instruction data.

Ray workers caption images and write Japanese question-answer pairs with a VLM that vLLM serves, rules judge every
answer, and a policy cuts the result into Parquet shards. The command line is `datagen` (see `datagen.cli`); the
rules live in the package `filters`, the prompts in the package `prompts`.
"""

from importlib.metadata import version

__version__ = version("datagen")
