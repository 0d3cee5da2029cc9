"""What `datagen filter` reads, and what becomes of it: every form of JSON, every type of column, several files."""

import codecs
import datetime
import decimal
import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datagen.errors import DatagenError, InterruptedRunError
from datagen.inspection.recutting import compare_runs, recut, what_if
from datagen.inspection.report import report_of
from datagen.pipeline.filtering import filter_rows
from datagen.recipe import Output
from datagen.records import MESSAGES as MESSAGES_TYPE
from datagen.sources.reading import json_conversations
from datagen.sources.reading.conversation_files import refuse_overlap
from filters import load_policy
from tests.conftest import picture
from tests.without_ray import without_ray

GOOD = {"id": "good", "question": "何の花ですか？", "answer": "これは満開の桜の花です。"}
ASKING = {"id": "asking", "question": "何の花ですか？", "answer": "これは桜の花です。ほかに何を知りたいですか？"}
PAIRS = [GOOD, ASKING]
POLICY = load_policy("light")
BOTH = {"good": "kept", "asking": "dropped"}


@pytest.fixture(autouse=True)
def _without_ray() -> Iterator[None]:
    with without_ray():
        yield


def filtered(source: Path, out: Path) -> dict[str, Any]:
    return filter_rows(source, POLICY, out, Output())


def rows_of(out: Path) -> list[dict[str, Any]]:
    shards = json.loads((out / "manifest.json").read_text(encoding="utf-8"))["shards"]
    return [row for shard in shards for row in pq.read_table(out / shard["path"]).to_pylist()]


def states(out: Path) -> dict[str, str]:
    return {row["id"]: row["state"] for row in rows_of(out)}


def faults(out: Path) -> dict[str, str]:
    return {row["id"]: row["error"]["message"] for row in rows_of(out) if row["error"]}


def lines(rows: list[Any], end: str = "\n", indent: int | None = None) -> str:
    return end.join(json.dumps(row, ensure_ascii=False, indent=indent) for row in rows) + end


JSON_FORMS: dict[str, tuple[str, bytes]] = {
    "lines": ("in.jsonl", lines(PAIRS).encode()),
    "lines named .json": ("in.json", lines(PAIRS).encode()),
    "lines named .txt": ("in.txt", lines(PAIRS).encode()),
    "an array": ("in.json", json.dumps(PAIRS, ensure_ascii=False).encode()),
    "an array named .jsonl": ("in.jsonl", json.dumps(PAIRS, ensure_ascii=False).encode()),
    "an array over lines": ("in.json", json.dumps(PAIRS, ensure_ascii=False, indent=2).encode()),
    "an array, an element a line": ("in.json", ("[\n" + ",\n".join(map(json.dumps, PAIRS)) + "\n]\n").encode()),
    "an array that starts on a line with an element": (
        "in.json",
        ("[" + ",\n".join(map(json.dumps, PAIRS)) + "]").encode(),
    ),
    "objects over several lines": ("in.json", lines(PAIRS, indent=2).encode()),
    "a byte order mark": ("in.jsonl", codecs.BOM_UTF8 + lines(PAIRS).encode()),
    "an array with a byte order mark": ("in.json", codecs.BOM_UTF8 + json.dumps(PAIRS).encode()),
    "files with marks, put together": ("in.jsonl", b"".join(codecs.BOM_UTF8 + lines([row]).encode() for row in PAIRS)),
    "UTF-16 with a mark": ("in.jsonl", lines(PAIRS).encode("utf-16")),
    "UTF-16 without one": ("in.jsonl", lines(PAIRS).encode("utf-16-le")),
    "an array in UTF-16": ("in.json", json.dumps(PAIRS).encode("utf-16")),
    "CRLF": ("in.jsonl", lines(PAIRS, "\r\n").encode()),
    "blank lines": ("in.jsonl", ("\n \n" + lines(PAIRS, "\n\n\r\n")).encode()),
    "no end of the last line": ("in.jsonl", lines(PAIRS).rstrip().encode()),
    "escapes": ("in.jsonl", "\n".join(map(json.dumps, PAIRS)).encode()),
    "NaN and infinities": (
        "in.jsonl",
        lines([{**row, "a": float("nan"), "b": float("-inf")} for row in PAIRS]).encode(),
    ),
    "NaN in an array": ("in.json", json.dumps([{**row, "a": float("nan")} for row in PAIRS]).encode()),
    "integers of any size": ("in.jsonl", lines([{**row, "seen": 10**40} for row in PAIRS]).encode()),
    "keys that stand twice": ("in.jsonl", lines(PAIRS).replace('{"id"', '{"id": "first", "id"').encode()),
    "raw tabs in a text": (
        "in.jsonl",
        lines([{**row, "note": "a\\tb"} for row in PAIRS]).replace("\\\\t", "\t").encode(),
    ),
    "characters that end lines elsewhere": (
        "in.jsonl",
        lines([{**row, "note": "a\u2028b\u0085c\x0bd"} for row in PAIRS]).encode(),
    ),
    "nested fields": ("in.jsonl", lines([{**row, "meta": {"a": [1, {"b": None}]}} for row in PAIRS]).encode()),
}


