"""What is exported can be judged again, and be a source: every conversation, word for word, with its pictures."""

import asyncio
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from datagen.exporters.writing.export import export
from datagen.pipeline.filtering import filter_rows
from datagen.recipe import Output, SourceSettings
from datagen.sources import Loaded, open_source
from datagen.store.policies import read_policy
from tests.trainers.loaders import kept_rows

PLACES = {
    "llava": "llava/train.json",
    "llava_lines": "llava_lines/train.jsonl",
    "internvl": "internvl/train.jsonl",
    "sharegpt": "sharegpt/data",
    "messages": "messages",
    "finevision": "finevision",
}


@pytest.fixture(scope="module")
def exported(mixed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("read_back") / "export"
    export(mixed, list(PLACES), out)
    return out


@pytest.mark.parametrize("name", PLACES)
def test_filter_reads_every_conversation_of_an_export(name: str, exported: Path, mixed: Path, tmp_path: Path) -> None:
    (tmp_path / "nothing.yaml").write_text("name: nothing\nrules: []\n")
    manifest = filter_rows(exported / PLACES[name], read_policy(tmp_path / "nothing.yaml"), tmp_path / "out", Output())
    assert manifest["counts"] == {"inputs": 90, "kept": 90, "dropped": 0, "failed": 0}
    found = [row for path in sorted((tmp_path / "out" / "train").iterdir()) for row in pq.read_table(path).to_pylist()]
    assert {row["id"]: row["messages"] for row in found} == {row["id"]: row["messages"] for row in kept_rows(mixed)}


@pytest.mark.parametrize("name", [name for name in PLACES if name not in ("internvl", "sharegpt")])
def test_an_export_is_a_source_with_its_pictures(name: str, exported: Path, mixed: Path) -> None:
    source = open_source(SourceSettings(path=str(exported / PLACES[name]), kind="conversations"), 1 << 20)

    async def read() -> dict[str, Loaded]:
        return {entry.key: await source.read(entry) for entry in source.entries()}

    found = asyncio.run(read())
    for row in kept_rows(mixed):
        loaded = found[row["id"]]
        assert loaded.pictures == tuple(image["bytes"] for image in row["images"])
        assert [message.model_dump() for message in loaded.messages] == row["messages"]
