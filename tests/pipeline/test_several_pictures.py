"""Rows of no, one and several pictures: from the source through kills and the cut to what `datasets` decodes."""

import hashlib
from pathlib import Path
from typing import Any

import datasets
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datagen.records import IMAGES, MESSAGES
from datagen.store.journal import Journal
from tests.conftest import FakeServer, MakeRecipe, picture
from tests.without_ray import run_here, shard_digests

COUNTS = [1, 3, 0, 2, 1, 3]
TURN = [{"role": "user", "content": "何が見えますか？"}, {"role": "assistant", "content": "屋根です。"}]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A Parquet file of conversations about 1, 3, 0, 2, 1 and 3 pictures."""
    images = [
        [{"bytes": picture(10 * row + number), "path": None} for number in range(count)]
        for row, count in enumerate(COUNTS)
    ]
    table = pa.table(
        {
            "id": [f"row {number}" for number in range(len(COUNTS))],
            "images": pa.array(images, IMAGES),
            "messages": pa.array([TURN] * len(COUNTS), MESSAGES),
        }
    )
    pq.write_table(table, tmp_path / "rows.parquet")
    return tmp_path / "rows.parquet"


def made(source: Path, server: FakeServer, make_recipe: MakeRecipe, out: Path) -> dict[str, dict[str, Any]]:
    recipe = make_recipe(source, server.endpoint, source__kind="conversations", output__part_rows=2)
    manifest = run_here(recipe, out)
    assert manifest["counts"]["failed"] == 0
    shards = [out / shard["path"] for shard in manifest["shards"]]
    return {row["key"]: row for path in shards for row in pq.read_table(path).to_pylist()}


def test_all_pictures_of_a_row_come_out_byte_for_byte_and_in_order(
    source: Path, fake_server: FakeServer, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    rows = made(source, fake_server, make_recipe, tmp_path / "out")
    for number, count in enumerate(COUNTS):
        row = rows[f"row {number}"]
        wanted = [picture(10 * number + place) for place in range(count)]
        assert [image["bytes"] for image in row["images"]] == wanted
        assert [known["sha256"] for known in row["pictures"]] == [hashlib.sha256(data).hexdigest() for data in wanted]
        names = [image["path"] for image in row["images"]]
        assert names == ([f"{row['id']}.jpg"] if count == 1 else [f"{row['id']}.{place}.jpg" for place in range(count)])
        assert row["messages"][:2] == TURN


@pytest.mark.parametrize("streaming", [False, True])
def test_datasets_decodes_them_with_no_argument(
    source: Path, fake_server: FakeServer, make_recipe: MakeRecipe, tmp_path: Path, streaming: bool
) -> None:
    rows = made(source, fake_server, make_recipe, tmp_path / "out")
    loaded = datasets.load_dataset(str(tmp_path / "out"), streaming=streaming, cache_dir=str(tmp_path / "cache"))
    found = {row["key"]: [image.size for image in row["images"]] for split in loaded.values() for row in split}
    assert found == {key: [(96, 64)] * len(row["images"]) for key, row in rows.items()}


def test_a_row_whose_last_picture_was_lost_with_the_power_is_made_again_and_the_shards_are_the_same(
    source: Path, fake_server: FakeServer, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    made(source, fake_server, make_recipe, tmp_path / "out")
    before = shard_digests(tmp_path / "out")
    parts = tmp_path / "out" / "parts"
    sealed, tar = parts / "part-000000.parquet", parts / "part-000000.tar"
    stored = pq.read_table(sealed).to_pylist()
    lines = [orjson.dumps(row) + b"\n" for row in stored]
    sealed.unlink()
    (parts / "part-000000.jsonl").write_bytes(b"".join(lines))
    several = next(row for row in stored if len(row["members"]) == 3)
    last = several["members"][-1]
    with tar.open("r+b") as file:
        file.truncate(last["offset"] + last["size"] - 1)
    with Journal(parts, 0) as journal:
        assert several["position"] not in journal.done
    (tmp_path / "out" / "parts" / "uncut").touch()
    made(source, fake_server, make_recipe, tmp_path / "out")
    assert shard_digests(tmp_path / "out") == before
