"""A product on the hub is the old one or the new one, and what was uploaded is not sent again."""

import json
from pathlib import Path

import pytest

from datagen.errors import DatagenError
from datagen.publishing.hub import push
from datagen.store.manifest import read_manifest
from tests.exporters.rows import judged, wild_row
from tests.publishing.hub.conftest import LocalHub

pytestmark = pytest.mark.slow


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return judged([wild_row(number, 1) for number in range(24)], tmp_path / "run", shard_bytes=10_000)


LOAD = """
import datasets, io, json, sys
rows = datasets.load_dataset("org/set", split="train", streaming={streaming})
print(json.dumps([[row["id"], [image.size for image in row["images"]]] for row in rows]))
"""


@pytest.mark.parametrize("streaming", [False, True])
def test_what_is_pushed_is_what_load_dataset_reads(run: Path, hub: LocalHub, streaming: bool) -> None:
    said = hub.run("-m", "datagen", "push", run, "org/set", "--private")
    assert "load_dataset('org/set')" in said
    manifest = read_manifest(run)
    seen = hub.control()
    assert seen["repositories"]["org/set"]["private"]
    assert set(seen["sent"]) >= {shard["sha256"] for shard in manifest["shards"]}
    loaded = json.loads(hub.run("-c", LOAD.format(streaming=streaming)).splitlines()[0])
    assert len(loaded) == manifest["counts"]["kept"] == 24
    assert all(len(sizes) == 1 for _, sizes in loaded)


def test_the_same_product_is_sent_once_and_another_takes_its_place_in_one_commit(
    run: Path, hub: LocalHub, tmp_path: Path
) -> None:
    hub.run("-m", "datagen", "push", run, "org/set")
    sent = len(hub.control()["sent"])
    assert "holds just this already" in hub.run("-m", "datagen", "push", run, "org/set")
    other = judged([wild_row(number, 1) for number in range(6)], tmp_path / "other", shard_bytes=10**9)
    hub.run("-m", "datagen", "push", other, "org/set")
    seen = hub.control()
    assert len(seen["sent"]) > sent
    shards = {shard["path"] for shard in read_manifest(other)["shards"]}
    _, first, second = seen["repositories"]["org/set"]["commits"]
    assert set(second) == {*shards, "README.md", "manifest.json"}
    assert set(first) == {*(shard["path"] for shard in read_manifest(run)["shards"]), "README.md", "manifest.json"}


def test_a_push_that_was_cut_off_shows_nothing_and_goes_on(run: Path, hub: LocalHub) -> None:
    hub.control(puts_left=1)
    said = hub.run("-m", "datagen", "push", run, "org/set", code=2)
    assert "what was uploaded is not sent again" in said
    assert hub.control()["repositories"]["org/set"]["commits"] == [[]]
    before = hub.control(puts_left=-1)["sent"]
    assert len(before) == 1
    hub.run("-m", "datagen", "push", run, "org/set")
    sent = hub.control()["sent"]
    assert len(sent) == len(set(sent))
    assert len(hub.control()["repositories"]["org/set"]["commits"]) == 2


def test_a_refusal_is_one_sentence(run: Path, hub: LocalHub) -> None:
    hub.control(refuses_commits=True)
    said = hub.run("-m", "datagen", "push", run, "org/set", code=2)
    assert said.count("\n") == 1
    assert "403" in said


@pytest.mark.parametrize("name", ["set", "org/set/more", "../set", "org/", "org/a b"])
def test_a_name_that_is_none_is_refused_before_anything_is_asked(run: Path, name: str) -> None:
    with pytest.raises(DatagenError, match="ORG/NAME"):
        push(run, name)


def test_shards_that_are_not_whole_are_not_pushed(run: Path) -> None:
    shard = run / read_manifest(run)["shards"][0]["path"]
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(DatagenError, match="not whole"):
        push(run, "org/set")


def test_the_card_says_what_the_manifest_says_and_the_hub_reads_its_head(run: Path) -> None:
    from huggingface_hub import DatasetCard

    card = DatasetCard.load(run / "README.md")
    assert card.data.language == "ja"
    assert card.data.size_categories == "n<1K"
    assert "24 rows = 24 kept + 0 dropped + 0 failed" in card.text
