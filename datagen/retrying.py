"""What clients of HTTP servers have to know about trying again."""

import time
from email.utils import parsedate_to_datetime

_LONGEST_SECONDS = 60.0


def retry_after_seconds(header: str | None) -> float | None:
    """Return the seconds that a Retry-After header asks for (RFC 9110, 10.2.3), at most 60.

    >>> retry_after_seconds("3"), retry_after_seconds("86400"), retry_after_seconds("soon")
    (3.0, 60.0, None)
    """
    if not header:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), _LONGEST_SECONDS)
    try:
        seconds = parsedate_to_datetime(text).timestamp() - time.time()
    except (ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), _LONGEST_SECONDS)
