"""The promises of `datagen filter`, kept with real Ray and real Parquet."""

from pathlib import Path

import datasets
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from datagen.errors import DatagenError
from datagen.pipeline.filtering import filter_rows
from datagen.pipeline.run import run
from datagen.recipe import Output
from filters import load_policy
from tests.conftest import FakeServer, MakeRecipe, picture

GOOD = {"id": "good", "question": "何の花ですか？", "answer": "これは満開の桜の花です。"}
ASKING = {"id": "asking", "question": "何の花ですか？", "answer": "これは桜の花です。ほかに何を知りたいですか？"}


def verdicts(out: Path) -> dict[str, str]:
    return {row["id"]: row["state"] for row in pq.read_table(out / "verdicts.parquet").to_pylist()}


def write_lines(path: Path, *lines: object) -> Path:
    path.write_bytes(b"\n".join(line if isinstance(line, bytes) else orjson.dumps(line) for line in lines) + b"\n")
    return path


def test_json_lines_are_judged_and_nothing_of_them_is_lost(tmp_path: Path) -> None:
    messages = [{"role": "user", "content": "色は？"}, {"role": "assistant", "content": "屋根の色は赤です。"}]
    lines = write_lines(tmp_path / "in.jsonl", GOOD, ASKING, {"id": 7, "messages": messages, "author": "高橋"})
    manifest = filter_rows(lines, load_policy("light"), tmp_path / "out", Output())
    assert verdicts(tmp_path / "out") == {"good": "kept", "asking": "dropped", "7": "kept"}
    assert manifest["counts"] == {"inputs": 3, "kept": 2, "dropped": 1, "failed": 0}
    kept = pq.read_table(tmp_path / "out" / "train").to_pylist()
    assert orjson.loads(kept[1]["record"])["author"] == "高橋"
    dropped = pq.read_table(tmp_path / "out" / "dropped").to_pylist()[0]
    finding = dropped["findings"][0]
    content = dropped["messages"][finding["message"]]["content"]
    assert content[finding["start"] : finding["end"]] == finding["text"] == "ほかに何を知りたいですか？"


def test_bad_lines_fail_one_by_one(tmp_path: Path) -> None:
    lines = write_lines(
        tmp_path / "in.jsonl",
        GOOD,
        b'{"id": "torn", "question": "',
        [1, 2],
        {"id": "no answer", "question": "何の花ですか？"},
        {"question": "何の花ですか？", "answer": "桜の花です。"},
        {"id": "wrong", "messages": [{"role": "user", "content": 3}]},
        {"id": "wrong too", "messages": "text"},
        ASKING,
    )
    manifest = filter_rows(lines, load_policy("light"), tmp_path / "out", Output())
    assert manifest["counts"] == {"inputs": 8, "kept": 1, "dropped": 1, "failed": 6}
    assert manifest["failures"] == {"bad_row": 6}
    failed = {row["id"]: row for row in pq.read_table(tmp_path / "out" / "failed").to_pylist()}
    assert set(failed) == {"line-2", "line-3", "no answer", "line-5", "wrong", "wrong too"}
    assert all(row["error"]["message"] for row in failed.values())
    assert failed["line-2"]["record"] == '{"id": "torn", "question": "'


def test_parquet_keeps_its_columns_and_its_pictures(tmp_path: Path) -> None:
    image = {"bytes": picture(1), "path": "1.jpg"}
    rows = [{**GOOD, "image": image, "score": 0.5}, {**ASKING, "image": image, "score": 0.25}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "in.parquet", row_group_size=1)
    filter_rows(tmp_path / "in.parquet", load_policy("light"), tmp_path / "out", Output(shard_bytes=1))
    loaded = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert loaded["train"][0]["image"].size == (96, 64)
    assert (loaded["train"][0]["score"], loaded["dropped"][0]["score"]) == (0.5, 0.25)


def test_what_filter_wrote_can_be_filtered_again(tmp_path: Path) -> None:
    lines = write_lines(tmp_path / "in.jsonl", GOOD, ASKING)
    filter_rows(lines, load_policy("light"), tmp_path / "first", Output())
    manifest = filter_rows(tmp_path / "first", load_policy("light"), tmp_path / "second", Output())
    assert manifest["counts"] == {"inputs": 2, "kept": 1, "dropped": 1, "failed": 0}


def test_a_caption_of_another_type_stops_nothing(tmp_path: Path) -> None:
    rows = [{**GOOD, "caption": ["桜", "花"]}, {**ASKING, "caption": ["桜"]}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "in.parquet")
    manifest = filter_rows(tmp_path / "in.parquet", load_policy("light"), tmp_path / "out", Output())
    assert manifest["counts"] == {"inputs": 2, "kept": 1, "dropped": 1, "failed": 0}


def test_a_run_is_judged_anew_without_a_model(
    pictures: Path, fake_server: FakeServer, make_recipe: MakeRecipe, quiet: Console, tmp_path: Path
) -> None:
    first = run(make_recipe(pictures, fake_server.endpoint), tmp_path / "run", quiet, where="local").manifest["counts"]
    paid = fake_server.statistics()["requests"]
    flagging = load_policy({"name": "flag", "purpose": "", "rules": [{"rule": "question_in_answer", "action": "flag"}]})
    counts = filter_rows(tmp_path / "run", flagging, tmp_path / "flagged", Output()).pop("counts")
    assert counts == {"inputs": 43, "kept": first["kept"] + first["dropped"], "dropped": 0, "failed": 3}
    assert fake_server.statistics()["requests"] == paid
    kept = datasets.load_dataset("parquet", data_files=f"{tmp_path}/flagged/train/*.parquet", split="train")
    assert kept[0]["images"][0].size == (96, 64)
    again = filter_rows(tmp_path / "flagged" / "train", load_policy("standard"), tmp_path / "again", Output())["counts"]
    assert (again["kept"], again["dropped"]) == (first["kept"], first["dropped"])


def test_input_without_conversations_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": ["a"], "text": ["b"]}), tmp_path / "in.parquet")
    with pytest.raises(DatagenError, match="has the columns id, text; needed are id and messages"):
        filter_rows(tmp_path / "in.parquet", load_policy("light"), tmp_path / "out", Output())
    with pytest.raises(DatagenError, match="There is no"):
        filter_rows(tmp_path / "nothing.jsonl", load_policy("light"), tmp_path / "out", Output())


def test_an_output_with_other_files_is_not_touched(tmp_path: Path) -> None:
    lines = write_lines(tmp_path / "in.jsonl", GOOD)
    (tmp_path / "out" / "train").mkdir(parents=True)
    (tmp_path / "out" / "train" / "weights.bin").write_bytes(b"a week of training")
    with pytest.raises(DatagenError, match="holds files that datagen did not write"):
        filter_rows(lines, load_policy("light"), tmp_path / "out", Output())
    assert (tmp_path / "out" / "train" / "weights.bin").read_bytes() == b"a week of training"
