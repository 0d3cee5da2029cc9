"""The public face in Python: what `import datagen` offers, for scripts and notebooks.

Everything the command line does is here with values in place of printed lines. Nothing prints unless a console is
given, and all of it works inside a running event loop.
"""

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml
from rich.console import Console

from datagen.console import PlainConsole
from datagen.errors import DatagenError
from datagen.executors import Executor
from datagen.inspection.difference import Difference
from datagen.inspection.explain import find_row
from datagen.inspection.recutting import recut as recut_run
from datagen.inspection.report import Report, report_of
from datagen.notebook import ShownRow, ShownRows, told
from datagen.pipeline.filtering import filter_rows
from datagen.pipeline.preview import preview_rows
from datagen.pipeline.run import run as run_recipe
from datagen.recipe import Output, Recipe
from datagen.recipe_file import load_recipe as load_recipe_file
from datagen.records import State
from datagen.store.judging import judge_conversations
from datagen.store.manifest import read_manifest
from datagen.store.policies import read_policy
from filters import Policy

if TYPE_CHECKING:
    from datasets import Dataset

    from datagen.exporters.writing.export import Exported


@dataclass(frozen=True)
class Run:
    """A finished run, or what `datagen filter` wrote.

    Attributes:
        path: its directory.
        manifest: what manifest.json says.
    """

    path: Path
    manifest: Mapping[str, Any]

    @property
    def counts(self) -> Mapping[str, int]:
        """Inputs, and the rows of each state, which add up to them."""
        counts: Mapping[str, int] = self.manifest["counts"]
        return counts

    def rows(self, state: State = "kept") -> Iterator[ShownRow]:
        """Yield the rows of a state with their pictures, in the order of the shards; few are in memory at a time."""
        import pyarrow.parquet as pq

        for shard in self.manifest["shards"]:
            if shard["state"] == state:
                with pq.ParquetFile(self.path.absolute() / shard["path"]) as file:
                    for batch in file.iter_batches(64):
                        yield from map(ShownRow.of, batch.to_pylist())

    def first(self, count: int = 4, state: State = "kept") -> ShownRows:
        """Return the first rows of a state, which show themselves in a notebook."""
        return ShownRows(islice(self.rows(state), count))

    def explain(self, row: str) -> dict[str, Any]:
        """Return everything that is known of a row, by its id, the beginning of it, or the key.

        Raises:
            DatagenError: there is no such row.
        """
        return find_row(self.path, row)

    def report(self) -> Report:
        """Return the hit rates of the rules and what the run cost."""
        return report_of(self.path)

    def recut(self, policy: str | Path | Mapping[str, Any] | Policy, out: str | Path | None = None) -> Difference:
        """Decide the rows by another policy, with no model call; with `out` new shards are written there.

        Raises:
            DatagenError: the policy is wrong, or `out` cannot be written.
        """
        return recut_run(self.path, load_policy(policy), None if out is None else Path(out))[0]

    def export(self, format: str | Sequence[str], out: str | Path, **options: Any) -> "Exported":  # noqa: A002 (the word of the field)
        """Write the rows for trainers, see `datagen.exporters`, and return how many came out.

        Args:
            format: the name of one, or of several that share their pictures.
            out: the folder.
            options: `state`, `system`, `root`, `split` and `seed`, as `ExportOptions` has them.

        Raises:
            DatagenError: there is no such format, or `out` cannot be written.
        """
        from datagen.exporters.writing.export import ExportOptions, export

        names = [format] if isinstance(format, str) else format
        return export(self.path, names, Path(out), ExportOptions(**options))

    def to_dataset(self, state: State = "kept") -> "Dataset":
        """Return the rows of a state as a `datasets.Dataset`, which decodes the pictures."""
        import datasets

        shards = [shard["path"] for shard in self.manifest["shards"] if shard["state"] == state]
        if not shards:
            raise DatagenError(f"{self.path} has no {state} rows.")
        files = [str(self.path.absolute() / shard) for shard in shards]
        made: Dataset = datasets.concatenate_datasets([datasets.Dataset.from_parquet(file) for file in files])
        return made

    def _repr_html_(self) -> str:
        """Return the accounting for a notebook."""
        return told(str(self.path), _accounting(self.counts))


