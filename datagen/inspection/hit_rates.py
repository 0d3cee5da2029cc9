"""Hit rates: which rule found how much, what only it found, which rules go together, and where they hit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from datagen.inspection.stored_rows import StoredRows
from filters.entries import shown_action

MOST_COMBINATIONS = 12
MOST_GROUPS = 12

GroupedBy = Literal["task", "turn", "prompt", "model"]


@dataclass(frozen=True)
class RuleHits:
    """One rule over all judged rows.

    Attributes:
        rule: its name.
        action: drop, flag or repairs; empty for a rule that the manifest does not list.
        settings: those of the policy.
        rows: rows in which it found something.
        rate: their share of the rows that were judged.
        findings: how often, in all.
        only: rows in which no other rule found anything.
        decided: dropped rows that would be kept without this rule.
    """

    rule: str
    action: str
    settings: dict[str, Any]
    rows: int
    rate: float
    findings: int
    only: int
    decided: int


@dataclass(frozen=True)
class Combination:
    """The rows in which exactly these rules found something."""

    rules: tuple[str, ...]
    rows: int


@dataclass(frozen=True)
class Overlap:
    """Rules that find something in the same rows.

    Attributes:
        rules: the rules with hits, most hits first.
        together: for each pair of `rules`, the rows in which both found something; the diagonal holds a rule's own.
        combinations: the most frequent exact combinations.
        others: rows with rarer combinations.
    """

    rules: tuple[str, ...]
    together: tuple[tuple[int, ...], ...]
    combinations: tuple[Combination, ...]
    others: int


@dataclass(frozen=True)
class Group:
    """Rows that have something in common, and the rows of each rule in them."""

    name: str
    rows: int
    hits: dict[str, int]


@dataclass(frozen=True)
class Grouping:
    """The hits by one property of the rows."""

    by: GroupedBy
    groups: tuple[Group, ...]

    @property
    def highest(self) -> float:
        """The highest hit rate of a rule in a group."""
        return max((rows / group.rows for group in self.groups for rows in group.hits.values()), default=0.0)


_RULES = """
WITH each AS (SELECT row, rules, state, unnest(rules) AS rule FROM rows WHERE state <> 'failed')
SELECT rule, count(*), count(*) FILTER (WHERE len(rules) = 1),
    count(*) FILTER (WHERE state = 'dropped' AND rule IN $dropping AND len(list_intersect(rules, $dropping)) = 1)
FROM each GROUP BY rule ORDER BY count(*) DESC, rule
"""
_PAIRS = """
WITH each AS (SELECT rules, unnest(rules) AS first FROM rows WHERE state <> 'failed' AND len(rules) > 1),
    pairs AS (SELECT first, unnest(rules) AS second FROM each)
