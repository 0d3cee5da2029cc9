"""Which datagen this is."""

from importlib.metadata import version

VERSION = version("datagen")
"""As the installed package says it; recorded in manifests, pages and benchmark builds."""
