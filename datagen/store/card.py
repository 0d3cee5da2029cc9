"""The data-set card of a product, `README.md`, whose head is what the Hugging Face hub and `load_dataset` read.

It is made of the manifest and of what the shards say of licences and findings: the same shards have the same card.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
from jinja2 import ChainableUndefined, Environment

from datagen.files.plain_names import plain_names
from datagen.records import STATES
from filters.entries import shown_action

TEMPLATE = Path(__file__).with_name("card.md.jinja")
_SIZES = (("n<1K", 10**3), ("1K<n<10K", 10**4), ("10K<n<100K", 10**5), ("100K<n<1M", 10**6), ("1M<n<10M", 10**7))
_MOST = "10M<n<100M"
_LICENCES = {
    "cc0": "cc0-1.0",
    "cc0 1.0": "cc0-1.0",
    "public domain": "cc0-1.0",
    "cc by 2.0": "cc-by-2.0",
    "cc by 3.0": "cc-by-3.0",
    "cc by 4.0": "cc-by-4.0",
    "cc by-sa 3.0": "cc-by-sa-3.0",
    "cc by-sa 4.0": "cc-by-sa-4.0",
    "cc by-nc 4.0": "cc-by-nc-4.0",
    "apache-2.0": "apache-2.0",
    "apache 2.0": "apache-2.0",
    "mit": "mit",
}
"""What licences are called, and by which name the hub knows them."""
_FINDINGS = """
SELECT rule, count(*) FROM (
    SELECT unnest(list_distinct([finding.rule FOR finding IN findings])) AS rule FROM rows WHERE state <> 'failed'
) GROUP BY rule
"""
_LICENSES = "SELECT coalesce(license, ''), count(*) FROM rows WHERE state = 'kept' GROUP BY 1 ORDER BY 2 DESC, 1"


def card(manifest: Mapping[str, Any], out: Path, folders: Mapping[str, str]) -> str:
    """Return the card.

    Args:
        manifest: of the cut.
        out: where its shards lie now.
        folders: the folder of each state.
    """
    from huggingface_hub import DatasetCard, DatasetCardData  # slow to import, and only the cut needs it

    counts = manifest["counts"]
    found, licences = _counted([out / shard["path"] for shard in manifest["shards"]])
    filled = {state: folders[state] for state in STATES if counts[state]}
    known = sorted({_LICENCES.get(name.lower(), "other") for name in licences} or {"other"})
    recipe = manifest.get("recipe") or {}
    head = DatasetCardData(
        language="ja",
        license=known[0] if len(known) == 1 else known,
        pretty_name=manifest["task"],
        task_categories=["visual-question-answering", "image-text-to-text"],
        size_categories=next((name for name, most in _SIZES if counts["kept"] < most), _MOST),
        tags=["datagen", "japanese", "synthetic"],
        configs=[
            {
                "config_name": "default",
                "data_files": [{"split": folder, "path": f"{folder}/*.parquet"} for folder in filled.values()],
            }
        ],
    )
    body = (
        _environment()
        .from_string(TEMPLATE.read_text(encoding="utf-8"))
        .render(
            **{name: manifest[name] for name in ("task", "counts", "policy", "failures", "datagen", "schema")},
            kind="Made from pictures" if recipe else "Judged conversations",
            folders=filled,
            stages=recipe.get("stages") or [],
            engines=recipe.get("engines") or {},
            rules=_rules(manifest["policy"].get("rules") or [], found),
            judged=max(counts["kept"] + counts["dropped"], 1),
            licences=licences or {"": counts["kept"]},
        )
    )
    return str(DatasetCard(f"---\n{head.to_yaml()}\n---\n\n{body}", ignore_metadata_errors=False)).rstrip("\n") + "\n"


def _environment() -> Environment:
    # What a manifest of an earlier version does not say is left empty: a card never stops a cut.
    environment = Environment(undefined=ChainableUndefined, autoescape=False)  # noqa: S701 (it is Markdown)
    environment.filters["commas"] = "{:,}".format
    environment.filters["cell"] = lambda value: " ".join(str(value).split()).replace("|", "\\|")
    return environment


def _rules(entries: Sequence[Mapping[str, Any]], found: Mapping[str, int]) -> list[dict[str, Any]]:
    """Return the rules that found something, the most frequent first."""
    names = [str(entry.get("name") or entry.get("rule") or entry.get("score")) for entry in entries]
    actions = {name: shown_action(entry.get("action", "")) for name, entry in zip(names, entries, strict=True)}
    rules = [{"name": name, "action": actions.get(name, ""), "rows": count} for name, count in found.items()]
    return sorted(rules, key=lambda rule: (-rule["rows"], rule["name"]))


def _counted(shards: Sequence[Path]) -> tuple[dict[str, int], dict[str, int]]:
    """Return in how many rows each rule found something, and how many kept rows have each licence."""
    if not shards:
        return {}, {}
    with plain_names(*shards) as names, duckdb.connect() as connection:
        columns = set(pq.read_schema(names[0]).names)
        connection.read_parquet(names, hive_partitioning=False, union_by_name=True).create_view("rows")
        found = dict(connection.execute(_FINDINGS).fetchall()) if "findings" in columns else {}
        licences = dict(connection.execute(_LICENSES).fetchall()) if "license" in columns else {}
    return found, licences
