"""Errors that are meant for the person at the keyboard."""

from collections.abc import Iterable
from difflib import get_close_matches


class DatagenError(Exception):
    """Something that the user can mend; the message is a sentence that says what to do.

    The command line prints the message alone and exits with `exit_code`. Everything else that escapes is a defect of
    datagen.
    """

    exit_code = 2


class AccountingError(DatagenError):
    """The inputs are not the sum of what was kept, dropped and failed."""

    exit_code = 1


class NothingMadeError(DatagenError):
    """Every input failed; all of them are accounted for, and nothing can be trained on."""

    exit_code = 1


class InterruptedRunError(DatagenError):
    """The user stopped the run."""

    exit_code = 130


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a clause that names what is allowed, with the nearest valid name first when one is close.

    >>> nearest("polcy", ["policy", "source"])
    "did you mean 'policy'? (known: policy, source)"
    >>> nearest("x", ["policy", "source"])
    'known: policy, source'
    """
    names = sorted(known)
    listed = f"known: {', '.join(names)}"
    close = get_close_matches(name, names, n=1)
    return f"did you mean '{close[0]}'? ({listed})" if close else listed