@pytest.mark.parametrize("form", JSON_FORMS)
def test_json_is_told_by_its_content_and_keeps_all_it_says(form: str, tmp_path: Path) -> None:
    name, content = JSON_FORMS[form]
    (tmp_path / name).write_bytes(content)
    filtered(tmp_path / name, tmp_path / "out")
    assert states(tmp_path / "out") == BOTH
    loaded = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    kept = loaded["train"][0]
    assert kept["messages"] == [
        {"role": "user", "content": GOOD["question"]},
        {"role": "assistant", "content": GOOD["answer"]},
    ]
    stored = json.loads(kept["record"], strict=False)
    assert GOOD.items() <= stored.items()
    assert json.dumps(stored.get("meta")) in ("null", '{"a": [1, {"b": null}]}')
    assert stored.get("seen") in (None, 10**40)


def test_one_object_is_one_row(tmp_path: Path) -> None:
    (tmp_path / "in.json").write_text(json.dumps(GOOD, indent=1), encoding="utf-8")
    assert filtered(tmp_path / "in.json", tmp_path / "out")["counts"]["kept"] == 1


def test_whole_numbers_are_ids_whatever_their_size(tmp_path: Path) -> None:
    rows = [{**GOOD, "id": 7}, {**GOOD, "id": 10**30}, {**GOOD, "id": 7.5}, {**GOOD, "id": True}, {**GOOD, "id": None}]
    (tmp_path / "in.jsonl").write_text(lines(rows), encoding="utf-8")
    filtered(tmp_path / "in.jsonl", tmp_path / "out")
    found = states(tmp_path / "out")
    assert found == {"7": "kept", str(10**30): "kept", "line-3": "failed", "line-4": "failed", "line-5": "failed"}


UNREADABLE = {
    "a list": ([1, 2], "it is no object"),
    "a torn line": ('{"id": "torn", "question": "', "it is no JSON"),
    "half a character": ('{"id": "a", "question": "\\ud800", "answer": "桜です。"}', "no valid Unicode"),
    "no UTF-8": ('{"id": "a", "question": "何？", "answer": "桜"}'.encode("cp932"), "not UTF-8"),
    "brackets without end": ('{"a":' * 100_000, "it is no JSON"),
    "a number of 5000 digits": ('{"id": "a", "n": ' + "1" * 5000 + "}", "it is no JSON"),
    "no answer": ({"id": "a", "question": "何？"}, "no question with an answer"),
    "content in pieces of another kind": (
        {"id": "a", "messages": [{"role": "user", "content": [{"type": "video", "video": "a.mp4"}]}]},
        "the content of message 0 is a list; needed is a text",
    ),
    "from without value": (
        {"id": "a", "messages": [{"from": "human", "text": "何？"}]},
        "message 0 has from, text; needed are role and content",
    ),
    "roles of another format": (
        {"id": "a", "conversations": [{"from": "student", "value": "何？"}, {"from": "teacher", "value": "桜。"}]},
        "no message has the role assistant, whose answers are judged; the roles are student, teacher",
    ),
    "messages as a text": ({"id": "a", "messages": "何？"}, "messages is a text"),
    "a message as a text": ({"id": "a", "messages": ["何？"]}, "message 0 is a text"),
    "a role that is a number": ({"id": "a", "messages": [{"role": 1, "content": "何？"}]}, "the role of message 0"),
}


