"""What is wrong with a policy, said in one sentence."""

from collections.abc import Iterable
from difflib import get_close_matches


class PolicyError(ValueError):
    """A policy that cannot be used; the message names the field, the value, what is allowed, and what to do."""


def nearest(value: object, allowed: Iterable[str]) -> str:
    """Says which of the allowed names was probably meant, and which there are.

    >>> nearest("standart", ["light", "standard", "strict"])
    'did you mean "standard"? (allowed: light, standard, strict)'
    >>> nearest("x", ["drop", "flag"])
    'use one of: drop, flag'
    """
    names = sorted(allowed)
    close = get_close_matches(str(value), names, n=1)
    if close:
        return f'did you mean "{close[0]}"? (allowed: {", ".join(names)})'
    return f"use one of: {', '.join(names)}" if names else "leave it out"
