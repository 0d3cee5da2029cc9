"""The difference between two sets of verdicts, row by row: two policies on the same rows, or two runs."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import duckdb
from pydantic import TypeAdapter

from datagen.errors import DatagenError
from datagen.files.plain_names import plain_names
from datagen.files.writing import appearing, write_text
from datagen.inspection.stored_rows import MEMORY
from datagen.inspection.verdicts import Side
from datagen.notebook import table, told

ROWS_FILE = "difference.parquet"
SUMMARY_FILE = "difference.json"
_EXAMPLES = 12

Change = Literal["newly_dropped", "newly_kept"]


@dataclass(frozen=True)
class Transition:
    """Rows that went from one state to another; `absent` is the state of rows that one side does not have."""

    before: str
    after: str
    rows: int


@dataclass(frozen=True)
class RuleChange:
    """What one rule has to do with the difference.

    Attributes:
        rule: its name.
        newly_dropped: rows that were kept before, and are now dropped by this rule.
        newly_dropped_only: those among them that no other rule drops.
        newly_kept: rows that this rule dropped before, and that are now kept.
        newly_kept_only: those among them that no other rule dropped.
    """

    rule: str
    newly_dropped: int
    newly_dropped_only: int
    newly_kept: int
    newly_kept_only: int


@dataclass(frozen=True)
class Example:
    """A row that changed, and what the rule found in it: after for the newly dropped, before for the newly kept."""

    change: Change
    rule: str
    id: str
    message: int | None
    start: int
    end: int
    text: str
    evidence: str

    @property
    def finding(self) -> dict[str, Any]:
        """The finding as rows have it."""
        return {key: value for key, value in vars(self).items() if key not in ("change", "id")}


@dataclass(frozen=True)
class Difference:
    """What changes from one side to the other.

    Attributes:
        before: the name of one side; `after` that of the other.
        transitions: how many rows went from which state to which, those that stayed included.
        rules: the rules that have to do with it.
        examples: a few rows of each rule and change.
        other_rules: rows that stay in their state for other reasons than before.
    """

    before: str
    after: str
    transitions: tuple[Transition, ...]
    rules: tuple[RuleChange, ...]
    examples: tuple[Example, ...]
    other_rules: int

    def rows(self, before: str, after: str) -> int:
        """Return how many rows went from one state to another."""
        return sum(found.rows for found in self.transitions if (found.before, found.after) == (before, after))

    @property
    def newly_dropped(self) -> int:
        """Rows that were kept before."""
        return self.rows("kept", "dropped")

    @property
    def unchanged(self) -> int:
        """Rows in the same state on both sides."""
        return sum(found.rows for found in self.transitions if found.before == found.after)

    @property
    def newly_kept(self) -> int:
        """Rows that were dropped before."""
        return self.rows("dropped", "kept")

    def to_json(self) -> str:
        """Return the difference for machines."""
        return TypeAdapter(Difference).dump_json(self, indent=2).decode()

    def _repr_html_(self) -> str:
        """Return what changes for a notebook."""
        states = [(found.before, found.after, found.rows) for found in self.transitions]
        rules = [(found.rule, found.newly_dropped, found.newly_kept) for found in self.rules]
        return (
            told(f"{self.before} → {self.after}")
            + table(("before", "after", "rows"), states)
            + table(("rule", "newly dropped", "newly kept"), rules)
        )


_JOINED = """
CREATE TEMP TABLE joined AS
WITH one AS (
    SELECT {key} AS key, id, state, list_sort(list_distinct([found.rule FOR found IN findings])) AS rules FROM before
), other AS (
    SELECT {key} AS key, id, state, list_sort(list_distinct([found.rule FOR found IN findings])) AS rules FROM after
)
SELECT key, coalesce(one.id, other.id) AS id, coalesce(one.state, 'absent') AS before,
    coalesce(other.state, 'absent') AS after, coalesce(one.rules, []) AS rules_before,
    coalesce(other.rules, []) AS rules_after
FROM one FULL JOIN other USING (key)
"""
_CHANGED = """
CREATE TEMP TABLE changed AS
SELECT joined.id, joined.before, joined.after, rules_before, rules_after, before.findings AS findings_before,
    after.findings AS findings_after
