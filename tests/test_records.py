"""One schema: a row in code, in a part and in a shard are the same columns with the same types."""

import io
import json
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from pydantic import BaseModel, ValidationError

from datagen.failures import FAILURE_CLASSES, Failure
from datagen.records import (
    IMAGES,
    PART_SCHEMA,
    ROW_SCHEMA,
    STATES,
    Call,
    ErrorRecord,
    FindingRecord,
    Member,
    MessageRecord,
    PartRow,
    PictureRecord,
    Row,
    ScoreRecord,
    shard_schema,
)
from filters import Finding
from tests.conftest import picture


def assert_in_step(annotation: Any, arrow: pa.DataType, place: str) -> None:
    if get_origin(annotation) in (Union, UnionType):
        (annotation,) = (kind for kind in get_args(annotation) if kind is not NoneType)
    if get_origin(annotation) is Literal:
        annotation = str
    if get_origin(annotation) is list:
        assert pa.types.is_list(arrow), place
        (inner,) = get_args(annotation)
        assert_in_step(inner, arrow.value_type, f"{place}[]")
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        assert pa.types.is_struct(arrow), place
        assert_model_in_step(annotation, list(arrow.fields), place)
    elif annotation is int:
        assert pa.types.is_integer(arrow), place
    elif annotation is float:
        assert arrow == pa.float64(), place
    else:
        assert annotation is str, place
        assert arrow == pa.string(), place


def assert_model_in_step(model: type[BaseModel], fields: "list[pa.Field[Any]]", place: str = "") -> None:
    names = [field.alias or name for name, field in model.model_fields.items()]
    assert names == [field.name for field in fields], place
    for field, about in zip(fields, model.model_fields.values(), strict=True):
        assert_in_step(about.annotation, field.type, f"{place}.{field.name}")


def test_rows_in_code_and_on_disk_are_in_step() -> None:
    assert_model_in_step(Row, list(ROW_SCHEMA))


def test_rows_in_parts_are_in_step() -> None:
    assert_model_in_step(PartRow, list(PART_SCHEMA))
    assert list(PART_SCHEMA)[: len(ROW_SCHEMA)] == list(ROW_SCHEMA)


def test_shards_have_the_columns_of_a_row_and_the_pictures() -> None:
    schema = shard_schema()
    assert schema.names == ["id", "images", *ROW_SCHEMA.names[1:]]
    assert schema.field("images").type == IMAGES
    for field in ROW_SCHEMA:
        assert schema.field(field.name).equals(field)


def test_findings_are_stored_as_the_filters_say_them() -> None:
    assert list(Finding._fields) == list(FindingRecord.model_fields)


def full_row() -> PartRow:
    """A row with something in every field."""
    call = Call(
        stage=1, engine="vlm", model="m", prompt="p", prompt_digest="d", sampling="{}", seed=2**31 - 1, attempt=2,
        request="質問を一つ。", answer="{}", finish_reason="stop", prompt_tokens=2**31 - 1, completion_tokens=1,
    )  # fmt: skip
    return PartRow(
        id="0" * 32, key="花/桜.jpg", source="s", url="u",
        pictures=[PictureRecord(sha256=letter * 64, phash="b" * 16, width=64, height=48) for letter in "ab"],
        license="CC0", task="t", caption="桜が咲いています。",
        messages=[
            MessageRecord(role="system", content="日本語で。"),
            MessageRecord(role="user", content="何の花ですか？"),
            MessageRecord(role="assistant", content="桜です。🌸"),
        ],
        scores=[ScoreRecord(name="sharpness", value=0.1), ScoreRecord(name="fit", value=-2.5, reason="r", message=2)],
        findings=[
            FindingRecord(rule="question", message=2, start=0, end=4, text="桜です。", evidence="e"),
            FindingRecord(rule="sharpness", message=None, start=0, end=0, text="", evidence="e"),
        ],
        state="failed", policy="c" * 16, error=ErrorRecord(class_="timeout", message="m"), calls=[call, call],
        position=2**40, members=[Member(suffix=".jpg", offset=2**40, size=2**33) for _ in "ab"],
    )  # fmt: skip


@pytest.mark.parametrize("row", [full_row(), PartRow(id="1", key="k", source="s", task="t", state="kept", position=0)])
def test_a_row_comes_back_from_json_and_from_parquet_as_it_was(row: PartRow) -> None:
    assert PartRow.model_validate_json(row.model_dump_json(by_alias=True)) == row
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([row.model_dump(by_alias=True)], schema=PART_SCHEMA), file)
    (read,) = pq.read_table(file).to_pylist()
    assert PartRow.model_validate(read) == row


def test_unknown_fields_states_and_roles_are_refused() -> None:
    for change in ({"stat": "kept"}, {"state": "lost"}, {"messages": [{"role": "tool", "content": ""}]}):
        with pytest.raises(ValidationError):
            PartRow.model_validate(full_row().model_dump(by_alias=True) | change)


def test_states_are_three_and_every_failure_class_is_one_word() -> None:
    assert STATES == ("kept", "dropped", "failed")
    assert len(set(FAILURE_CLASSES)) == len(FAILURE_CLASSES)
    assert all(name.replace("_", "").isalpha() for name in FAILURE_CLASSES)


def test_the_message_of_a_failure_is_always_valid_unicode() -> None:
    assert Failure("internal", "\udcff and 桜").message == "\\udcff and 桜"


def test_a_shard_decodes_in_datasets_with_no_argument(tmp_path: Any) -> None:
    row: dict[str, Any] = full_row().model_dump(by_alias=True)
    stored = [{"bytes": picture(number), "path": f"{number}.jpg"} for number in range(3)]
    rows = [{name: row.get(name) for name in shard_schema().names} | {"images": stored[:count]} for count in (1, 0, 3)]
    pq.write_table(pa.Table.from_pylist(rows, schema=shard_schema()), tmp_path / "train-00000-of-00001.parquet")
    for streaming in (False, True):
        loaded = datasets.load_dataset(
            "parquet",
            data_files=str(tmp_path / "*.parquet"),
            split="train",
            streaming=streaming,
            cache_dir=str(tmp_path),
        )
        first, second, third = list(loaded)
        assert [len(found["images"]) for found in (first, second, third)] == [1, 0, 3]
        assert all(isinstance(image, Image.Image) and image.size == (96, 64) for image in third["images"])
        assert first["messages"] == row["messages"]
        assert first["calls"] == row["calls"]
        assert loaded.features["images"] == datasets.List(datasets.Image())
        assert first["scores"] == row["scores"]
        assert "List" not in json.dumps(json.loads(shard_schema().metadata[b"huggingface"]))  # of datasets 4 and later
