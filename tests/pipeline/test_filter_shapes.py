"""`datagen filter` reads conversations in the shapes that other tools have for them."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.pipeline.test_filter_inputs import filtered, rows_of

SHAPES: dict[str, list[dict[str, Any]]] = {
    "LLaVA": [
        {
            "id": str(number),
            "image": "a.jpg",
            "conversations": [{"from": "human", "value": "<image>\n何？"}, {"from": "gpt", "value": answer}],
        }
        for number, answer in enumerate(("桜です。", "桜です。ほかに何が見えますか？"))
    ],
    "ShareGPT without ids": [
        {"conversations": [{"from": "human", "value": "何？"}, {"from": "gpt", "value": answer}]}
        for answer in ("桜です。", "桜です。ほかに何が見えますか？")
    ],
    "blocks": [
        {
            "id": str(number),
            "images": ["a.jpg"],
            "messages": [
                {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "何？"}]},
                {"role": "assistant", "content": [{"type": "text", "text": answer}]},
            ],
        }
        for number, answer in enumerate(("桜です。", "桜です。ほかに何が見えますか？"))
    ],
    "FineVision": [
        {"id": str(number), "texts": [{"user": "何？", "assistant": answer}]}
        for number, answer in enumerate(("桜です。", "桜です。ほかに何が見えますか？"))
    ],
}


NOTHING: dict[str, dict[str, Any]] = {
    "LLaVA": {"conversations": []},
    "blocks": {"messages": []},
    "FineVision": {"texts": []},
}


@pytest.mark.parametrize("array", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_shapes_of_other_formats_are_read_as_messages(shape: str, array: bool, tmp_path: Path) -> None:
    text = json.dumps(SHAPES[shape], indent=1) if array else "\n".join(map(json.dumps, SHAPES[shape]))
    (tmp_path / "in.json").write_text(text, encoding="utf-8")
    manifest = filtered(tmp_path / "in.json", tmp_path / "out")
    assert manifest["counts"] == {"inputs": 2, "kept": 1, "dropped": 1, "failed": 0}
    kept = next(row for row in rows_of(tmp_path / "out") if row["state"] == "kept")
    said = [(message["role"], message["content"]) for message in kept["messages"]]
    assert said == [("user", "何？"), ("assistant", "桜です。")]


@pytest.mark.parametrize("shape", [name for name in SHAPES if name != "ShareGPT without ids"])
def test_the_shapes_of_other_formats_are_read_from_parquet_with_their_columns(shape: str, tmp_path: Path) -> None:
    rows = [{**row, "mine": number} for number, row in enumerate(SHAPES[shape])]
    pq.write_table(pa.Table.from_pylist([*rows, {**rows[0], "id": "none", **NOTHING[shape]}]), tmp_path / "in.parquet")
    manifest = filtered(tmp_path / "in.parquet", tmp_path / "out")
    assert manifest["counts"] == {"inputs": 3, "kept": 1, "dropped": 1, "failed": 1}
    kept = next(row for row in rows_of(tmp_path / "out") if row["state"] == "kept")
    assert [(it["role"], it["content"]) for it in kept["messages"]] == [("user", "何？"), ("assistant", "桜です。")]
    assert kept["mine"] == 0
    (failed,) = (row for row in rows_of(tmp_path / "out") if row["state"] == "failed")
    assert failed["id"] == "none"
