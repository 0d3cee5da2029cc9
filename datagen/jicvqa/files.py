"""Writing files so that a reader never sees half of one, and digests of what was written."""

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from datagen.errors import DatagenError


def write_text(path: Path, text: str) -> None:
    """Write a file under a temporary name and rename it into place.

    Raises:
        DatagenError: the folder cannot be written to.
    """
    write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file under a temporary name and rename it into place.

    Raises:
        DatagenError: the folder cannot be written to.
    """
    temporary = path.parent / f".{path.name}.{os.getpid()}.partial"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise DatagenError(
            f"{path} cannot be written: {error.strerror}. Choose another place, or free some space."
        ) from error


def beside(folder: Path, ending: str) -> Path:
    """Return the path next to a folder, `build` giving `build-audit`, also for `.` and `..`."""
    path = Path(os.path.abspath(folder))  # noqa: PTH100 (resolve() would follow a link to elsewhere)
    return folder.parent / f"{path.name}{ending}" if folder.name not in ("", "..") else Path(f"{path}{ending}")


def json_text(document: Any) -> str:
    """Return readable JSON with Japanese as it is and a final newline."""
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def digest_of(data: bytes) -> str:
    """Return the SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()