@pytest.mark.parametrize("fault", UNREADABLE)
@pytest.mark.parametrize("first", [True, False])
def test_a_line_that_cannot_be_judged_fails_alone_and_says_why(fault: str, first: bool, tmp_path: Path) -> None:
    bad, message = UNREADABLE[fault]
    bad = bad if isinstance(bad, bytes) else (bad if isinstance(bad, str) else json.dumps(bad)).encode()
    good = json.dumps(GOOD).encode()
    (tmp_path / "in.jsonl").write_bytes(b"\n".join([bad, good] if first else [good, bad]))
    manifest = filtered(tmp_path / "in.jsonl", tmp_path / "out")
    assert manifest["counts"] == {"inputs": 2, "kept": 1, "dropped": 0, "failed": 1}
    assert manifest["failures"] == {"bad_row": 1}
    (row,) = (row for row in rows_of(tmp_path / "out") if row["state"] == "failed")
    assert message in row["error"]["message"]
    assert row["record"] == bad.decode("utf-8", "replace")


REFUSED: dict[str, tuple[str, bytes, str]] = {
    "nothing": ("in.jsonl", b"", "in.jsonl is empty"),
    "white space": ("in.jsonl", b" \n\n", "in.jsonl is empty"),
    "an empty array": ("in.json", b"[]", "in.json is empty"),
    "no JSON": ("in.jsonl", b"a\nb\n", "no JSON object that can be read .line 1: it is no JSON"),
    "Shift_JIS": ("in.jsonl", lines(PAIRS).encode("cp932"), "line 1: it is not UTF-8; save the file as UTF-8"),
    "other fields": ("in.jsonl", b'{"text": "a"}\n' * 9, "line 1, has text; needed are id and messages, or"),
    "conversations inside": (
        "in.json",
        json.dumps({"version": 1, "data": PAIRS}, indent=1).encode(),
        "has version, data; .* If the conversations are in 'data': jq -c '.data\\[\\]' writes them as JSON lines",
    ),
    "columns": ("in.json", b'{"id": {"0": "a"}, "question": {"0": "b"}}', "has id, question; needed are"),
    "an array cut short": ("in.json", json.dumps(PAIRS)[:-30].encode(), "is no JSON at or behind item 2"),
    "an array without end": ("in.json", json.dumps(PAIRS)[:-1].encode(), "expected , and found its end"),
    "an array with more behind": (
        "in.json",
        json.dumps(PAIRS, indent=1).encode() + b" x",
        "expected its end and found x",
    ),
    "a comma too much": ("in.json", json.dumps(PAIRS)[:-1].encode() + b",]", "is no JSON at or behind item 3"),
    "CSV": (
        "in.csv",
        "id,question,answer\na,何？,桜。\n".encode(),
        "neither Parquet nor JSON; give a run's .*read_csv",
    ),
    "another suffix": ("in.xlsx", b"PK\x03\x04xyz", "neither Parquet nor JSON"),
    "gzip": ("in.jsonl.gz", b"\x1f\x8b\x08abc", "is packed; unpack it first: gzip -dk"),
    "zstd": ("in.jsonl.zst", b"\x28\xb5\x2f\xfdabc", "is packed; unpack it first: zstd -dk"),
    "no Parquet": ("in.parquet", b"{}", "in.parquet is no readable Parquet file"),
    "Parquet cut short": ("in.parquet", b"PAR1abcdef", "in.parquet is no readable Parquet file"),
}


