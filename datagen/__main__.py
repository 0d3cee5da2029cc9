"""`python -m datagen` is the same as `datagen`."""

import sys

if not sys.flags.safe_path:
    # The working directory, which `python -m` puts first: a `datasets.py` there would hide the library.
    sys.path.append(sys.path.pop(0))

from datagen.cli import main

main()
