"""The last step of a mix: what was made beyond the quotas is cut as dropped, and the mix is exact.

Which rows of a purpose go is decided by their own numbers, as all else of a mix is. They stay in the run, judged, and a
larger quota would take them.
"""

from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from datagen.files.plain_names import plain_names
from datagen.files.writing import appearing
from datagen.recipe import Mix
from datagen.store.judging import VERDICTS
from datagen.store.mix_plan import OVER_QUOTA, number_of
from datagen.store.parts import sealed_parts

_BATCH_ROWS = 4096
_KEPT = """
SELECT rows.id AS id, rows.task AS task, coalesce(v.findings, rows.findings) AS findings,
    coalesce(v.repairs, rows.repairs) AS repairs, coalesce(v.policy, rows.policy) AS policy
FROM rows LEFT JOIN verdicts v ON rows.id = v.id WHERE coalesce(v.state, rows.state) = 'kept'
"""


def apply_quotas(parts: Path, verdicts: Path | None, mix: Mix, seed: int, out: Path) -> dict[str, int]:
    """Write verdicts in which rows over quota are dropped, and return how many are kept of each purpose.

    Memory grows by 8 bytes a kept row, and by the rows that are over.

    Args:
        parts: the folder of the sealed parts.
        verdicts: a Parquet file with the columns `VERDICTS` that replaces the verdicts in the parts, if there is one.
        mix: what is asked for.
        seed: of the recipe.
        out: the file that is written, another one than `verdicts`.
    """
    numbers: dict[str, array[int]] = {}
    for batch in _kept(parts, verdicts, "id, task"):
        for row in batch.to_pylist():
            numbers.setdefault(row["task"], array("q")).append(number_of(seed, row["id"]))
    kept = {purpose: len(found) for purpose, found in numbers.items()}
    quotas = mix.quotas() or quotas_of(mix.shares, kept)
    least = {purpose: _first_over(found, quotas.get(purpose, 0)) for purpose, found in numbers.items()}
    over = [
        _dropped(row, quotas.get(row["task"], 0))
        for batch in _kept(parts, verdicts, "*")
        for row in batch.to_pylist()
        if number_of(seed, row["id"]) >= least[row["task"]]
    ]
    with appearing(out) as unfinished, unfinished.open("wb") as file, pq.ParquetWriter(file, VERDICTS) as writer:
        going = pa.array([row["id"] for row in over], pa.string())
        for batch in pq.ParquetFile(verdicts).iter_batches(columns=VERDICTS.names) if verdicts else ():
            table = pa.Table.from_batches([batch])
            among = pc.is_in(table.column("id"), going)
            writer.write_table(table.filter(pc.invert(among)).cast(VERDICTS))
        writer.write_table(pa.Table.from_pylist(over, schema=VERDICTS))
    return {purpose: min(kept.get(purpose, 0), quota) for purpose, quota in quotas.items()}


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


def _first_over(numbers: "array[int]", quota: int) -> int:
    """Return the number from which on the rows of a purpose are over its quota."""
    if quota >= len(numbers):
        return 1 << 63
    return int(np.partition(np.asarray(numbers), quota)[quota])


def _kept(parts: Path, verdicts: Path | None, columns: str) -> Iterator[pa.RecordBatch]:
    """Yield columns of the rows that are kept, by the verdicts that replace those in the parts."""
    files = [*sealed_parts(parts), *([verdicts] if verdicts else [])]
    with plain_names(*files) as names, duckdb.connect() as connection:
        judged = names[len(files) - 1 :] if verdicts else []
        connection.read_parquet(names[: len(names) - len(judged)], hive_partitioning=False).create_view("rows")
        if judged:
            connection.read_parquet(judged, hive_partitioning=False).create_view("verdicts")
        else:
            connection.register("verdicts", VERDICTS.empty_table())
        yield from connection.sql(f"SELECT {columns} FROM ({_KEPT})").to_arrow_reader(_BATCH_ROWS)  # noqa: S608


def _dropped(row: Mapping[str, Any], quota: int) -> dict[str, Any]:
    finding = {"rule": OVER_QUOTA, "message": None, "start": 0, "end": 0, "text": ""}
    findings = [*row["findings"], {**finding, "evidence": f"the mix has its {quota:,} rows of {row['task']}"}]
    kept = {name: row[name] for name in ("id", "repairs", "policy")}
    return {**kept, "state": "dropped", "findings": findings, "error": None}