FROM joined LEFT JOIN before ON joined.key = before.{key} LEFT JOIN after ON joined.key = after.{key}
WHERE joined.before <> joined.after OR rules_before <> rules_after
"""
_TRANSITIONS = "SELECT before, after, count(*) FROM joined GROUP BY ALL ORDER BY count(*) DESC, before, after"
_BY_RULE = """
CREATE TEMP TABLE by_rule AS
WITH told AS (
    SELECT id, 'newly_dropped' AS change, findings_after AS findings, list_intersect(rules_after, $after) AS rules
    FROM changed WHERE before = 'kept' AND after = 'dropped'
    UNION ALL
    SELECT id, 'newly_kept', findings_before, list_intersect(rules_before, $before)
    FROM changed WHERE before = 'dropped' AND after = 'kept'
)
SELECT id, change, findings, unnest(rules) AS rule, len(rules) = 1 AS alone FROM told
"""
_RULES = """
SELECT rule,
    count(*) FILTER (WHERE change = 'newly_dropped'), count(*) FILTER (WHERE change = 'newly_dropped' AND alone),
    count(*) FILTER (WHERE change = 'newly_kept'), count(*) FILTER (WHERE change = 'newly_kept' AND alone)
FROM by_rule GROUP BY rule ORDER BY count(*) DESC, rule
"""
_EXAMPLES_OF_EACH = """
WITH placed AS (
    SELECT *, row_number() OVER (PARTITION BY change, rule ORDER BY alone DESC, md5(id)) AS rank FROM by_rule
), chosen AS (
    SELECT change, rule, id, rank, [found FOR found IN findings IF found.rule = rule][1] AS finding
    FROM placed WHERE rank <= ?
)
SELECT change, rule, id, finding.message, finding.start, finding."end", finding.text, finding.evidence
FROM chosen ORDER BY change, rule, rank
"""


def compare(before: Side, after: Side, out: Path | None = None) -> Difference:
    """Compare two sides.

    Args:
        before: one side; `after` is the other.
        after: rows are matched by number when both sides have numbers (the same rows), and by id otherwise.
        out: where the changed rows go (`difference.parquet`), and the summary (`difference.json`).

    Raises:
        DatagenError: the sides cannot be matched row by row.
    """
    key = "row" if before.numbered and after.numbered else "id"
    with ExitStack() as opened:
        spill = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="datagen-"))) / "spill"
        (folder,) = opened.enter_context(plain_names(spill))
        connection = opened.enter_context(duckdb.connect(config={"memory_limit": MEMORY, "temp_directory": folder}))
        for name, side in (("before", before), ("after", after)):
            names = opened.enter_context(plain_names(*side.files))
            connection.read_parquet(names, union_by_name=True, hive_partitioning=False).create_view(name)
            ((repeated,),) = connection.execute(f"SELECT count(*) - count(DISTINCT {key}) FROM {name}").fetchall()  # noqa: S608
            if repeated:
                raise DatagenError(f"{side.name} has {repeated:,} ids that stand twice; rows cannot be matched by id.")
        connection.execute(_JOINED.format(key=key))
        connection.execute(_CHANGED.format(key=key))
        connection.execute(_BY_RULE, {"before": list(before.dropping), "after": list(after.dropping)})
        found = Difference(
            before=before.name,
            after=after.name,
            transitions=tuple(Transition(*line) for line in connection.execute(_TRANSITIONS).fetchall()),
            rules=tuple(RuleChange(*line) for line in connection.execute(_RULES).fetchall()),
            examples=tuple(_examples(connection)),
            other_rules=_count(connection, "SELECT count(*) FROM changed WHERE before = after"),
        )
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            rows = connection.sql("FROM changed ORDER BY before, after, id")
            with appearing(out / ROWS_FILE) as unfinished, plain_names(unfinished) as (plain,):
                rows.write_parquet(plain, compression="zstd")
            write_text(out / SUMMARY_FILE, found.to_json() + "\n")
    return found


def _examples(connection: duckdb.DuckDBPyConnection) -> Iterator[Example]:
    for line in connection.execute(_EXAMPLES_OF_EACH, [_EXAMPLES]).fetchall():
        yield Example(*line)


def _count(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    ((count,),) = connection.execute(query).fetchall()
    return int(count)
