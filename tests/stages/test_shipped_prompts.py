"""Every shipped prompt makes conversations, alone and twice in one, through the same server and the same readers."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from prompts import load_prompt, prompt_names
from tests.conftest import FakeServer, MakeRecipe, write_pictures
from tests.without_ray import run_here, shard_digests

ASKING = [name for name in prompt_names() if load_prompt(name).answer.reads_as == "turn"]


@pytest.mark.parametrize("name", ASKING)
def test_a_prompt_makes_as_many_turns_as_it_is_asked_for(
    name: str, fake_server: FakeServer, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    write_pictures(tmp_path / "photos", 4)
    stages = [{"prompt": "caption_short", "engine": "vlm"}, {"prompt": name, "engine": "vlm", "repeat": 2}]
    run_here(make_recipe(tmp_path / "photos", fake_server.endpoint, stages=stages), tmp_path / "run")
    rows = [
        row for path in shard_digests(tmp_path / "run") for row in pq.read_table(tmp_path / "run" / path).to_pylist()
    ]
    assert len(rows) == 4
    for row in rows:
        assert [call["prompt"] for call in row["calls"]] == ["caption_short", name, name]
        assert len(row["messages"]) == 4
        first, second = (call["request"] for call in row["calls"][1:])
        assert first != second
