"""What a finished run tells the person who started it."""

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from rich.console import Console
from rich.markup import escape

from datagen.cut import FOLDERS, load_call
from datagen.pipeline import Outcome
from datagen.progress import duration

console = Console(highlight=False, stderr=False)
_SAMPLES = {"kept": 3, "dropped": 2, "failed": 1}
_MARKS = {"kept": "[green]kept[/]", "dropped": "[yellow]dropped[/]", "failed": "[red]failed[/]"}


def print_summary(outcome: Outcome) -> None:
    """Print a few samples, the counts, where things are, and what to do next."""
    directory, manifest = outcome.directory.path, outcome.manifest
    counts = manifest["counts"]
    for state, most in _SAMPLES.items():
        for row in _first_rows(directory, manifest, state, most):
            console.print()
            for line in sample_lines(row):
                console.print(line, soft_wrap=True)
    console.print()
    print_counts(manifest, directory, console)
    console.print(f"Made in {duration(outcome.seconds)}.")
    console.print("What to do next:")
    console.print(f"  datagen report {directory} --html report.html   which rule dropped what", soft_wrap=True)
    if example := next(_first_rows(directory, manifest, "dropped", 1), None):
        console.print(
            f"  datagen explain {directory} {example['id'][:8]}   how one image came to its end", soft_wrap=True
        )
    if counts["failed"]:
        console.print("  the same command with --retry-failed   to try the failed images again")
    console.print(f"  {escape(load_call(directory))}    in Python, with Hugging Face datasets", soft_wrap=True)


def print_counts(manifest: dict[str, Any], directory: Path, console: Console) -> None:
    """Print the accounting and where the shards are."""
    counts = manifest["counts"]
    console.print(
        f"[bold]{counts['inputs']:,} inputs = {counts['kept']:,} kept + {counts['dropped']:,} dropped "
        f"+ {counts['failed']:,} failed[/]"
    )
    for failure, count in manifest["failures"].items():
        console.print(f"  failed, {failure}: {count:,}")
    size = sum(shard["bytes"] for shard in manifest["shards"])
    console.print(
        f"{len(manifest['shards'])} shards, {size / 1e6:,.1f} MB, in {directory} (manifest.json lists them)",
        soft_wrap=True,
    )


def sample_lines(row: dict[str, Any]) -> Iterator[str]:
    """Yield the lines that show a row: its picture, its conversation, and why it was dropped or failed."""
    yield f"{_MARKS[row['state']]} [bold]{escape(row['key'])}[/]  {escape(_clipped(row['caption']))}"
    for message in row["messages"]:
        mark = "問" if message["role"] == "user" else "答"
        yield f"  {mark} {escape(_clipped(message['content']))}"
    for finding in row["findings"]:
        yield f"  [yellow]→ {finding['rule']}[/] 「{escape(finding['text'])}」 {escape(finding['evidence'])}"
    if row["error"]:
        yield f"  [red]→ {row['error']['class']}[/] {escape(_clipped(row['error']['message']))}"


def _first_rows(directory: Path, manifest: dict[str, Any], state: str, most: int) -> Iterator[dict[str, Any]]:
    columns = ["id", "key", "caption", "messages", "findings", "state", "error"]
    for shard in manifest["shards"]:
        if shard["path"].startswith(f"{FOLDERS[state]}/"):
            file = pq.ParquetFile(directory / shard["path"])
            rows: list[dict[str, Any]] = next(file.iter_batches(batch_size=most, columns=columns)).to_pylist()
            yield from rows
            return


def _clipped(text: str) -> str:
    return textwrap.shorten(text.replace("\n", " "), 160, placeholder=" …")
