"""Publishing into a cloud: s3://, gs:// and whatever else fsspec knows.

Every version has a folder of its own, named by the digest of its manifest; when all its files are there, one file
beside the folders is replaced, `manifest.json` or, for exports, `export.json`, in which every path begins with that
folder. A reader who begins with that file finds one version, whole. The version before stays for those who are reading
it; older ones go.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from datagen.errors import DatagenError
from datagen.exporters.writing.export import MANIFEST as EXPORT
from datagen.exporters.writing.store import FOLDER as PICTURES
from datagen.files.clouds import filesystem, said_of
from datagen.files.writing import digest_of
from datagen.progress import counted
from datagen.publishing import MANIFEST, Published, product_files
from datagen.store.manifest import read_manifest, shards_are_there

_AT_ONCE = 64
_DIGITS = 16


def publish(folder: Path, url: str) -> Published:
    """Upload a product or an export; the same call goes on where another one was stopped.

    Args:
        folder: a finished run, what `datagen filter` wrote, or the folder of an export.
        url: where its versions are.

    Raises:
        DatagenError: files are missing, or the cloud refuses.
    """
    pointer = EXPORT if (folder / EXPORT).exists() else MANIFEST
    document = _document(folder, pointer)
    version = digest_of((folder / pointer).read_bytes())[:_DIGITS]
    system, root = filesystem(url)
    with said_of(url):
        there = {path: about["size"] for path, about in _found(system, f"{root}/{version}").items()}
        names = list(_files(folder, pointer, document))
        sizes = {name: (folder / name).stat().st_size for name in names}
        missing = [name for name in names if there.get(f"{root}/{version}/{name}") != sizes[name]]
        with counted(f"publishing {version}", len(names)) as advance:
            advance(len(names) - len(missing))
            for first in range(0, len(missing), _AT_ONCE):
                some = missing[first : first + _AT_ONCE]
                system.put([str(folder / name) for name in some], [f"{root}/{version}/{name}" for name in some])
                advance(len(some))
        before = _pointer(system, f"{root}/{pointer}")
        if before.get("version") != version:
            told = {"version": version, "previous": before.get("version"), **_prefixed(document, version)}
            system.pipe_file(f"{root}/{pointer}", orjson.dumps(told, option=orjson.OPT_INDENT_2))
            _remove_older(system, root, {version, before.get("version")})
    return Published(f"{url.rstrip('/')}/{version}", len(missing), sum(sizes[name] for name in missing))


def _document(folder: Path, pointer: str) -> dict[str, Any]:
    """Return what the manifest of a product or an export says.

    Raises:
        DatagenError: there is none, or files that it lists are missing.
    """
    if pointer == EXPORT:
        document: dict[str, Any] = orjson.loads((folder / pointer).read_bytes())
        listed = [file for about in document.values() for file in about["files"]]
        whole = all((folder / file["path"]).is_file() for file in listed)
    else:
        document = read_manifest(folder)
        whole = shards_are_there(folder, document)
    if not whole:
        raise DatagenError(f"Files of {folder} are missing or not whole; run the command that wrote them again.")
    return document


def _files(folder: Path, pointer: str, document: Mapping[str, Any]) -> Iterator[str]:
    if pointer == MANIFEST:
        yield from product_files(document)
        return
    for about in document.values():
        yield from (str(file["path"]) for file in about["files"])
    for path in sorted((folder / PICTURES).rglob("*")):
        if path.is_file():
            yield path.relative_to(folder).as_posix()
    yield EXPORT


def _prefixed(document: Mapping[str, Any], version: str) -> dict[str, Any]:
    """Return a manifest whose paths begin with the folder of the version."""

    def of_version(files: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**file, "path": f"{version}/{file['path']}"} for file in files]

    if "shards" in document:
        return {**document, "shards": of_version(document["shards"])}
    return {"formats": {name: {**about, "files": of_version(about["files"])} for name, about in document.items()}}


def _found(system: Any, path: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = system.find(path, detail=True)
    except FileNotFoundError:
        return {}
    return found


def _pointer(system: Any, path: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = orjson.loads(system.cat_file(path))
    except (FileNotFoundError, ValueError):
        return {}
    return found


def _remove_older(system: Any, root: str, kept: set[str | None]) -> None:
    for path in system.ls(root, detail=False):
        name = str(path).rstrip("/").rpartition("/")[2]
        if len(name) == _DIGITS and name not in kept and set(name) <= set("0123456789abcdef"):
            system.rm(path, recursive=True)
