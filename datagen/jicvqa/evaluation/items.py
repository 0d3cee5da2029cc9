"""Scored answers, and the Parquet file that they are kept in."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from datagen.errors import DatagenError
from datagen.files.writing import write_bytes
from datagen.jicvqa.evaluation.scoring import Outcome


class Item(NamedTuple):
    """One answer, scored.

    Attributes:
        id: of the question; `rotation` says by how many positions its options were moved.
        subset: of the question; `category` is its answer.
        choices: the options as they were put.
        response: what the model said; empty when it failed.
        outcome: of the strict reading.
        chosen: the option that the strict reading found, or empty.
        official: whether the answer's text stands in the response.
        finish_reason: why the model stopped, or the failure's message.
        prompt_tokens: as the server counted them; `completion_tokens` likewise.
        read_by: `rules`, or `judge` where a language model had to say which option is meant.
    """

    id: str
    rotation: int
    subset: str
    category: str
    choices: tuple[str, ...]
    response: str
    outcome: Outcome
    chosen: str
    official: bool
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    read_by: str = "rules"


def write_items(path: Path, items: Sequence[Item]) -> None:
    """Write the scored answers as Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    text: pa.DataType = pa.string()
    count: pa.DataType = pa.int64()
    schema = pa.schema(
        {
            "id": text,
            "rotation": count,
            "subset": text,
            "category": text,
            "choices": pa.list_(text),
            "response": text,
            "outcome": text,
            "chosen": text,
            "official": pa.bool_(),
            "finish_reason": text,
            "prompt_tokens": count,
            "completion_tokens": count,
            "read_by": text,
        }
    )
    buffer = io.BytesIO()
    rows = [{**item._asdict(), "choices": list(item.choices)} for item in items]
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), buffer, compression="zstd")
    write_bytes(path, buffer.getvalue())


def read_items(path: Path) -> list[Item]:
    """Read scored answers.

    Raises:
        DatagenError: the file cannot be read, or holds something else.
    """
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (OSError, ValueError) as error:  # pyarrow raises its own kinds of both
        raise DatagenError(
            f"The answers {path} cannot be read ({' '.join(str(error).split())[:200]}); `datagen jicvqa evaluate` "
            "makes them."
        ) from error
    if missing := [name for name in Item._fields if name not in table.column_names and name != "read_by"]:
        raise DatagenError(f"{path} has no column {', '.join(missing)}; it was not made by `datagen jicvqa evaluate`.")
    return [
        Item(**{"read_by": "rules", **row, "choices": tuple(row["choices"])})
        for row in table.select([name for name in Item._fields if name in table.column_names]).to_pylist()
    ]
