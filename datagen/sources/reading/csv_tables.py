"""What has to be known of a CSV before it is read, and said of one that cannot be."""

from collections import Counter
from pathlib import Path
from typing import Any

_CANDIDATES = ",\t;|"


def csv_options(path: Path) -> dict[str, Any]:
    """Return how DuckDB is to read a CSV or TSV: by the delimiter of its header, no line of it passed over.

    Left to itself DuckDB looks for a header that the rows agree with, and passes over one that they do not.

    Raises:
        OSError: the file cannot be read.
    """
    delimiter = "\t" if path.suffix.lower() == ".tsv" else _delimiter_of(path)
    return {"sep": delimiter, "skiprows": 0, "quotechar": '"', "escapechar": '"'}


def csv_reason(path: Path, reason: str) -> str:
    """Return a clause on why a CSV cannot be read, given what DuckDB says of it."""
    if "unicode" in reason:
        if _is_shift_jis(path):
            return f"it is in Shift_JIS; write it in UTF-8: iconv -f CP932 -t UTF-8 {path.name}"
        return "it is not in UTF-8"
    if "dialect" in reason or "expected number of columns" in reason.lower():
        return "a row has more or fewer fields than the header has columns; quote fields that hold commas"
    return reason.splitlines()[0]


def _delimiter_of(path: Path) -> str:
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        outside = "".join(file.readline(1 << 16).split('"')[::2])
    counts = Counter(character for character in outside if character in _CANDIDATES)
    return max(_CANDIDATES, key=lambda candidate: counts[candidate])


def _is_shift_jis(path: Path) -> bool:
    try:
        with path.open(encoding="cp932") as file:
            return any(not line.isascii() for line in file)
    except (OSError, UnicodeDecodeError):
        return False
