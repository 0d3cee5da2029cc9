"""A product on the Hugging Face hub, in one commit, so that a reader sees the old one or the new one.

What is large is uploaded before the commit and known by its SHA-256, so that an upload that was stopped goes on. The
token is that of `hf auth login` or `HF_TOKEN`.
"""

import re
import sys
from pathlib import Path
from typing import Any

import orjson

from datagen.errors import DatagenError
from datagen.publishing import MANIFEST, Published, product_files
from datagen.store.manifest import read_manifest, shards_are_there

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)


def push(run: Path, repository: str, *, private: bool = False, revision: str = "main") -> Published:
    """Upload a product, and remove the shards of an earlier one from the data set.

    Args:
        run: a finished run, or what `datagen filter` wrote.
        repository: ORG/NAME.
        private: whether it is private, where it is made.
        revision: the branch.

    Raises:
        DatagenError: the name is wrong, shards are missing, or the hub refuses.
    """
    if not _NAME.fullmatch(repository):
        raise DatagenError(f"{repository} is no name of a data set; give ORG/NAME, of a-z, 0-9, -, _ and dots.")
    manifest = read_manifest(run)
    if not shards_are_there(run, manifest):
        raise DatagenError(f"Shards of {run} are missing or not whole; run the command that cut them again.")
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
    from huggingface_hub.utils.tqdm import disable_progress_bars

    if not sys.stderr.isatty():
        disable_progress_bars()
    api = HfApi()
    files = product_files(manifest)
    try:
        url = api.create_repo(repository, repo_type="dataset", private=private or None, exist_ok=True)
        there = set(api.list_repo_files(repository, repo_type="dataset", revision=revision))
        if set(files) <= there and _published(api, repository, revision) == (run / MANIFEST).read_bytes():
            return Published(str(url), 0, 0)
        added = [CommitOperationAdd(path, str(run / path)) for path in files]
        earlier = _of_earlier(api, repository, revision, there) - set(files)
        removed = [CommitOperationDelete(path) for path in sorted(earlier)]
        counts = manifest["counts"]
        api.create_commit(
            repository,
            [*added, *removed],
            commit_message=f"{manifest['task']}: {counts['kept']:,} kept of {counts['inputs']:,} rows",
            repo_type="dataset",
            revision=revision,
        )
    except Exception as error:  # the hub's client raises many kinds
        reasons = dict.fromkeys(str(it) for it in (error, error.__cause__) if it is not None)
        said = " ".join(" ".join(reasons).split())[:300]
        raise DatagenError(
            f"The hub did not take {repository} ({said}). See to the token (hf auth login) and the name, then run the "
            "same command: what was uploaded is not sent again."
        ) from error
    return Published(str(url), len(added), sum((run / path).stat().st_size for path in files))


def _published(api: Any, repository: str, revision: str) -> bytes:
    """Return the manifest that is on the hub."""
    path = api.hf_hub_download(repository, MANIFEST, repo_type="dataset", revision=revision)
    return Path(path).read_bytes()


def _of_earlier(api: Any, repository: str, revision: str, there: set[str]) -> set[str]:
    """Return the shards that an earlier push has left; files of others are none."""
    if MANIFEST not in there:
        return set()
    try:
        listed = {str(shard["path"]) for shard in orjson.loads(_published(api, repository, revision))["shards"]}
    except (ValueError, KeyError, TypeError):
        return set()
    return listed & there