def load_recipe(source: str | Path | Mapping[str, Any], **options: Any) -> Recipe:
    """Load a recipe from a YAML file or a mapping.

    Args:
        source: the path, or the recipe itself.
        options: fields that are changed, with `__` for the dots: `source__path="pictures"`.

    Raises:
        DatagenError: a field is wrong; the message names it.
    """
    changes = {name.replace("__", "."): value for name, value in options.items()}
    if not isinstance(source, Mapping):
        return load_recipe_file(Path(source), (), changes)
    with tempfile.TemporaryDirectory(prefix="datagen-") as folder:
        path = Path(folder) / "recipe.yaml"
        path.write_text(yaml.safe_dump(json.loads(json.dumps(source)), allow_unicode=True), encoding="utf-8")
        return load_recipe_file(path, (), changes)


def load_policy(source: str | Path | Mapping[str, Any] | Policy) -> Policy:
    """Load a policy: a shipped one by name, a YAML file, or a mapping.

    >>> load_policy("light").name
    'light'

    Raises:
        DatagenError: there is no such policy, or it is wrong.
    """
    return source if isinstance(source, Policy) else read_policy(source)


def preview(recipe: Recipe, count: int = 4, console: Console | None = None) -> ShownRows:
    """Converse about a few images and return the rows, which show themselves in a notebook; nothing is written.

    Raises:
        DatagenError: as for a run.
    """
    previewed = preview_rows(recipe, count, console or _silent())
    rows = ShownRows()
    for row, pictures in previewed.rows:
        images = [{"bytes": picture.data, "path": None} for picture in pictures]
        rows.append(ShownRow.of({**row.model_dump(by_alias=True), "images": images}))
    rows.note = previewed.estimate()
    return rows


def run(
    recipe: Recipe,
    out: str | Path,
    console: Console | None = None,
    *,
    fresh: bool = False,
    retry_failed: bool = False,
    relist: bool = False,
    where: Executor | Literal["auto"] = "auto",
) -> Run:
    """Make a run, or go on with what is in `out`, and return it.

    Args:
        recipe: what to make.
        out: the run's directory.
        console: where progress is shown, if anywhere.
        fresh: throw away an earlier run first.
        retry_failed: make the failed images of an earlier run again.
        relist: list the source again, and take what was added to it into an earlier run.
        where: the work is done: `local` is this process, `ray` Ray's workers, `auto` this process for a few images.

    Raises:
        DatagenError: wrong input, or the run cannot go on; what is done is kept.
    """
    outcome = run_recipe(
        recipe, Path(out), console or _silent(), fresh=fresh, retry_failed=retry_failed, relist=relist, where=where
    )
    return Run(outcome.directory.path, outcome.manifest)


def open_run(path: str | Path) -> Run:
    """Return a finished run, or what `datagen filter` wrote.

    Raises:
        DatagenError: there is none.
    """
    return Run(Path(path), read_manifest(Path(path)))


def filter_conversations(
    source: str | Path | Iterable[Mapping[str, Any]],
    policy: str | Path | Mapping[str, Any] | Policy = "standard",
    out: str | Path | None = None,
) -> "Run | list[dict[str, Any]]":
    """Judge conversations that are there already; no model is called.

    Args:
        source: what `datagen filter` reads, by its path; or rows with `messages`, or `question` and `answer`.
        policy: by which they are judged.
        out: where verdicts and shards go; needed for a path.

    Returns:
        What was written to `out`; for rows, each with `state`, `findings` and `error`, in their order.

    Raises:
        DatagenError: the input cannot be read, or `out` is missing or cannot be written.
    """
    loaded = load_policy(policy)
    if isinstance(source, str | Path):
        if out is None:
            raise DatagenError("out is missing; name a directory, into which the shards of a path are written.")
        return Run(Path(out), filter_rows(Path(source), loaded, Path(out), Output()))
    if out is None:
        return _judged(list(source), loaded)
    with tempfile.TemporaryDirectory(prefix="datagen-") as folder:
        path = Path(folder) / "rows.jsonl"
        with path.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in source)
        return Run(Path(out), filter_rows(path, loaded, Path(out), Output()))


def _judged(rows: list[Mapping[str, Any]], policy: Policy) -> list[dict[str, Any]]:
    """Return rows with their verdicts; an id is not asked for."""
    verdicts = judge_conversations([{"id": "row", **row} for row in rows], policy).to_pylist()
    names = ("state", "findings", "error")
    return [{**row, **{name: verdict[name] for name in names}} for row, verdict in zip(rows, verdicts, strict=True)]


def _accounting(counts: Mapping[str, int]) -> str:
    return (
        f"{counts['inputs']:,} inputs = {counts['kept']:,} kept + {counts['dropped']:,} dropped + "
        f"{counts['failed']:,} failed"
    )


def _silent() -> Console:
    return PlainConsole(quiet=True)
