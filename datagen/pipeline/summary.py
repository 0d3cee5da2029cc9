"""What a finished run tells the person who started it."""

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from rich.console import Console
from rich.text import Text

from datagen.console import PlainConsole, on_one_line, pasteable, shown, styled
from datagen.errors import NothingMadeError
from datagen.pipeline.run import Outcome
from datagen.progress import duration
from datagen.store.manifest import FOLDERS, load_call
from datagen.store.quotas import mix_of

console = PlainConsole()
_SAMPLES = {"kept": 3, "dropped": 2, "failed": 1}
_COLOURS = {"kept": "green", "dropped": "yellow", "failed": "red"}


def print_summary(outcome: Outcome) -> None:
    """Print a few samples, the counts, where things are, and what to do next."""
    directory, manifest = outcome.directory.path, outcome.manifest
    counts = manifest["counts"]
    print_samples(directory, manifest)
    print_counts(manifest, directory, console)
    for told in _mix_lines(manifest):
        console.print(told, soft_wrap=True, markup=False)
    console.print(f"Made in {duration(outcome.seconds)}, {duration(outcome.cutting_seconds)} of it for the shards.")
    console.print("What to do next:")
    pasted = pasteable(directory)
    console.print(f"  datagen report {pasted} --html report.html   which rule dropped what", soft_wrap=True)
    if example := next(_first_rows(directory, manifest, "dropped", 1), None):
        console.print(f"  datagen explain {pasted} {example['id'][:8]}   how one image came to its end", soft_wrap=True)
    if counts["failed"]:
        console.print("  the same command with --retry-failed   to try the failed images again")
    console.print(f"  datagen export {pasted} --format llava --out exports   for a trainer", soft_wrap=True)
    console.print(f"  {load_call(directory)}    in Python, with Hugging Face datasets", soft_wrap=True)


def print_samples(directory: Path, manifest: dict[str, Any]) -> None:
    """Print a few rows of each state."""
    for state, most in _SAMPLES.items():
        for row in _first_rows(directory, manifest, state, most):
            console.print()
            for line in sample_lines(row):
                console.print(line, soft_wrap=True)
    console.print()


def print_counts(manifest: dict[str, Any], directory: Path, console: Console) -> None:
    """Print the accounting and where the shards are."""
    counts = manifest["counts"]
    console.print(
        f"{counts['inputs']:,} inputs = {counts['kept']:,} kept + {counts['dropped']:,} dropped "
        f"+ {counts['failed']:,} failed",
        style="bold",
    )
    for failure, count in manifest["failures"].items():
        console.print(f"  failed, {failure}: {count:,}")
    size = sum(shard["bytes"] for shard in manifest["shards"])
    console.print(
        f"{len(manifest['shards'])} shards, {size / 1e6:,.1f} MB, in {directory} (manifest.json lists them)",
        soft_wrap=True,
    )


def _mix_lines(manifest: dict[str, Any]) -> Iterator[str]:
    """Yield what a run's mix has come to."""
    mix = mix_of(manifest.get("recipe", {}))
    if mix is None or "mix" not in manifest:
        return
    kept: dict[str, int] = manifest["mix"]
    total = max(sum(kept.values()), 1)
    quotas = mix.quotas()
    yield "Mix: " + ", ".join(f"{purpose} {rows:,} ({rows / total:.1%})" for purpose, rows in kept.items())
    if short := [purpose for purpose, rows in kept.items() if rows < quotas.get(purpose, 0)]:
        missing = ", ".join(f"{quotas[purpose] - kept[purpose]:,} rows of {purpose}" for purpose in short)
        yield (
            f"The images are used up, and {missing} are missing. Give more images (a higher --limit, or --relist), and "
            "run the same command again: what is done is kept."
        )
    if unused := manifest["listed"] - manifest["counts"]["inputs"]:
        yield f"{unused:,} more images of the source were not needed, and are not among the inputs."


def check_outcome(manifest: dict[str, Any], directory: Path) -> None:
    """Make sure that not every row failed.

    Raises:
        NothingMadeError: every row did.
    """
    counts = manifest["counts"]
    if counts["inputs"] and counts["failed"] == counts["inputs"]:
        causes = ", ".join(f"{count:,} {failure}" for failure, count in manifest["failures"].items())
        raise NothingMadeError(
            f"All {counts['inputs']:,} inputs failed ({causes}). datagen report {pasteable(directory)} says why; mend "
            "the cause, then run the same command again, with --retry-failed for a run."
        )


def sample_lines(row: dict[str, Any]) -> Iterator[Text]:
    """Yield the lines that show a row: its picture, its conversation, and why it was dropped or failed."""
    state = (row["state"], _COLOURS[row["state"]])
    yield styled(state, " ", (on_one_line(row["key"]), "bold"), "  ", _clipped(row["caption"]))
    for message in row["messages"]:
        mark = {"user": "問", "assistant": "答"}.get(message["role"], on_one_line(message["role"]))
        yield styled(f"  {mark} {_clipped(message['content'])}")
    for finding in row["findings"]:
        quoted = on_one_line(f"「{finding['text']}」 {finding['evidence']}" if finding["text"] else finding["evidence"])
        yield styled((f"  → {finding['rule']}", "yellow"), f" {quoted}")
    for repair in row.get("repairs") or ():
        yield styled((f"  ✂ {repair['action']}", "green"), f" {on_one_line(repair['text'])} ({repair['rule']})")
    if row["error"]:
        yield styled((f"  → {row['error']['class']}", "red"), f" {_clipped(row['error']['message'])}")


def _first_rows(directory: Path, manifest: dict[str, Any], state: str, most: int) -> Iterator[dict[str, Any]]:
    columns = ["id", "key", "caption", "messages", "findings", "repairs", "state", "error"]
    for shard in manifest["shards"]:
        if shard["path"].startswith(f"{FOLDERS[state]}/"):
            file = pq.ParquetFile(directory / shard["path"])
            rows: list[dict[str, Any]] = next(file.iter_batches(batch_size=most, columns=columns)).to_pylist()
            yield from rows
            return


def _clipped(text: str) -> str:
    return textwrap.shorten(shown(text).replace("\n", " "), 160, placeholder=" …")
