"""Reading a file that may be damaged: whose fault an error is.

Damage is what was read and makes no sense: a wrong checksum, a file that ends too early, bytes that are no Parquet.
Everything that has an error number is the machine's: its limits, its rights, its disks. pyarrow raises `OSError` for
both, and sets a number only for the second.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from datagen.errors import DatagenError, system_error
from datagen.files.plain_names import plain_names

_SENSELESS = (None, errno.EINVAL)
"""EINVAL: a damaged file led to an offset that no file has."""


@contextmanager
def reading(path: Path, remedy: str) -> Iterator[None]:
    """Turn what goes wrong while a file is read into a sentence.

    Args:
        path: the file.
        remedy: what to do when the file is damaged, and only then: a sentence.

    Raises:
        DatagenError: the file is damaged, or the machine could not read it.
    """
    try:
        yield
    except MemoryError as error:
        raise DatagenError(
            f"{path} needs more memory than there is. Free some, then run the same command: what is done is kept."
        ) from error
    except OSError as error:
        if error.errno not in _SENSELESS:
            raise DatagenError(system_error(error, path)) from error
        raise _damaged(path, error, remedy) from error
    except (ValueError, pa.ArrowException) as error:  # pydantic's, orjson's and Arrow's errors of content are these
        raise _damaged(path, error, remedy) from error


@contextmanager
def open_parquet(path: Path, remedy: str, *, checksums: bool = False) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file of any name, and turn what goes wrong in the context into a sentence, as `reading` does.

    pyarrow takes `~` and `s3:` at the beginning of a relative path for more than a name, and opens none that the
    locale cannot say in UTF-8.
    """
    with (
        reading(path, remedy),
        plain_names(path) as (name,),
        pq.ParquetFile(name, page_checksum_verification=checksums) as file,
    ):
        yield file


def _damaged(path: Path, error: Exception, remedy: str) -> DatagenError:
    try:
        with path.open("rb") as file:
            while file.read(1 << 20):
                pass
    except OSError as fault:  # what cannot be read through is not known to be damaged
        return DatagenError(system_error(fault, path))
    reason = " ".join(str(error).split())[:200]
    return DatagenError(f"{path} is damaged ({reason}). {remedy}" if reason else f"{path} is damaged. {remedy}")
