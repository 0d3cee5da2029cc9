"""The report of a run: everything that is counted, in one object."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from datagen.inspection.costs import Costs, costs
from datagen.inspection.distributions import Distribution, Script, distributions, scripts
from datagen.inspection.hit_rates import Grouping, Overlap, RuleHits, groupings, overlap, rule_hits
from datagen.inspection.marks import Precision, UnusedMarks, reviewed
from datagen.inspection.mix import Mix, mix
from datagen.inspection.sameness import Opening, Repeated, openings, repeated
from datagen.inspection.saved import Saved, saved
from datagen.inspection.stored_rows import StoredRows
from datagen.notebook import table, told

_PROVENANCE = ("datagen", "schema", "recipe", "output", "policy", "shards")


@dataclass(frozen=True)
class FailureClass:
    """Rows that failed alike, and the messages of some of them."""

    name: str
    rows: int
    examples: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """What `datagen report` shows; its fields are those of `--json`.

    Attributes:
        run: the directory.
        task: the recipe's name, or that of the filtered file.
        policy: the name of the policy.
        counts: inputs, kept, dropped, failed.
        rules: the hits of every rule, most hits first.
        overlap: which rules hit together.
        groupings: the hits by turn, prompt version, model and task.
        distributions: lengths, tokens and scores, before the policy and after.
        scripts: in which script the answers are.
        openings: how captions, questions and answers begin most often.
        repeated: how many of them are said more than once.
        mix: the purposes, questions and numbers of kept rows.
        saved: what repairs and second tries have saved.
        failures: the failed rows by class.
        costs: tokens and time.
        precisions: what people marked in review sheets, by rule.
        unused_marks: what they marked and this run has not, or no longer.
        provenance: recipe, policy and shards, from the manifest.
    """

    run: str
    task: str
    policy: str
    counts: dict[str, int]
    rules: tuple[RuleHits, ...]
    overlap: Overlap
    groupings: tuple[Grouping, ...]
    distributions: tuple[Distribution, ...]
    scripts: tuple[Script, ...]
    openings: tuple[Opening, ...]
    repeated: tuple[Repeated, ...]
    mix: Mix
    saved: tuple[Saved, ...]
    failures: tuple[FailureClass, ...]
    costs: Costs
    precisions: dict[str, Precision]
    unused_marks: UnusedMarks
    provenance: dict[str, Any]

    def to_json(self) -> str:
        """Return the report for machines."""
        return TypeAdapter(Report).dump_json(self, indent=2).decode()

    def _repr_html_(self) -> str:
        """Return the hits of every rule for a notebook; `datagen report --html` has all of it."""
        counts = ", ".join(f"{count:,} {name}" for name, count in self.counts.items())
        hits = [(rule.rule, rule.action, rule.rows, rule.rate, rule.only, rule.decided) for rule in self.rules]
        columns = ("rule", "action", "hits", "hit rate", "only it", "kept without it")
        return told(self.run, f"{self.policy}: {counts}") + table(columns, hits)


_FAILURES = """
SELECT error['class'] AS name, count(*), list_distinct(list(error.message ORDER BY row))[:3]
FROM stored WHERE state = 'failed' GROUP BY name ORDER BY count(*) DESC, name
"""


def make_report(stored: StoredRows) -> Report:
    """Count everything in a run; `stored` is `summed`."""
    rules = rule_hits(stored)
    precisions, unused_marks = reviewed(stored)
    return Report(
        run=str(stored.run),
        task=stored.manifest["task"],
        policy=stored.manifest["policy"]["name"],
        counts=stored.counts,
        rules=rules,
        overlap=overlap(stored, rules),
        groupings=groupings(stored),
        distributions=distributions(stored),
        scripts=scripts(stored),
        openings=openings(stored),
        repeated=repeated(stored),
        mix=mix(stored),
        saved=saved(stored),
        failures=tuple(FailureClass(name, rows, tuple(texts)) for name, rows, texts in stored.ask(_FAILURES)),
        costs=costs(stored),
        precisions=precisions,
        unused_marks=unused_marks,
        provenance={key: stored.manifest[key] for key in _PROVENANCE if key in stored.manifest},
    )


def report_of(run: Path) -> Report:
    """Return the report of a run directory.

    Raises:
        DatagenError: there is no finished run.
    """
    with StoredRows(run) as stored:
        return make_report(stored.summed())
