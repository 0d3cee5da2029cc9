"""What is published in a cloud is the old version or the new one, whenever the publisher dies."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from datagen.errors import DatagenError
from datagen.exporters.writing.export import export
from datagen.publishing.cloud import publish
from datagen.store.manifest import read_manifest
from tests.clouds import memory_folder, s3_bucket
from tests.conftest import ROOT, called
from tests.exporters.rows import judged, wild_row
from tests.killing import Killed, killed_after


@pytest.fixture
def memory() -> Iterator[str]:
    with memory_folder("sets") as url:
        yield url


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    with s3_bucket() as url:
        yield url


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    """Three products of different rows, of which the shards have the same names."""
    return [
        judged([wild_row(10 * version + number, 1) for number in range(6)], tmp_path / f"run-{version}", 10_000)
        for version in range(3)
    ]


def read(url: str) -> dict[str, Any] | None:
    """Read what a reader reads: the manifest, then every shard that it lists, each of which has to be whole."""
    system, root = fsspec.core.url_to_fs(url)
    try:
        manifest: dict[str, Any] = json.loads(system.cat_file(f"{root}/manifest.json"))
    except FileNotFoundError:
        return None
    for shard in manifest["shards"]:
        data = system.cat_file(f"{root}/{shard['path']}")
        assert hashlib.sha256(data).hexdigest() == shard["sha256"]
    return manifest


def digests(manifest: dict[str, Any] | None) -> list[str] | None:
    return None if manifest is None else [shard["sha256"] for shard in manifest["shards"]]


@pytest.mark.parametrize("cloud", ["memory", pytest.param("s3", marks=pytest.mark.slow)])
def test_a_product_is_published_once_and_replaced_as_a_whole(
    cloud: str, request: pytest.FixtureRequest, runs: list[Path]
) -> None:
    url = f"{request.getfixturevalue(cloud)}/set"
    for run in runs:
        published = publish(run, url)
        assert published.uploaded == len(read_manifest(run)["shards"]) + 2
        assert digests(read(url)) == digests(read_manifest(run))
        assert publish(run, url).uploaded == 0
    system, root = fsspec.core.url_to_fs(url)
    versions = [path for path in system.ls(root, detail=False) if not path.endswith(".json")]
    assert len(versions) == 2  # the newest, and the one before it, which somebody may be reading


def test_a_reader_sees_the_old_or_the_new_product_wherever_the_publisher_is_killed(
    memory: str, runs: list[Path]
) -> None:
    old, new, _ = runs
    memory_system = type(fsspec.filesystem("memory"))
    seen = set()
    step = 0
    while True:
        url = f"{memory}/{step}"
        publish(old, url)
        try:
            with killed_after(step, [memory_system], "put_file", "pipe_file", "rm"):
                publish(new, url)
            done = True
        except Killed:
            done = False
        found = digests(read(url))
        assert found in (digests(read_manifest(old)), digests(read_manifest(new)))
        seen.add(tuple(found or ()))
        publish(new, url)
        assert digests(read(url)) == digests(read_manifest(new))
        if done:
            break
        step += 1
    assert step > len(read_manifest(new)["shards"])
    assert len(seen) == 2


def test_a_file_that_was_cut_is_sent_again(memory: str, runs: list[Path]) -> None:
    publish(runs[0], memory)
    manifest = read(memory)
    assert manifest is not None
    system, root = fsspec.core.url_to_fs(memory)
    shard = f"{root}/{manifest['shards'][0]['path']}"
    system.pipe_file(shard, system.cat_file(shard)[:-1])
    assert publish(runs[0], memory).uploaded == 1
    assert read(memory) is not None


def test_an_export_is_published_with_its_pictures(memory: str, runs: list[Path], tmp_path: Path) -> None:
    export(runs[0], ["llava", "webdataset"], tmp_path / "export")
    publish(tmp_path / "export", memory)
    system, root = fsspec.core.url_to_fs(memory)
    told = json.loads(system.cat_file(f"{root}/export.json"))
    folder = f"{root}/{told['version']}"
    for about in told["formats"].values():
        for file in about["files"]:
            assert hashlib.sha256(system.cat_file(f"{root}/{file['path']}")).hexdigest() == file["sha256"]
    for row in json.loads(system.cat_file(f"{folder}/llava/train.json")):
        name = row["image"].removeprefix("../")
        data = system.cat_file(f"{folder}/{name}")
        assert hashlib.sha256(data).hexdigest() == Path(name).stem


@pytest.mark.slow
def test_export_and_push_take_urls(
    s3: str, runs: list[Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _ = called(monkeypatch, capsys, "export", runs[0], "--format", "llava", "--out", f"{s3}/exported")
    assert not code
    assert not list(runs[0].parent.glob(".*.export"))
    system = fsspec.filesystem("s3", skip_instance_cache=True)
    assert json.loads(system.cat_file("bucket/exported/export.json"))["formats"]["llava"]["rows"] == {"train": 6}
    code, _ = called(monkeypatch, capsys, "push", runs[0], f"{s3}/pushed")
    assert not code
    assert read(f"{s3}/pushed") is not None


def test_what_is_not_whole_is_not_published(memory: str, runs: list[Path]) -> None:
    shard = runs[0] / read_manifest(runs[0])["shards"][0]["path"]
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(DatagenError, match="not whole"):
        publish(runs[0], memory)
    assert read(memory) is None


@pytest.mark.slow
def test_a_bucket_that_is_not_there_is_one_sentence(s3: str, runs: list[Path]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "datagen", "push", str(runs[0]), "s3://no-such-bucket/set"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "no-such-bucket" in done.stderr
