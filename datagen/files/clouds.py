"""Files that lie in a cloud: s3://, gs://, hf:// and whatever else fsspec knows, by their URLs."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

from datagen.errors import DatagenError

_CLOUD = re.compile(r"(?!https?:|file:)[A-Za-z][A-Za-z0-9+.-]*://")
_LIBRARIES = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs"}
_BLOCK_BYTES = 1 << 20


def is_cloud(path: object) -> bool:
    """Whether a path is the URL of a file in a cloud, and neither on a disk nor a page of the web.

    >>> is_cloud("s3://bucket/a.parquet"), is_cloud("/data/a.parquet"), is_cloud("https://pictures.example/a.jpg")
    (True, False, False)
    """
    return _CLOUD.match(str(path)) is not None


@contextmanager
def said_of(url: str) -> Iterator[None]:
    """Turn what a cloud's client raises into a sentence.

    Raises:
        DatagenError: the library for the URL is not installed, or the cloud refuses.
    """
    scheme = url.partition("://")[0].lower()
    try:
        yield
    except DatagenError:
        raise
    except ImportError as error:
        extra = _LIBRARIES.get(scheme)
        remedy = f"pip install 'datagen[{extra}]'" if extra else "install the fsspec library for it"
        raise DatagenError(f"{url}: {scheme}:// needs a library that is not installed ({error}); {remedy}.") from error
    except FileNotFoundError as error:
        raise DatagenError(f"There is nothing at {url}.") from error
    except Exception as error:  # clients of clouds raise many kinds
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise DatagenError(f"{url} cannot be used ({reason}); see to the address and the rights to it.") from error


def filesystem(url: str) -> tuple[Any, str]:
    """Return the file system of a URL, and the path in it.

    Raises:
        DatagenError: see `said_of`.
    """
    import fsspec

    with said_of(url):
        system, path = fsspec.core.url_to_fs(url)
        return system, str(path)


def files_in(url: str) -> list[str]:
    """Return the URLs of all files at or below a URL, in the order of their names; that itself, if it is a file.

    Raises:
        DatagenError: there is nothing, see `said_of`.
    """
    system, path = filesystem(url)
    with said_of(url):
        found = [path] if system.isfile(path) else sorted(system.find(path))
        if not found:
            raise FileNotFoundError(url)
        return [str(system.unstrip_protocol(name)) for name in found]


def open_in_cloud(url: str) -> BinaryIO:
    """Open a file for reading, in blocks of 1 MiB as they are asked for.

    Raises:
        DatagenError: see `said_of`.
    """
    system, path = filesystem(url)
    with said_of(url):
        return cast("BinaryIO", system.open(path, "rb", block_size=_BLOCK_BYTES))
