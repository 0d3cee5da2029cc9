"""What is measured of a picture before the first call: one module a check, with a function `check`.

A check measures and decides nothing: the policy does, by a bound on the score of the check's name. A row that it drops
makes no call. A new check is one new file here, or a function anywhere that a recipe names as `package.module:check`,
or an entry point of the group `datagen.checks`.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from datagen.errors import DatagenError
from datagen.failures import Failure
from datagen.pictures.picture import Picture
from datagen.records import ScoreRecord
from filters.registry import Registry


class Measurement(NamedTuple):
    """What a check may return where a number alone says too little.

    Attributes:
        value: the number.
        reason: in words, or what was found.
    """

    value: float
    reason: str


Check: TypeAlias = Callable[[Picture], float | Measurement]
"""Returns one number for a picture, the same on every machine."""
_LONGEST = 1000

CHECKS: Registry[Check] = Registry(
    "datagen.stages.checks",
    kind="check",
    group="datagen.checks",
    asked="a function that takes a picture and returns a number",
    fits=callable,
    attribute="check",
)


def measured(checks: Sequence[tuple[str, Check]], pictures: Sequence[Picture]) -> list[ScoreRecord]:
    """Return a score of every check for every picture.

    Args:
        checks: with their names, which the scores have.
        pictures: of one row. Where there are several, the reason of a score says which one it is of.

    Raises:
        Failure: `check_error`, when a check raised.
    """
    scores = []
    for name, check in checks:
        for number, picture in enumerate(pictures, start=1):
            try:
                found = check(picture)
                value, said = found if isinstance(found, Measurement) else (float(found), "")
            except DatagenError:  # what it needs is not installed, which is no fault of the picture
                raise
            except Exception as error:  # a check of a user's own may raise anything
                raise Failure("check_error", f"the check {name} raised {type(error).__name__}: {error}") from error
            which = f"picture {number} of {len(pictures)}" if len(pictures) > 1 else ""
            reason = ": ".join(filter(None, (which, said)))[:_LONGEST]
            scores.append(ScoreRecord(name=name, value=value, reason=reason))
    return scores
