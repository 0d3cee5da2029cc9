"""`python -m datagen` is the same as `datagen`."""

from datagen.cli import main

main()