@pytest.mark.parametrize("form", REFUSED)
def test_what_has_no_conversation_is_refused_in_one_line(form: str, tmp_path: Path) -> None:
    name, content, message = REFUSED[form]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DatagenError, match=message) as caught:
        filtered(tmp_path / name, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out" / "manifest.json").exists()
    assert not (tmp_path / "out" / ".cut").exists()


def write(path: Path, **columns: Any) -> Path:
    """Write rows with a conversation and further columns."""
    path.parent.mkdir(exist_ok=True)
    pq.write_table(pa.table({name: pa.array([row[name] for row in PAIRS]) for name in GOOD} | columns), path)
    return path


MAP = pa.map_(pa.string(), pa.int64())
DAY = datetime.date(2024, 1, 2)
NOON = datetime.datetime.fromisoformat("2024-01-02T12:00:00")
LISTS = [["a"], None]
# What a column has, and what `load_dataset` gives for it behind the filter; without that, `datasets` has no such type.
COLUMNS: dict[str, tuple[Any, Any]] = {
    "int32": (pa.array([1, 2], pa.int32()), 1),
    "null": (pa.nulls(2), None),
    "bool": (pa.array([True, None]), True),
    "float16": (pa.array(np.array([1.5, 2], np.float16)), 1.5),
    "string": (pa.array(["a", None]), "a"),
    "large_string": (pa.array(["a", None], pa.large_string()), "a"),
    "string_view": (pa.array(["a", None], pa.string_view()), "a"),
    "dictionary": (pa.array(["a", None]).dictionary_encode(), "a"),
    "binary": (pa.array([b"a", None]), b"a"),
    "large_binary": (pa.array([b"a", None], pa.large_binary()), b"a"),
    "binary_view": (pa.array([b"a", None], pa.binary_view()), b"a"),
    "fixed_size_binary": (pa.array([b"ab", None], pa.binary(2)), b"ab"),
    "decimal128": (pa.array([decimal.Decimal("1.50"), None]), decimal.Decimal("1.50")),
    "date32": (pa.array([DAY, None]), DAY),
    "timestamp": (pa.array([NOON, None]), NOON),
    "timestamp of a zone": (
        pa.array([0, None], pa.timestamp("ms", "Asia/Tokyo")),
        datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC),
    ),
    "time64": (pa.array([datetime.time(1, 2), None]), datetime.time(1, 2)),
    "duration": (pa.array([datetime.timedelta(seconds=1), None]), datetime.timedelta(seconds=1)),
    "list": (pa.array(LISTS), ["a"]),
    "large_list": (pa.array(LISTS, pa.large_list(pa.string())), ["a"]),
    "list_view": (pa.array(LISTS, pa.list_view(pa.string())), ["a"]),
    "fixed_size_list": (pa.array([[1.0, 2.0], None], pa.list_(pa.float32(), 2)), [1.0, 2.0]),
    "list of nothing": (pa.array([[], None], pa.list_(pa.null())), []),
    "list of lists": (pa.array([[[1]], None]), [[1]]),
    "list of dictionaries": (
        pa.ListArray.from_arrays([0, 1, 1], pa.array(["a"]).dictionary_encode()),
        ["a"],
    ),
    "struct": (pa.array([{"a": 1, "b": ["c"]}, None]), {"a": 1, "b": ["c"]}),
    "list of structs": (pa.array([[{"a": 1}], None]), [{"a": 1}]),
    "JSON": (pa.array(['{"a": 1}', None], pa.json_()), {"a": 1}),
    "map": (pa.array([[("a", 1)], None], MAP), ...),
    "list of structs with a map": (pa.array([[{"m": [("a", 1)]}], None], pa.list_(pa.struct([("m", MAP)]))), ...),
    "decimal32": (pa.array([decimal.Decimal("1.50"), None], pa.decimal32(5, 2)), ...),
    "UUID": (pa.array([uuid.UUID(int=1).bytes, None], pa.uuid()), ...),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_a_column_of_any_type_is_kept_as_datasets_reads_it(kind: str, tmp_path: Path) -> None:
    column, wanted = COLUMNS[kind]
    filtered(write(tmp_path / "in.parquet", mine=column), tmp_path / "out")
    assert {row["id"]: row["mine"] for row in rows_of(tmp_path / "out")} == dict(
        zip(("good", "asking"), pq.read_table(tmp_path / "in.parquet").column("mine").to_pylist(), strict=True)
    )
    assert report_of(tmp_path / "out").counts["dropped"] == 1
    if wanted is ...:
        for path in (tmp_path / "in.parquet", tmp_path / "out"):
            with pytest.raises(Exception, match="does not have a datasets dtype equivalent"):
                datasets.load_dataset(str(path.parent if path.is_file() else path), cache_dir=str(tmp_path / "cache"))
        return
    loaded = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert loaded["train"][0]["mine"] == wanted


def test_what_datasets_knows_of_columns_goes_with_them(tmp_path: Path) -> None:
    features = datasets.Features(
        {name: datasets.Value("string") for name in GOOD}
        | {
            "label": datasets.ClassLabel(names=["花", "木"]),
            "labels": datasets.List(datasets.ClassLabel(names=["赤", "白"])),
            "grid": datasets.Array2D((2, 2), "int64"),
            "pages": datasets.List(datasets.Image()),
            "translation": datasets.Translation(["ja", "en"]),
            "sound": datasets.Audio(sampling_rate=16_000),
            "image": datasets.Image(),
        }
    )
    image = {"bytes": picture(1), "path": None}
    extra = {
        "label": 1,
        "labels": [0, 1],
        "grid": [[1, 2], [3, 4]],
        "pages": [image, image],
        "translation": {"ja": "花", "en": "flower"},
        "sound": {"bytes": b"RIFF", "path": None},
        "image": image,
    }
    kinds = pa.schema([(field.name, _storage(field.type)) for field in features.arrow_schema])
    table = pa.Table.from_pylist([{**row, **extra} for row in PAIRS], kinds).combine_chunks()
    place = kinds.get_field_index("grid")
    grids = pa.ExtensionArray.from_storage(features.arrow_schema.field("grid").type, table.column("grid").chunk(0))
    table = table.set_column(place, "grid", grids)
    for name in ("a.parquet", "b.parquet"):
        (tmp_path / "in").mkdir(exist_ok=True)
        pq.write_table(table.replace_schema_metadata(features.arrow_schema.metadata), tmp_path / "in" / name)
    filtered(tmp_path / "in", tmp_path / "out")
    loaded = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))["train"]
    assert {name: loaded.features[name] for name in features} == features
    pictures = loaded.select_columns(["pages", "image"])[0]
    assert pictures["pages"][1].size == pictures["image"].size == (96, 64)
    assert loaded.features["label"].int2str(loaded["label"][0]) == "木"


