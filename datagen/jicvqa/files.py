"""Writing files so that a reader never sees half of one, and digests of what was written."""

import hashlib
import json
import os
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
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise DatagenError(
            f"{path} cannot be written: {error.strerror}. Choose another place, or free some space."
        ) from error


def json_text(document: Any) -> str:
    """Return readable JSON with Japanese as it is and a final newline."""
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def digest_of(data: bytes) -> str:
    """Return the SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()
