"""A process that dies within a function: what follows the call is not done, and nothing is tidied up."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest


class Killed(BaseException):
    """What no code catches."""


@contextmanager
def killed_after(calls: int, owners: Sequence[Any], *names: str) -> Iterator[None]:
    """Let functions of classes or modules work for so many calls in all, and raise `Killed` at the next."""
    left = calls

    def dying(real: Any) -> Any:
        def dies(*arguments: Any, **keywords: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed
            return real(*arguments, **keywords)

        return dies

    with pytest.MonkeyPatch.context() as patched:
        for owner in owners:
            for name in names:
                patched.setattr(owner, name, dying(getattr(owner, name)))
        yield
