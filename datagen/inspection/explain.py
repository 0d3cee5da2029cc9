"""How one image came to its end: the prompts as sent, the answers, the verdicts, and where the row is."""

from pathlib import Path
from typing import Any

import duckdb
from rich.console import Console
from rich.markup import escape

from datagen.cut import read_manifest
from datagen.errors import DatagenError
from datagen.summary import sample_lines

_FIND = """
SELECT * EXCLUDE (image) FROM rows WHERE id LIKE ? || '%' OR key = ? ORDER BY id LIMIT 10
"""


def find_row(run: Path, name: str) -> dict[str, Any]:
    """Return the row with this id (or its beginning) or key, with `filename` and `file_row_number` of its shard.

    Raises:
        DatagenError: there is no such row, or several.
    """
    files = [str(run / shard["path"]) for shard in read_manifest(run)["shards"]]
    with duckdb.connect() as connection:
        connection.read_parquet(files, filename=True, file_row_number=True).create_view("rows")
        found: list[dict[str, Any]] = connection.sql(_FIND, params=[name, name]).to_arrow_table().to_pylist()
    exact = [row for row in found if name in (row["id"], row["key"])] or found
    if not exact:
        raise DatagenError(f"{run} has no row with the id or key '{name}'; datagen report {run} shows some.")
    if len(exact) > 1:
        raise DatagenError(f"'{name}' fits several rows: {', '.join(row['id'] for row in exact)}; give more of the id.")
    return exact[0]


def print_row(row: dict[str, Any], console: Console) -> None:
    """Print everything that is known of a row."""
    for line in sample_lines(row):
        console.print(line, soft_wrap=True)
    console.print(f"\n[bold]id[/] {row['id']}   [bold]sha256[/] {row['sha256'] or '(no picture)'}", soft_wrap=True)
    console.print(
        f"[bold]picture[/] {row['width']}×{row['height']}, phash {row['phash']}, {escape(row['key'])}", soft_wrap=True
    )
    console.print(f"[bold]shard[/] {row['filename']}, row {row['file_row_number']}", soft_wrap=True)
    for number, call in enumerate(row["calls"], start=1):
        console.print(
            f"\n[bold]call {number}[/]: stage {call['stage']}, {call['prompt']} ({call['prompt_digest']}), attempt "
            f"{call['attempt']}, {call['model']}, seed {call['seed']}, {call['sampling']}",
            soft_wrap=True,
        )
        console.print(f"[dim]{escape(call['request'])}[/]", soft_wrap=True)
        console.print(escape(call["answer"]), soft_wrap=True)
        console.print(f"[dim]{call['finish_reason']}, {call['prompt_tokens']} + {call['completion_tokens']} tokens[/]")
