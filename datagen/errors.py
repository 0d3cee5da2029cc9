"""Errors that are meant for the person at the keyboard."""

import errno
import os

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_UNWRITABLE = _FULL | {errno.EROFS}
_REMEDIES = {
    **dict.fromkeys(_FULL, "Make room"),
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), "Allow more open files (ulimit -n)"),
    **dict.fromkeys((errno.EACCES, errno.EPERM), "Give yourself the right to it"),
    errno.ENAMETOOLONG: "Choose a shorter name",
}


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


def system_error(error: OSError, path: object = None) -> str:
    """Return what the operating system has against a file, and a remedy, which deletes nothing.

    Args:
        error: what was raised.
        path: the file, if the error does not name it.

    >>> system_error(OSError(errno.EMFILE, "Too many open files"), "parts/part-000007.tar")
    'parts/part-000007.tar cannot be used (Too many open files). Allow more open files (ulimit -n), then run the same command: what is done is kept.'
    """  # noqa: E501
    file = path if error.filename is None else os.fsdecode(error.filename)
    named = "A file or connection" if file is None else str(file).encode("utf-8", "backslashreplace").decode()
    reason = os.strerror(error.errno) if error.errno else (str(error).splitlines() or [type(error).__name__])[0]
    use = "written" if error.errno in _UNWRITABLE else "used"
    remedy = _REMEDIES.get(error.errno or 0, "Put that right")
    return f"{named} cannot be {use} ({reason}). {remedy}, then run the same command: what is done is kept."
