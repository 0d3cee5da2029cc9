"""What repairs and second tries have saved: rows that are kept and would have been dropped without them."""

from dataclasses import dataclass

from datagen.inspection.stored_rows import StoredRows
from datagen.records import ASKED_AGAIN

RETRY = "retry"
_REPAIRED = """
SELECT repair.action, repair.rule, count(DISTINCT row), count(*), sum(length(repair.text))
FROM (SELECT row, unnest(repairs) AS repair FROM stored WHERE len(repairs) > 0) GROUP BY ALL
"""
_RETRIED = """
SELECT split_part(score.reason, ':', 1), count(DISTINCT row) FILTER (WHERE state = 'kept'), count(DISTINCT row),
    count(*)
FROM (SELECT row, state, unnest(scores) AS score FROM stored WHERE len(scores) > 0)
WHERE score.name = $name GROUP BY ALL
"""
_STANDING = "SELECT rule, count(DISTINCT row) FROM found WHERE state = 'dropped' GROUP BY rule"


@dataclass(frozen=True)
class Saved:
    """What one action has saved of the rows that one rule objected to.

    Attributes:
        action: trim, drop_turn, or retry: an answer that was asked for again.
        rule: that had objected.
        saved: rows that are kept by it.
        tried: rows that it could have saved.
        times: stretches that were taken out, or answers that were asked for again.
        characters: that were taken out.
    """

    action: str
    rule: str
    saved: int
    tried: int
    times: int
    characters: int


def saved(stored: StoredRows) -> tuple[Saved, ...]:
    """Return what was saved, most first; `stored` is `summed`."""
    if not stored.files:
        return ()
    standing = dict(stored.ask(_STANDING))
    found = [
        Saved(action, rule, rows, rows + standing.get(rule, 0), times, characters)
        for action, rule, rows, times, characters in stored.ask(_REPAIRED)
    ]
    found += [
        Saved(RETRY, rule, kept, rows, times, 0) for rule, kept, rows, times in stored.ask(_RETRIED, name=ASKED_AGAIN)
    ]
    return tuple(sorted(found, key=lambda each: (-each.saved, each.action, each.rule)))
