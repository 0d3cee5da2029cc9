"""Stored conversations are a source: the same files and the same reading as `datagen filter`."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datagen.errors import DatagenError
from datagen.failures import Failure
from datagen.recipe import SourceSettings
from datagen.records import IMAGES, MESSAGES
from datagen.sources import Entry, Loaded, open_source
from tests.conftest import FakeServer, MakeRecipe, picture
from tests.without_ray import run_here, states

MESSAGE_LIST = [
    {"role": "system", "content": "日本語で答えます。"},
    {"role": "user", "content": "何色？"},
    {"role": "assistant", "content": "赤です。"},
]
ROWS: list[dict[str, Any]] = [
    {"id": "一", "messages": MESSAGE_LIST, "caption": "赤い屋根。"},
    {"id": 2, "question": "何匹？", "answer": "\U0001f436 三匹です。"},
]


def source_of(path: Path, **options: Any) -> Any:
    return open_source(SourceSettings(path=str(path), kind="conversations", **options), 1 << 20)


def loaded(path: Path, **options: Any) -> list[tuple[Entry, Loaded]]:
    source = source_of(path, **options)

    async def read() -> list[tuple[Entry, Loaded]]:
        return [(entry, await source.read(entry)) for entry in source.entries()]

    return asyncio.run(read())


FORMS = {
    "lines": lambda: "\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS) + "\n",
    "lines with empty ones and a mark": lambda: "\ufeff\n\n  " + "\r\n\n".join(json.dumps(row) for row in ROWS),
    "array": lambda: json.dumps(ROWS, ensure_ascii=False),
    "array over several lines": lambda: "\n " + json.dumps(ROWS, ensure_ascii=False, indent=2),
    "objects over several lines": lambda: "\n".join(json.dumps(row, ensure_ascii=False, indent=1) for row in ROWS),
}


@pytest.mark.parametrize("form", FORMS)
def test_json_of_every_form_is_found_by_its_bytes(tmp_path: Path, form: str) -> None:
    (tmp_path / "rows.json").write_text(FORMS[form](), encoding="utf-8", newline="")
    (first, one), (second, two) = loaded(tmp_path / "rows.json")
    assert [first.key, second.key] == ["一", "2"]
    assert [message.model_dump() for message in one.messages] == MESSAGE_LIST
    assert one.caption == "赤い屋根。"
    assert [message.content for message in two.messages] == ["何匹？", "\U0001f436 三匹です。"]


def test_parquet_gives_its_pictures_too(tmp_path: Path) -> None:
    images = [[{"bytes": picture(number), "path": None} for number in range(count)] for count in (2, 0)]
    table = pa.table(
        {
            "id": ["a", "b"],
            "images": pa.array(images, IMAGES),
            "messages": pa.array([MESSAGE_LIST] * 2, MESSAGES),
        }
    )
    pq.write_table(table, tmp_path / "rows.parquet", row_group_size=1)
    (_, one), (_, two) = loaded(tmp_path)
    assert one.pictures == (picture(0), picture(1))
    assert two.pictures == ()


def test_ids_that_are_missing_or_stand_twice_get_a_key_of_their_own(tmp_path: Path) -> None:
    rows = [{"id": "a", "question": "何？", "answer": "花。"}, {"question": "何？", "answer": "花。"}]
    lines = [*rows, rows[0]]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    assert [entry.key for entry, _ in loaded(tmp_path / "rows.jsonl")] == ["a", "rows.jsonl#1", "rows.jsonl#2"]


def test_a_row_that_is_no_conversation_fails_alone(tmp_path: Path) -> None:
    lines = [json.dumps(ROWS[0]), '{"id": "torn', '{"id": "x", "messages": [{"role": "tool", "content": "y"}]}']
    (tmp_path / "rows.jsonl").write_text("\n".join(lines), encoding="utf-8")
    source = source_of(tmp_path / "rows.jsonl")
    good, *bad = list(source.entries())
    assert asyncio.run(source.read(good)).messages
    for entry in bad:
        with pytest.raises(Failure) as failure:
            asyncio.run(source.read(entry))
        assert failure.value.failure_class == "bad_row"


def test_other_encodings_are_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps(ROWS[0]), encoding="utf-16")
    with pytest.raises(DatagenError, match="save it as UTF-8"):
        list(source_of(tmp_path / "rows.jsonl").entries())


def test_stored_conversations_are_judged_by_a_model_and_every_row_is_accounted_for(
    tmp_path: Path, fake_server: FakeServer, make_recipe: MakeRecipe
) -> None:
    lines = [*map(json.dumps, ROWS), '{"id": "torn']
    (tmp_path / "rows.jsonl").write_text("\n".join(lines), encoding="utf-8")
    stages = [{"prompt": "faithfulness", "engine": "vlm"}]
    recipe = make_recipe(tmp_path / "rows.jsonl", fake_server.endpoint, stages=stages, source__kind="conversations")
    manifest = run_here(recipe, tmp_path / "out")
    assert manifest["counts"]["inputs"] == 3
    assert manifest["failures"] == {"bad_row": 1}
    assert set(states(tmp_path / "out")) == {"一", "2", "rows.jsonl#2"}
    rows = [row for path in (tmp_path / "out" / "parts").glob("*.parquet") for row in pq.read_table(path).to_pylist()]
    one = next(row for row in rows if row["key"] == "一")
    assert one["messages"] == MESSAGE_LIST
    assert [score["name"] for score in one["scores"]] == ["faithfulness"]
    assert "回答1：赤です。" in one["calls"][0]["request"]


def test_pictures_that_json_names_are_read_from_beside_the_file_and_the_tags_are_gone(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for number in range(2):
        (tmp_path / "images" / f"{number}.jpg").write_bytes(picture(number))
    turns = [{"from": "human", "value": "<image>\n<image>\n何？"}, {"from": "gpt", "value": "桜です。"}]
    rows = [
        {"id": "two", "image": ["images/0.jpg", "images/1.jpg"], "conversations": turns},
        {"id": "gone", "image": "images/2.jpg", "conversations": turns},
    ]
    (tmp_path / "rows.json").write_text(json.dumps(rows), encoding="utf-8")
    source = source_of(tmp_path / "rows.json")
    two, gone = source.entries()
    found = asyncio.run(source.read(two))
    assert found.pictures == (picture(0), picture(1))
    assert [message.content for message in found.messages] == ["何？", "桜です。"]
    with pytest.raises(Failure) as caught:
        asyncio.run(source.read(gone))
    assert caught.value.failure_class == "unreadable"
