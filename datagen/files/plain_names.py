"""Names of files in which no reader finds a pattern.

DuckDB expands `*`, `?` and `[...]` in every path that it is given, also where a file has just that name, so that it
reads the run `exp2` when it is asked for `exp[2]`; it takes a folder `state=kept` for a column, `~` for the home and a
backslash for a separator. So it gets no path of a user: it gets the number of the open folder instead.
"""

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from datagen.errors import DatagenError, system_error

_OPEN = "/proc/self/fd"
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\Z", re.ASCII)
_MEANT = re.compile(r"[A-Za-z0-9_./ -]*\Z", re.ASCII)


@contextmanager
def plain_names(*files: Path) -> Iterator[list[str]]:
    """Yield for each file a name that is good for this process, and for as long as the context lasts.

    A file need not exist if its own name is plain (letters, digits, `_`, `.`, `-`); its folder must. One descriptor is
    held for each folder, and one for each file whose own name is not plain.

    Raises:
        DatagenError: a folder or file cannot be opened, or this system (no Linux) has no such names.
    """
    if not os.path.isdir(_OPEN):  # noqa: PTH112
        yield [_as_it_is(file) for file in files]
        return
    with ExitStack() as stack:
        opened: dict[Path, str] = {}

        def name_of(path: Path) -> str:
            if path not in opened:
                try:
                    number = os.open(path, os.O_RDONLY)
                except OSError as error:
                    raise DatagenError(system_error(error)) from error
                stack.callback(os.close, number)
                opened[path] = f"{_OPEN}/{number}"
            return opened[path]

        yield [f"{name_of(file.parent)}/{file.name}" if _PLAIN.match(file.name) else name_of(file) for file in files]


def _as_it_is(file: Path) -> str:
    path = str(file.absolute())
    if not _MEANT.match(path):
        raise DatagenError(
            f"{path} has characters that DuckDB takes for a pattern; give it a name of a-z, 0-9, _, - and ."
        )
    return path