def _storage(kind: pa.DataType) -> pa.DataType:
    return kind.storage_type if isinstance(kind, pa.ExtensionType) else kind


def test_sounds_are_not_taken_for_pictures(tmp_path: Path) -> None:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    sounds = pa.array([None, {"bytes": b"RIFF", "path": "a.wav"}], kind)
    pictures = pa.array([None, {"bytes": picture(1), "path": "a.jpg"}], kind)
    filtered(write(tmp_path / "in.parquet", sound=sounds, photo=pictures), tmp_path / "out")
    loaded = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))["dropped"]
    assert loaded[0]["sound"] == {"bytes": b"RIFF", "path": "a.wav"}
    assert loaded[0]["photo"].size == (96, 64)


# The types of one column in two files, and what it is in the shards.
TOGETHER: dict[str, tuple[Any, Any, pa.DataType]] = {
    "int32 and int64": (pa.array([1, 2], pa.int32()), pa.array([1, 2]), pa.int64()),
    "integer and float": (pa.array([1, 2]), pa.array([0.5, None]), pa.float64()),
    "null and text": (pa.nulls(2), pa.array(["a", "b"]), pa.string()),
    "text and large text": (pa.array(["a", "b"]), pa.array(["a", "b"], pa.large_string()), pa.large_string()),
    "text and a view of it": (pa.array(["a", "b"]), pa.array(["a", "b"], pa.string_view()), pa.string()),
    "dictionary and text": (pa.array(["a", "b"]).dictionary_encode(), pa.array(["a", "b"]), pa.string()),
    "empty lists and lists": (pa.array([[], []]), pa.array([["a"], None]), pa.list_(pa.string())),
    "structs of other fields": (
        pa.array([{"a": 1}, {"a": 2}]),
        pa.array([{"b": "x", "a": 3}, None]),
        pa.struct([("a", pa.int64()), ("b", pa.string())]),
    ),
    "lists of structs of other fields": (
        pa.array([[{"a": 1}], []]),
        pa.array([[{"b": "x", "a": 3}], None]),
        pa.list_(pa.struct([("a", pa.int64()), ("b", pa.string())])),
    ),
    "maps": (pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int32())), pa.array([[("a", 1)], None], MAP), MAP),
}


@pytest.mark.parametrize("kinds", TOGETHER)
@pytest.mark.parametrize("swapped", [False, True])
def test_files_of_several_types_become_one_that_holds_them(kinds: str, swapped: bool, tmp_path: Path) -> None:
    first, second, wanted = TOGETHER[kinds]
    first, second = (second, first) if swapped else (first, second)
    write(tmp_path / "in" / "a.parquet", mine=first)
    write(tmp_path / "in" / "b.parquet", mine=second, other=pa.array(["x", "y"]))
    manifest = filtered(tmp_path / "in", tmp_path / "out")
    assert manifest["counts"] == {"inputs": 4, "kept": 2, "dropped": 2, "failed": 0}
    kept = pq.read_table(tmp_path / "out" / "train")
    assert kept.schema.field("mine").type == wanted or "fields" in kinds
    assert kept.column("other").to_pylist() == [None, "x"]
    values = [first[0].as_py(), second[0].as_py()]
    assert [_without_nulls(value) for value in kept.column("mine").to_pylist()] == values
    if wanted != MAP:
        assert datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))["train"].num_rows == 2


