"""Hit rates: which rule found how much, and what only it found; read from the text columns of the shards."""

from pathlib import Path
from typing import NamedTuple

import duckdb
from rich.console import Console
from rich.table import Table

from datagen.cut import FOLDERS, read_manifest


class RuleHits(NamedTuple):
    """One rule over all judged rows.

    Attributes:
        rows: rows in which it found something; `rate` is their share of the rows that were judged.
        findings: how often, in all.
        only: rows in which no other rule found anything.
    """

    rule: str
    rows: int
    rate: float
    findings: int
    only: int


class HitRates(NamedTuple):
    """The hit rates of a run."""

    counts: dict[str, int]
    policy: str
    rules: list[RuleHits]
    failures: dict[str, int]


_HITS = """
WITH hits AS (
    SELECT id, finding.rule AS rule, count(*) AS findings
    FROM (SELECT id, unnest(findings) AS finding FROM rows) GROUP BY id, finding.rule
), alone AS (
    SELECT id FROM hits GROUP BY id HAVING count(*) = 1
)
SELECT rule, count(*), CAST(sum(findings) AS BIGINT), count(*) FILTER (WHERE id IN (SELECT id FROM alone))
FROM hits GROUP BY rule ORDER BY count(*) DESC, rule
"""


def hit_rates(run: Path) -> HitRates:
    """Return the hit rates of a run, or of what `datagen filter` wrote.

    Raises:
        DatagenError: there is no finished run.
    """
    manifest = read_manifest(run)
    counts = manifest["counts"]
    judged = counts["kept"] + counts["dropped"]
    files = [str(run / shard["path"]) for shard in manifest["shards"] if shard["state"] != "failed"]
    hits: list[tuple[str, int, int, int]] = []
    if files:
        with duckdb.connect() as connection:
            connection.read_parquet(files).create_view("rows")
            hits = connection.sql(_HITS).fetchall()
    seen = {rule for rule, *_ in hits}
    quiet = [entry["rule"] for entry in manifest["policy"]["rules"] if entry["rule"] not in seen]
    rules = [RuleHits(rule, rows, rows / judged, findings, only) for rule, rows, findings, only in hits]
    rules += [RuleHits(rule, 0, 0.0, 0, 0) for rule in quiet]
    return HitRates(counts, manifest["policy"]["name"], rules, manifest["failures"])


def print_hit_rates(rates: HitRates, console: Console) -> None:
    """Print one table."""
    counts = rates.counts
    console.print(
        f"{counts['inputs']:,} images = {counts['kept']:,} kept + {counts['dropped']:,} dropped "
        f"+ {counts['failed']:,} failed; policy {rates.policy}"
    )
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("rule")
    for name in ("rows", "rate", "findings", "only this rule"):
        table.add_column(name, justify="right")
    for hits in rates.rules:
        style = "dim" if not hits.rows else ""
        table.add_row(
            hits.rule, f"{hits.rows:,}", f"{hits.rate:.2%}", f"{hits.findings:,}", f"{hits.only:,}", style=style
        )
    console.print(table)
    for failure, count in rates.failures.items():
        console.print(f"failed, {failure}: {count:,}")
    console.print(f"Shards: {', '.join(folder for state, folder in FOLDERS.items() if counts[state])}")
