"""When a run stops by itself: what goes wrong with every image is said once, and not written a million times.

A row that failed for its own sake is a result. Twelve rows in a row that all failed for one reason, and none that did
not, are a fault of the recipe, the server or the machine: the run stops, and those rows are as if they had never been.
Shares of failed and dropped rows (`stop_when`) stop a run likewise, and what it has made stays.
"""

import re
from collections import Counter
from collections.abc import Sequence

from datagen.errors import DatagenError
from datagen.failures import OF_THE_PICTURE
from datagen.progress import UNNEEDED, Progress
from datagen.recipe import StopWhen
from datagen.records import ErrorRecord, Row

_NUMBERS = re.compile(r"(?<!HTTP )\b\d+")
_REASON = 160
_SHOWN = 3
_MANY = 10


class StoppedRunError(DatagenError):
    """The run was stopped because too much of it went wrong.

    Attributes:
        undone: the reason of the failed rows that are to be made again, as `reason_of` has it; empty if none are.
    """

    exit_code = 1

    def __init__(self, message: str, undone: str = "") -> None:
        super().__init__(message)
        self.undone = undone


def reason_of(error: ErrorRecord) -> str:
    """Return why a row failed, alike for rows that differ in numbers alone.

    >>> reason_of(ErrorRecord(class_="http_error", message="HTTP 400: 2049 of 2048 tokens"))
    'http_error: HTTP 400: N of N tokens'
    """
    return f"{error.class_}: {_NUMBERS.sub('N', error.message)}"[:_REASON]


def failed_by(row: Row, reason: str) -> bool:
    """Whether a row failed for a reason."""
    return row.state == "failed" and row.error is not None and reason_of(row.error) == reason


def counts_alike(settings: StopWhen, made: int, left: int) -> bool:
    """Whether rows that fail alike can be nobody's fault but the run's: none was made before, or very many are left.

    The few that fail again and again at the end of a run are to end as failed.
    """
    return not made or left >= _MANY * settings.alike


def check_going(settings: StopWhen, workers: Sequence[Progress], *, alike: bool = True) -> None:
    """Make sure that a run may go on.

    Args:
        settings: when it may not.
        workers: what they have done since the start.
        alike: whether `settings.alike` counts, see `counts_alike`.

    Raises:
        StoppedRunError: it may not.
    """
    states = sum((worker.states for worker in workers), Counter[str]())
    reasons = sum((worker.reasons for worker in workers), Counter[str]())
    done = states.total() - states[UNNEEDED]
    if alike:
        _check_alike(settings.alike, states, reasons)
    for state, most in (("failed", settings.failed), ("dropped", settings.dropped)):
        if most is not None and done >= settings.after and states[state] > most * done:
            causes = reasons if state == "failed" else sum((worker.rules for worker in workers), Counter[str]())
            named = "; ".join(f"{count:,} × {cause}" for cause, count in causes.most_common(_SHOWN))
            raise StoppedRunError(
                f"Stopped: {states[state]:,} of {done:,} images ({states[state] / done:.0%}) were {state}, more than "
                f"stop_when.{state} allows ({most:g}): {named}. What is done is kept; mend the cause, or change "
                "stop_when, and run the same command."
            )


def _check_alike(most: int, states: Counter[str], reasons: Counter[str]) -> None:
    made = states.total() - states["failed"] - states[UNNEEDED]
    if not most or made or not reasons:
        return
    pictures = sum(count for reason, count in reasons.items() if reason.partition(":")[0] in OF_THE_PICTURE)
    reason, count = reasons.most_common(1)[0]
    if count >= most and count == states["failed"] - pictures:
        raise StoppedRunError(
            f"Stopped: the first {count:,} images that reached the model all failed for one reason ({reason}). None of "
            "them counts as failed: mend the cause and run the same command (stop_when.alike: 0 would go on).",
            undone=reason,
        )
