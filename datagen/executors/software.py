"""The software that decides the rows: what the driver and every worker must have alike."""

import hashlib
import socket
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from datagen.differences import differences
from datagen.errors import DatagenError
from datagen.version import VERSION

_PACKAGES = ("fugashi", "unidic-lite", "lingua-language-detector", "jinja2", "pillow", "numpy", "pyarrow")
_CODE = (".py", ".txt")


@cache
def software() -> dict[str, str]:
    """Return the versions of what makes, reads and judges answers and pictures, and a digest of this very code."""
    found = {"datagen": f"{VERSION} ({_code_digest()})"}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "none"
    return found


def check_software(expected: dict[str, str]) -> None:
    """Make sure that this machine has the software of the one that gave the work.

    Raises:
        DatagenError: something is another version here; the message names the machine and what differs.
    """
    if changes := list(differences(expected, software())):
        raise DatagenError(
            f"{socket.gethostname()} has other software than the machine that started the work: {'; '.join(changes)}. "
            "Install the same on every machine, then run the same command: what is done is kept."
        )


def _code_digest() -> str:
    """Return the first 12 hex digits of the SHA-256 of the code; prompts and policies travel with the job."""
    digest = hashlib.sha256()
    for package in ("datagen", "filters", "prompts"):
        spec = find_spec(package)
        assert spec is not None
        folder = Path(str(spec.origin)).parent
        for path in sorted(path for path in folder.rglob("*") if path.suffix in _CODE):
            digest.update(f"{package}/{path.relative_to(folder).as_posix()}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
