"""Faults that were found: which, where, and in what shape of data."""

from typing import NamedTuple


class Found(NamedTuple):
    """One fault at one place.

    Attributes:
        fault: its name in `faults.FAULTS`.
        shape: of the data, as `faults.READERS` has them.
        where: file and row, as a person finds them.
        detail: what stands there, or empty.
    """

    fault: str
    shape: str
    where: str
    detail: str = ""