SELECT first, second, count(*) FROM pairs WHERE first <> second GROUP BY ALL
"""
_COMBINATIONS = """
SELECT rules, count(*) FROM rows WHERE state <> 'failed' AND len(rules) > 0 GROUP BY rules ORDER BY count(*) DESC, rules
"""
_TASKS = (
    "SELECT task, count(*) FROM rows WHERE state <> 'failed' AND task IS NOT NULL GROUP BY task",
    "SELECT task, rule, count(DISTINCT row) FROM found JOIN rows USING (row) WHERE task IS NOT NULL GROUP BY ALL",
)
_TURNS = (
    """
    SELECT turn, count(*) FROM (
        SELECT unnest(list_concat(if(caption IS NULL, [], ['caption']), if(instructed, ['system'], []),
            [CAST(number AS VARCHAR) FOR number IN range(1, turns + 1)],
            if('row' IN (SELECT turn FROM found), ['row'], []))) AS turn
        FROM rows WHERE state <> 'failed'
    ) GROUP BY turn
    """,
    "SELECT turn, rule, count(DISTINCT row) FROM found GROUP BY ALL",
)
_CALLED = "(SELECT row, unnest(calls) AS call FROM rows WHERE state <> 'failed')"
_PROMPTS = (
    f"SELECT call.prompt || ' ' || call.digest AS name, count(DISTINCT row) FROM {_CALLED} GROUP BY name",  # noqa: S608
    """
    SELECT prompt || ' ' || digest AS name, rule, count(DISTINCT row) FROM found
    WHERE prompt IS NOT NULL GROUP BY ALL
    """,
)
_MODELS = (
    f"SELECT call.model AS name, count(DISTINCT row) FROM {_CALLED} GROUP BY name",  # noqa: S608 (a constant)
    "SELECT model, rule, count(DISTINCT row) FROM found WHERE model IS NOT NULL GROUP BY ALL",
)
_GROUPINGS: dict[GroupedBy, tuple[str, str]] = {"turn": _TURNS, "prompt": _PROMPTS, "model": _MODELS, "task": _TASKS}


def rule_hits(stored: StoredRows) -> tuple[RuleHits, ...]:
    """Return the hits of every rule of the policy, those with most hits first; rules without hits stand at the end."""
    findings = dict(stored.ask("SELECT rule, count(*) FROM found GROUP BY rule"))
    dropping = stored.dropping
    found = stored.ask(_RULES, dropping=dropping) if stored.files else []
    quiet = [(name, 0, 0, 0) for name in stored.rules if name not in findings]
    return tuple(
        RuleHits(
            rule=name,
            action=shown_action(stored.rules[name].get("action", "drop")) if name in stored.rules else "",
            settings=_settings(stored.rules[name]) if name in stored.rules else {},
            rows=rows,
            rate=rows / stored.judged if stored.judged else 0.0,
            findings=findings.get(name, 0),
            only=only,
            decided=decided,
        )
        for name, rows, only, decided in [*found, *quiet]
    )


def _settings(entry: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a rule, or the bounds on a score."""
    settings: dict[str, Any] = entry.get("settings", {})
    return settings | {name: entry[name] for name in ("score", "at_least", "at_most") if name in entry}


def overlap(stored: StoredRows, rules: Sequence[RuleHits]) -> Overlap:
    """Return which of the rules find something in the same rows."""
    names = tuple(hits.rule for hits in rules if hits.rows)
    both = {(first, second): rows for first, second, rows in stored.ask(_PAIRS)}
    both |= {(hits.rule, hits.rule): hits.rows for hits in rules}
    combinations = [Combination(tuple(found), rows) for found, rows in stored.ask(_COMBINATIONS)]
    return Overlap(
        rules=names,
        together=tuple(tuple(both.get((first, second), 0) for second in names) for first in names),
        combinations=tuple(combinations[:MOST_COMBINATIONS]),
        others=sum(combination.rows for combination in combinations[MOST_COMBINATIONS:]),
    )


def groupings(stored: StoredRows) -> tuple[Grouping, ...]:
    """Return the hits by turn, prompt version, model and task, as far as the rows know them; largest groups first.

    Turns are question-answer pairs, from 1; captions, system messages and the row as a whole have a group each. A
    finding counts for the prompt and the model whose answer it is in.
    """
    made: list[Grouping] = []
    for by, (sizes, hits) in _GROUPINGS.items():
        found: dict[Any, dict[str, int]] = {}
        for name, rule, rows in stored.ask(hits):
            found.setdefault(name, {})[rule] = rows
        groups = [Group(str(name), rows, found.get(name, {})) for name, rows in stored.ask(sizes)]
        groups.sort(key=_place_of_turn if by == "turn" else (lambda group: (-group.rows, group.name)))
        if groups:
            made.append(Grouping(by, tuple(groups[:MOST_GROUPS])))
    return tuple(made)


def _place_of_turn(group: Group) -> tuple[int, str]:
    return (int(group.name), "") if group.name.isdigit() else (0, group.name)
