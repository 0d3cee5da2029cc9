"""Which wrong options are true of a picture all the same: scores by a model that saw it, from 1 (wrong) to 5 (true)."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from datagen.errors import DatagenError

COLUMNS = ("id", "subset", "category", "option", "score")


class OptionScore(NamedTuple):
    """How true a wrong option is of a picture, from 1 to 5."""

    id: str
    subset: str
    category: str
    option: str
    score: int


def write_scores(path: Path, scores: Iterable[OptionScore]) -> None:
    """Write the scores as Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from datagen.files.writing import write_bytes

    schema = pa.schema([(name, pa.int64() if name == "score" else pa.string()) for name in COLUMNS])
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist([score._asdict() for score in scores], schema=schema), sink)
    write_bytes(path, sink.getvalue().to_pybytes())


def read_ambiguous(path: Path, from_score: int) -> dict[str, frozenset[str]]:
    """Return, by picture id, the wrong options that score so high.

    Raises:
        DatagenError: the file is no table of scores.
    """
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (OSError, ValueError) as error:  # pyarrow raises its own kinds of both
        raise DatagenError(f"--ambiguity {path} cannot be read ({' '.join(str(error).split())[:200]}).") from error
    if missing := [name for name in COLUMNS if name not in table.column_names]:
        raise DatagenError(
            f"--ambiguity {path} has no column {', '.join(missing)}; `datagen jicvqa ambiguity` makes the file."
        )
    found: dict[str, set[str]] = defaultdict(set)
    for row in table.select(list(COLUMNS)).to_pylist():
        if row["score"] >= from_score:
            found[str(row["id"])].add(row["option"])
    return {identity: frozenset(options) for identity, options in found.items()}
