"""What a cut leaves: shards in a folder for each state, and beside them manifest.json and a data card.

The manifest appears last. Shards count only when it is there and lists them, with size and SHA-256; nothing with a
time, a host or a path of this machine is in it.
"""

import glob
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel, ValidationError

from datagen.errors import DatagenError
from datagen.files.reading import reading
from datagen.files.writing import write_json, write_text
from datagen.records import SCHEMA_VERSION, STATES
from datagen.store.card import card
from datagen.store.run_directory import usable
from datagen.version import VERSION

PROVENANCE = {"datagen": VERSION, "schema": SCHEMA_VERSION}
"""Stands at the head of every manifest."""
FOLDERS = {"kept": "train", "dropped": "dropped", "failed": "failed"}
"""Where the shards of a state lie."""


class _ListedShard(BaseModel):
    path: str
    state: str
    rows: int
    bytes: int


class _Policy(BaseModel):
    name: str
    digest: str
    rules: list[dict[str, Any]]


class _Counts(BaseModel):
    inputs: int
    kept: int
    dropped: int
    failed: int


class _Manifest(BaseModel):
    """What every manifest has, and other commands read."""

    datagen: str
    task: str
    policy: _Policy
    counts: _Counts
    failures: dict[str, int]
    shards: list[_ListedShard]


def read_manifest(out: Path) -> dict[str, Any]:
    """Return the manifest of a finished run or filtering.

    Raises:
        DatagenError: there is none, or it is damaged.
    """
    path = usable(out) / "manifest.json"
    if not path.exists():
        raise DatagenError(
            f"{out} holds no finished run (it has no manifest.json); give the --out of a datagen run that has ended."
        )
    with reading(path, "Delete it and run the command that wrote it again, which calls no model for what is done."):
        manifest: dict[str, Any] = orjson.loads(path.read_bytes())
        try:
            _Manifest.model_validate(manifest)
        except ValidationError as error:
            fault = error.errors()[0]
            raise ValueError(f"{'.'.join(map(str, fault['loc'])) or 'all of it'}: {fault['msg']}") from error
    return manifest


def shards_are_there(out: Path, manifest: Mapping[str, Any]) -> bool:
    """Whether every shard of a manifest is there in its full size."""
    paths = {out / shard["path"]: shard["bytes"] for shard in manifest["shards"]}
    return all(path.is_file() and path.stat().st_size == size for path, size in paths.items())


def manifest_of(
    facts: Mapping[str, Any],
    inputs: int,
    counts: Mapping[str, int],
    failures: Mapping[str, int],
    shards: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Return a manifest.

    Args:
        facts: task, recipe and policy.
        inputs: how many rows went in.
        counts: of the rows that came out, by state.
        failures: of the failed ones, by class.
        shards: each with path, state, rows, bytes and digest.
    """
    return {
        **PROVENANCE,
        **facts,
        "counts": {"inputs": inputs} | {str(state): counts[state] for state in STATES},
        "failures": dict(sorted(failures.items())),
        "shards": list(shards),
    }


def claim_output(out: Path) -> None:
    """Make sure that a cut may replace what is in `out`.

    Raises:
        DatagenError: it holds files that no cut has written.
    """
    ours = (out / "manifest.json").exists() or (out / ".cut").exists()
    before_the_cut = {"run.lock", "verdicts.parquet", "verdicts.parquet.unfinished"}
    if not ours and any(entry.name not in before_the_cut for entry in out.iterdir()):
        raise DatagenError(f"{out} holds files that datagen did not write; choose an empty or new --out.")


def install(scratch: Path, out: Path, manifest: dict[str, Any]) -> None:
    """Replace the old shards by the new ones; the manifest goes first and comes back last."""
    (out / "manifest.json").unlink(missing_ok=True)
    for folder in FOLDERS.values():
        shutil.rmtree(out / folder, ignore_errors=True)
        if any((scratch / folder).iterdir()):
            (scratch / folder).rename(out / folder)
    write_text(out / "README.md", card(manifest, out, FOLDERS))
    write_json(out / "manifest.json", manifest)
    shutil.rmtree(scratch)


def load_call(out: Path) -> str:
    """Return Python that loads the rows kept; `datasets` takes `*`, `?` and `[...]` in a folder's name for a pattern.

    >>> load_call(Path("out"))
    "load_dataset('out')['train']"
    >>> load_call(Path("exp[2]"))
    "load_dataset('parquet', data_files='exp[[]2]/train/*.parquet')['train']"
    """
    if not glob.has_magic(str(out)):
        return f"load_dataset({str(out)!r})['train']"
    files = f"{glob.escape(str(out))}/{FOLDERS['kept']}/*.parquet"
    return f"load_dataset('parquet', data_files={files!r})['train']"