def _without_nulls(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return {key: held for key, held in value.items() if held is not None} if isinstance(value, dict) else value


def test_columns_that_no_type_holds_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    for number, column in enumerate([pa.nulls(2), pa.array([1, 2]), pa.array([0.5, 1]), pa.array(["a", "b"])]):
        write(tmp_path / "in" / f"{number}.parquet", score=column)
    with pytest.raises(DatagenError, match=r"Column 'score' is double in .*1.parquet and string in .*3.parquet, which"):
        filtered(tmp_path / "in", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_class_names_that_differ_are_refused(tmp_path: Path) -> None:
    for name, names in (("a", ["花", "木"]), ("b", ["木", "花"])):
        features = datasets.Features(
            {key: datasets.Value("string") for key in GOOD} | {"label": datasets.ClassLabel(names=names)}
        )
        table = pq.read_table(write(tmp_path / "in" / f"{name}.parquet", label=pa.array([0, 1])))
        pq.write_table(
            table.replace_schema_metadata(features.arrow_schema.metadata), tmp_path / "in" / f"{name}.parquet"
        )
    with pytest.raises(DatagenError, match=r"'label' has other class names in .*a.parquet than in .*b.parquet"):
        filtered(tmp_path / "in", tmp_path / "out")


def test_an_integer_that_no_float_holds_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    write(tmp_path / "in" / "a.parquet", mine=pa.array([0.5, 1]))
    write(tmp_path / "in" / "b.parquet", mine=pa.array([2**60 + 1, 1]))
    with pytest.raises(DatagenError, match=r"b.parquet: column 'mine' is int64 and cannot be written as double"):
        filtered(tmp_path / "in", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["run.lock"]


IDS: dict[str, tuple[Any, dict[str | None, str]]] = {
    "int64": (pa.array([1, 2]), {"1": "kept", "2": "dropped"}),
    "uint8": (pa.array([1, 2], pa.uint8()), {"1": "kept", "2": "dropped"}),
    "large_string": (pa.array(["a", "b"], pa.large_string()), {"a": "kept", "b": "dropped"}),
    "string_view": (pa.array(["a", "b"], pa.string_view()), {"a": "kept", "b": "dropped"}),
    "dictionary": (pa.array(["a", "b"]).dictionary_encode(), {"a": "kept", "b": "dropped"}),
    "int64 with nothing": (pa.array([1, None]), {"1": "kept", None: "failed"}),
    "float": (pa.array([1.0, 2.0]), {"1.0": "failed", "2.0": "failed"}),
    "bool": (pa.array([True, False]), {"True": "failed", "False": "failed"}),
    "null": (pa.nulls(2), {None: "failed"}),
    "list": (pa.array([["a"], ["b"]]), {"['a']": "failed", "['b']": "failed"}),
}


@pytest.mark.parametrize("kind", IDS)
def test_ids_become_text_and_what_is_no_id_fails(kind: str, tmp_path: Path) -> None:
    ids, wanted = IDS[kind]
    write(tmp_path / "in" / "a.parquet", id=ids)
    write(tmp_path / "in" / "b.parquet", id=pa.array(["x", "y"]))
    filtered(tmp_path / "in", tmp_path / "out")
    assert states(tmp_path / "out") == wanted | {"x": "kept", "y": "dropped"}
    verdicts = pq.read_table(tmp_path / "out" / "verdicts.parquet").to_pylist()
    assert {row["id"]: row["state"] for row in verdicts} == states(tmp_path / "out")
    what_if(tmp_path / "in", POLICY, load_policy({"name": "none", "rules": []}), tmp_path / "difference")


MESSAGES: dict[str, tuple[Any, str]] = {
    "JSON in a text": (pa.array(['[{"role": "user"}]'] * 2), "messages is a text"),
    "from without value": (pa.array([[{"from": "human", "text": "a"}]] * 2), "message 0 has from, text"),
    "content in pieces of another kind": (
        pa.array([[{"role": "user", "content": [{"type": "video", "text": "a"}]}]] * 2),
        "the content of message 0 is a list",
    ),
    "maps": (
        pa.array([[[("role", "user"), ("content", "a")]]] * 2, pa.list_(pa.map_(pa.string(), pa.string()))),
        "message 0",
    ),
    "content that is null": (
        pa.array([[{"role": "user", "content": None}]] * 2, MESSAGES_TYPE),
        "the content of message 0 is a null",
    ),
    "other roles": (pa.array([[{"role": "gpt", "content": "a"}]] * 2), "no message has the role assistant"),
}


@pytest.mark.parametrize("form", MESSAGES)
def test_messages_of_another_form_fail_row_by_row_and_can_be_inspected(form: str, tmp_path: Path) -> None:
    column, message = MESSAGES[form]
    pq.write_table(pa.table({"id": ["a", "b"], "messages": column}), tmp_path / "in.parquet")
    manifest = filtered(tmp_path / "in.parquet", tmp_path / "out")
    assert manifest["counts"] == {"inputs": 2, "kept": 0, "dropped": 0, "failed": 2}
    assert manifest["failures"] == {"bad_row": 2}
    assert all(message in found for found in faults(tmp_path / "out").values())
    assert report_of(tmp_path / "out").failures[0].rows == 2


def test_columns_of_the_users_with_the_names_of_the_verdicts_are_not_lost(tmp_path: Path) -> None:
    source = write(tmp_path / "in.parquet", state=pa.array(["Tokyo", "Kyoto"]))
    with pytest.raises(DatagenError, match="has a column 'state' of its own, in whose place the verdict would come"):
        filtered(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_table_without_rows_is_refused(tmp_path: Path) -> None:
    empty = pq.read_table(write(tmp_path / "in.parquet")).slice(0, 0)
    pq.write_table(empty, tmp_path / "in.parquet")
    with pytest.raises(DatagenError, match=r"in.parquet has no rows"):
        filtered(tmp_path / "in.parquet", tmp_path / "out")


def test_large_row_groups_are_read_a_piece_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datagen.pipeline.filtering._READ_BYTES", 2000)
    rows = [{**(GOOD if number % 3 else ASKING), "id": f"{number}", "data": os.urandom(500)} for number in range(40)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "in.parquet", row_group_size=25)
    filtered(tmp_path / "in.parquet", tmp_path / "out")
    assert {row["id"]: row["data"] for row in rows_of(tmp_path / "out")} == {row["id"]: row["data"] for row in rows}
    assert states(tmp_path / "out") == {f"{number}": "kept" if number % 3 else "dropped" for number in range(40)}


def test_a_folder_gives_its_json_lines(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "more").mkdir(parents=True)
    (folder / "a.jsonl").write_text(lines([GOOD, {"no": "id"}]), encoding="utf-8")
    (folder / "more" / "b.jsonl").write_text(json.dumps([ASKING, {"no": "id"}]), encoding="utf-8")
    filtered(folder, tmp_path / "out")
    assert states(tmp_path / "out") == {**BOTH, "a.jsonl-line-2": "failed", "b.jsonl-item-2": "failed"}
    what_if(folder, POLICY, load_policy({"name": "none", "rules": []}), tmp_path / "difference")
    (folder / "c.jsonl.gz").write_bytes(b"")
    with pytest.raises(DatagenError, match=r"c.jsonl.gz is packed; unpack it first, or move it away"):
        filtered(folder, tmp_path / "other")
    (folder / "c.jsonl.gz").unlink()
    write(folder / "d.parquet")
    with pytest.raises(DatagenError, match=r"holds Parquet .* and JSON lines .*; give one of them"):
        filtered(folder, tmp_path / "other")


def test_what_recut_wrote_beside_the_shards_is_no_input(tmp_path: Path) -> None:
    filtered(write(tmp_path / "in.parquet"), tmp_path / "first")
    recut(tmp_path / "first", load_policy({"name": "none", "rules": []}), tmp_path / "recut")
    assert (tmp_path / "recut" / "difference.parquet").exists()
    assert filtered(tmp_path / "recut", tmp_path / "again")["counts"] == {
        "inputs": 2,
        "kept": 1,
        "dropped": 1,
        "failed": 0,
    }
    (tmp_path / "recut" / "manifest.json").unlink()
    assert filtered(tmp_path / "recut", tmp_path / "more")["counts"] == {
        "inputs": 2,
        "kept": 1,
        "dropped": 1,
        "failed": 0,
    }


@pytest.mark.parametrize("how", ["itself", "inside", "around", "by a link", "a link inside", "a file of it"])
def test_nothing_is_written_over_what_is_read(how: str, tmp_path: Path) -> None:
    filtered(write(tmp_path / "in.parquet"), tmp_path / "runs" / "one")
    one = tmp_path / "runs" / "one"
    source, out = one, one
    if how == "inside":
        out = one / "again"
    elif how == "around":
        source = one / "train"
    elif how == "by a link":
        out = tmp_path / "link"
        out.symlink_to(one)
    elif how == "a link inside":
        (tmp_path / "links").mkdir()
        (tmp_path / "links" / "a.parquet").symlink_to(next((one / "train").iterdir()))
        source = tmp_path / "links"
    elif how == "a file of it":
        source = next((one / "train").iterdir())
    before = {path: path.read_bytes() for path in one.rglob("*") if path.is_file()}
    none = load_policy({"name": "none", "rules": []})
    with pytest.raises(DatagenError, match="which is read"):
        filtered(source, out)
    if how != "a link inside":
        with pytest.raises(DatagenError, match="which is read"):
            what_if(source, POLICY, none, out)
    if how in ("itself", "inside", "by a link"):
        with pytest.raises(DatagenError, match="which is read"):
            recut(one, none, out)
        with pytest.raises(DatagenError, match="which is read"):
            compare_runs(one, one, out)
    assert {path: path.read_bytes() for path in one.rglob("*") if path.is_file()} == before
    refuse_overlap(tmp_path / "runs" / "two", one, tmp_path / "in.parquet")


def test_an_interrupted_filter_says_so_and_leaves_the_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, out = write(tmp_path / "in.parquet"), tmp_path / "out"

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("datagen.pipeline.filtering._judged_rows", interrupted)
        with pytest.raises(
            InterruptedRunError, match=r"Stopped; .*out has no whole shards. The same command"
        ) as caught:
            filtered(source, out)
        assert caught.value.exit_code == 130
        assert not list(out.glob("t*"))
    filtered(source, out)
    before = {path: path.read_bytes() for path in out.glob("*") if path.is_file()}
    monkeypatch.setattr("datagen.pipeline.filtering._judged_rows", interrupted)
    with pytest.raises(InterruptedRunError, match=r"Stopped; .*out keeps the shards that its manifest.json lists"):
        filtered(source, out)
    assert {path: path.read_bytes() for path in out.glob("*") if path.is_file()} == before
    assert states(out) == BOTH


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.dictionaries(st.text(), JSON_VALUES, max_size=4), max_size=6),
    indent=st.sampled_from([None, 0, 3]),
    ascii_only=st.booleans(),
    array=st.booleans(),
    piece=st.integers(1, 40),
)
def test_an_array_or_objects_are_read_the_same_in_pieces_of_any_size(
    rows: list[dict[str, Any]],
    indent: int | None,
    ascii_only: bool,
    array: bool,
    piece: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    rows = [*rows, GOOD]
    options: dict[str, Any] = {"indent": indent, "ensure_ascii": ascii_only}
    text = json.dumps(rows, **options) if array else "\n".join(json.dumps(row, **options) for row in rows)
    folder = tmp_path_factory.mktemp("json")
    (folder / "in.json").write_text(text, encoding="utf-8", errors="surrogatepass", newline="")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(json_conversations, "_PIECE", piece)
        with (folder / "in.json").open(encoding="utf-8", newline="\n") as stream:
            found = [item.document for item in json_conversations._values(stream, folder / "in.json")]
    assert json.dumps(found) == json.dumps(rows)


@pytest.mark.parametrize("name", ["~", "s3:x", "-x", "a*b", "state=kept"])
def test_a_relative_path_is_a_path_whatever_it_looks_like(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).mkdir()
    pq.write_table(pa.Table.from_pylist(PAIRS), tmp_path / name / "rows.parquet")
    filtered(Path(name), tmp_path / "out")
    assert {row["id"]: row["state"] for row in rows_of(tmp_path / "out")} == BOTH
