"""The last step of a mix: what was made beyond the quotas is cut as dropped, and the mix is exact.

Which rows of a purpose go is decided by their own numbers, as all else of a mix is. They stay in the run, judged, and a
larger quota would take them.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from datagen.files.writing import appearing
from datagen.recipe import Mix
from datagen.store.judging import VERDICTS
from datagen.store.mix_plan import OVER_QUOTA, number_of
from datagen.store.parts import read_part, sealed_parts

_READ = ("id", "task", "state", "findings", "repairs", "error", "policy")


def apply_quotas(parts: Path, verdicts: Path | None, mix: Mix, seed: int, out: Path) -> dict[str, int]:
    """Write verdicts in which rows over quota are dropped, and return how many are kept of each purpose.

    Args:
        parts: the folder of the sealed parts.
        verdicts: a Parquet file with the columns `VERDICTS` that replaces the verdicts in the parts, if there is one.
        mix: what is asked for.
        seed: of the recipe.
        out: the file that is written; it may be `verdicts`.
    """
    judged = {} if verdicts is None else {row["id"]: row for row in _rows(verdicts)}
    kept: dict[str, list[tuple[int, str]]] = {}
    for row in _stored(parts, judged):
        if row["state"] == "kept":
            kept.setdefault(row["task"], []).append((number_of(seed, row["id"]), row["id"]))
    quotas = mix.quotas() or quotas_of(mix.shares, {purpose: len(rows) for purpose, rows in kept.items()})
    surplus = {row_id for purpose, rows in kept.items() for _, row_id in sorted(rows)[quotas.get(purpose, 0) :]}
    table = pa.Table.from_pylist(
        [*(row for row in judged.values() if row["id"] not in surplus), *_over_quota(parts, judged, surplus, quotas)],
        schema=VERDICTS,
    )
    with appearing(out) as unfinished, unfinished.open("wb") as file:
        pq.write_table(table, file, compression="zstd")
    return {purpose: min(len(kept.get(purpose, ())), quota) for purpose, quota in quotas.items()}


def mix_of(recipe: Mapping[str, Any]) -> Mix | None:
    """Return the mix of a recipe as manifests and run.json have it; none if it has none."""
    return Mix.model_validate(recipe["mix"]) if recipe.get("mix") else None


def quotas_of(shares: Mapping[str, float], kept: Mapping[str, int]) -> dict[str, int]:
    """Return the largest numbers of rows in these shares that were kept.

    >>> quotas_of({"a": 0.5, "b": 0.5}, {"a": 30, "b": 20})
    {'a': 20, 'b': 20}
    """
    total = min(kept.get(purpose, 0) / share for purpose, share in shares.items())
    return {purpose: min(kept.get(purpose, 0), round(share * total)) for purpose, share in shares.items()}


def _over_quota(
    parts: Path, judged: Mapping[str, dict[str, Any]], surplus: set[str], quotas: Mapping[str, int]
) -> Iterator[dict[str, Any]]:
    for row in _stored(parts, judged) if surplus else ():
        if row["id"] in surplus:
            finding = {"rule": OVER_QUOTA, "message": None, "start": 0, "end": 0, "text": ""}
            evidence = f"the mix has its {quotas.get(row['task'], 0):,} rows of {row['task']}"
            findings = [*row["findings"], {**finding, "evidence": evidence}]
            yield {name: row[name] for name in VERDICTS.names} | {"state": "dropped", "findings": findings}


def _stored(parts: Path, judged: Mapping[str, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the rows of the parts with the verdicts that replace theirs."""
    for path in sealed_parts(parts):
        for row in read_part(path, _READ).to_pylist():
            yield {**row, **judged.get(row["id"], {})}


def _rows(verdicts: Path) -> Iterator[dict[str, Any]]:
    for batch in pq.ParquetFile(verdicts).iter_batches():
        yield from batch.to_pylist()
