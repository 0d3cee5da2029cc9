"""What is exported trains: rows in are rows out, pictures byte for byte, and a stopped export goes on."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from datagen.errors import AccountingError, DatagenError
from datagen.exporters import EXPORTERS
from datagen.exporters.writing.conversation import RowError, conversation_of
from datagen.exporters.writing.export import ExportOptions, export
from datagen.pipeline.filtering import filter_rows
from datagen.recipe import Output
from datagen.store.policies import read_policy
from tests.conftest import ROOT, called
from tests.exporters.rows import judged, wild_row
from tests.killing import Killed, killed_after
from tests.trainers.loaders import kept_rows

ALL = EXPORTERS.shipped
OF_ANY_ROW = tuple(name for name in ALL if name != "energon")


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, by its path in it."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def test_every_format_has_every_row_and_says_so(single: Path, tmp_path: Path) -> None:
    exported = export(single, ALL, tmp_path / "out")
    assert exported.rows == 60
    assert exported.written == {name: {"train": 60} for name in ALL}
    assert not any(exported.left_out.values())
    exported.check()
    listed = json.loads((tmp_path / "out" / "export.json").read_bytes())
    assert list(listed) == list(ALL)
    for name in ALL:
        for file in listed[name]["files"]:
            path = tmp_path / "out" / file["path"]
            assert hashlib.sha256(path.read_bytes()).hexdigest() == file["sha256"]
    assert not (tmp_path / "out" / ".export").exists()


def test_pictures_are_written_once_and_byte_for_byte(mixed: Path, tmp_path: Path) -> None:
    export(mixed, OF_ANY_ROW, tmp_path / "out")
    wanted = {
        hashlib.sha256(image["bytes"]).hexdigest(): image["bytes"]
        for row in kept_rows(mixed)
        for image in row["images"]
    }
    found = {path.stem: path.read_bytes() for path in (tmp_path / "out" / "images").rglob("*.*")}
    assert found == wanted


def test_the_same_run_gives_the_same_bytes(single: Path, tmp_path: Path) -> None:
    options = ExportOptions(root="/data/export", split="0.8/0.1/0.1", seed=3)
    for name in ("one", "other"):
        export(single, ALL, tmp_path / name, options)
    assert contents(tmp_path / "one") == contents(tmp_path / "other")


def test_no_split_shares_a_picture_with_another_and_rows_add_up(single: Path, tmp_path: Path) -> None:
    exported = export(single, ["llava"], tmp_path / "out", ExportOptions(split="0.7/0.3", seed=1))
    written = exported.written["llava"]
    assert sum(written.values()) == 60
    assert 5 <= written["validation"] <= 30
    parts = [json.loads((tmp_path / "out" / "llava" / f"{name}.json").read_text()) for name in written]
    train, validation = ({row["image"] for row in part} for part in parts)
    assert len(train) + len(validation) == 60
    assert not train & validation


def test_another_format_is_added_to_a_folder_and_nothing_is_made_twice(single: Path, tmp_path: Path) -> None:
    export(single, ["llava"], tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.*") if path.name != "export.json"}
    export(single, ["llava", "sharegpt", "messages"], tmp_path / "out")
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert len(lines(tmp_path / "out" / "sharegpt" / "data" / "train.jsonl")) == 60


def test_another_run_or_another_way_in_the_same_folder_is_refused(single: Path, mixed: Path, tmp_path: Path) -> None:
    export(single, ["llava"], tmp_path / "out")
    with pytest.raises(DatagenError, match="run changed"):
        export(mixed, ["llava"], tmp_path / "out")
    with pytest.raises(DatagenError, match="split changed"):
        export(single, ["llava"], tmp_path / "out", ExportOptions(split="0.9/0.1"))


def test_rows_that_a_format_cannot_say_are_left_out_by_name_and_the_exit_code_is_1(
    mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    exported = export(mixed, ["energon"], tmp_path / "out")
    assert exported.written == {"energon": {"train": 30}}
    assert exported.left_out == {"energon": {"pictures_not_one": 60}}
    told = lines(tmp_path / "out" / "energon.left_out.jsonl")
    wanted = [row["id"] for row in kept_rows(mixed) if len(row["images"]) != 1]
    assert [row["id"] for row in told] == wanted
    with pytest.raises(AccountingError, match="60 of 90 rows cannot be said in energon"):
        exported.check()
    code, said = called(monkeypatch, capsys, "export", mixed, "--out", tmp_path / "out", "--format", "energon")
    assert code == 1
    assert said.count("\n") == 1


BAD = {
    "tag_in_text": [("user", "<image>は何ですか？"), ("assistant", "桜です。")],
    "text_empty": [("user", "何ですか？"), ("assistant", "  ")],
    "role_order": [("user", "何ですか？"), ("user", "桜です。")],
    "ends_with_question": [("user", "何ですか？"), ("assistant", "桜です。"), ("user", "本当に？")],
    "no_conversation": [],
}


@pytest.mark.parametrize("fault", BAD)
def test_what_no_trainer_could_take_is_named(fault: str) -> None:
    said = [{"role": role, "content": text} for role, text in BAD[fault]]
    with pytest.raises(RowError) as raised:
        conversation_of({"id": "1", "messages": said})
    assert raised.value.fault == fault


def test_one_such_row_is_left_out_and_the_others_are_there(tmp_path: Path) -> None:
    said = [{"role": role, "content": text} for role, text in BAD["tag_in_text"]]
    run = judged([wild_row(0, 1), {**wild_row(1, 1), "messages": said}, wild_row(2, 1)], tmp_path / "run")
    exported = export(run, OF_ANY_ROW, tmp_path / "out")
    assert exported.left_out == {name: {"tag_in_text": 1} for name in OF_ANY_ROW}
    assert exported.written == {name: {"train": 2} for name in OF_ANY_ROW}


def test_a_conversation_whose_picture_was_named_by_a_path_does_not_go_out_without_it(tmp_path: Path) -> None:
    """`datagen filter` keeps the text of JSON alone, and a row about a picture is no row without it."""
    texts = (("user", "何の花ですか？"), ("assistant", "桜の花です。"))
    said = [{"role": role, "content": text} for role, text in texts]
    rows = [{"id": "1", "image": "a.jpg", "messages": said}, {"id": "2", "messages": said}]
    source = tmp_path / "rows.jsonl"
    source.write_text("".join(json.dumps(it) + "\n" for it in rows), encoding="utf-8")
    filter_rows(source, read_policy("light"), tmp_path / "judged", Output())
    exported = export(tmp_path / "judged", ["llava"], tmp_path / "out")
    assert exported.written == {"llava": {"train": 1}}
    assert exported.left_out == {"llava": {"picture_missing": 1}}


def test_a_system_message_is_set_taken_away_or_refused_by_name(tmp_path: Path) -> None:
    run = judged([wild_row(number, 1, system=True) for number in range(4)], tmp_path / "run")
    assert export(run, ["llava"], tmp_path / "left").left_out == {"llava": {"system_not_taken": 4}}
    assert export(run, ["llava"], tmp_path / "away", ExportOptions(system="")).written == {"llava": {"train": 4}}
    export(run, ["sharegpt"], tmp_path / "set", ExportOptions(system="丁寧に。"))
    said = lines(tmp_path / "set" / "sharegpt" / "data" / "train.jsonl")
    assert [row["conversations"][0] for row in said] == [{"from": "system", "value": "丁寧に。"}] * 4
    with pytest.raises(DatagenError, match="--system: llava has no place"):
        export(run, ["llava"], tmp_path / "refused", ExportOptions(system="丁寧に。"))


def test_a_root_stands_before_the_pictures(single: Path, tmp_path: Path) -> None:
    export(single, ["llava", "internvl"], tmp_path / "out", ExportOptions(root="s3://bucket/export/"))
    first = json.loads((tmp_path / "out" / "llava" / "train.json").read_text())[0]
    assert first["image"].startswith("s3://bucket/export/images/")
    meta = json.loads((tmp_path / "out" / "internvl" / "meta.json").read_text())
    assert meta["run_train"]["root"] == "s3://bucket/export/"
    assert meta["run_train"]["annotation"] == "s3://bucket/export/internvl/train.jsonl"


def test_pictures_that_rows_refer_to_are_copied_and_a_changed_one_is_left_out(tmp_path: Path) -> None:
    rows = [wild_row(number, 1) for number in range(3)]
    for number, it in enumerate(rows):
        path = tmp_path / f"{number}.picture"
        path.write_bytes(it["images"][0]["bytes"])
        it["images"] = [{"bytes": None, "path": str(path)}]
    run = judged(rows, tmp_path / "run")
    (tmp_path / "1.picture").unlink()
    exported = export(run, ["llava"], tmp_path / "out")
    assert exported.written == {"llava": {"train": 2}}
    assert exported.left_out == {"llava": {"picture_missing": 1}}


@pytest.mark.parametrize(
    ("split", "words"),
    [("0.9", "add up to 1"), ("0.5/0.2/0.2/0.1", "one to three"), ("a/b", "0.99/0.01"), ("1.5/-0.5", "")],
)
def test_a_split_that_makes_no_sense_is_refused_before_anything_is_written(
    single: Path, tmp_path: Path, split: str, words: str
) -> None:
    with pytest.raises(DatagenError, match=words or "--split"):
        export(single, ["llava"], tmp_path / "out", ExportOptions(split=split))
    assert not (tmp_path / "out").exists()


def test_a_folder_with_files_and_the_run_itself_are_refused(single: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    for out in (tmp_path / "mine", single / "train"):
        with pytest.raises(DatagenError, match="--out"):
            export(single, ["messages"], out)
    assert (tmp_path / "mine" / "notes.txt").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--format", "mesages"), "did you mean"),
        (("--format", "messages", "--state", "keep"), "did you mean 'kept'"),
        (("--format", "messages", "--split", "1/1"), "add up to 1"),
    ],
)
def test_wrong_options_are_one_sentence(
    single: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    words: str,
) -> None:
    code, said = called(monkeypatch, capsys, "export", single, "--out", tmp_path / "out", *arguments)
    assert code == 2
    assert words in said
    assert said.count("\n") == 1


OWN = '''
import json
from datagen.exporters.writing.json_files import JsonExporter


class Ids(JsonExporter):
    """The ids alone."""

    def record(self, conversation, images):
        return {"id": conversation.id}


class LosesOne(Ids):
    def count(self, path):
        return super().count(path) - 1
'''


def test_a_format_of_ones_own_goes_by_its_dotted_name_and_is_held_to_its_count(
    single: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_formats.py").write_text(OWN, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    export(single, ["my_formats:Ids"], tmp_path / "out")
    found = lines(tmp_path / "out" / "my_formats:Ids" / "train.jsonl")
    assert [row["id"] for row in found] == [row["id"] for row in kept_rows(single)]
    with pytest.raises(AccountingError, match="is not made"):
        export(single, ["my_formats:LosesOne"], tmp_path / "lost")
    assert not (tmp_path / "lost" / "export.json").exists()


@pytest.fixture
def long(tmp_path: Path) -> Path:
    """A run of 40 shards, so that there is something to kill."""
    return judged([wild_row(number, 1) for number in range(400)], tmp_path / "run", shard_bytes=20_000)


@pytest.mark.slow
def test_an_export_that_is_killed_again_and_again_ends_with_the_same_bytes(long: Path, tmp_path: Path) -> None:
    options = (
        "--format",
        "llava",
        "--format",
        "sharegpt",
        "--format",
        "messages",
        "--format",
        "energon",
        "--root",
        "/x",
    )
    command = [sys.executable, "-m", "datagen", "export", str(long), "--split", "0.9/0.1", *options, "--out"]
    subprocess.run([*command, str(tmp_path / "whole")], cwd=ROOT, check=True, capture_output=True)
    out = tmp_path / "killed"
    kills = 0
    wait = 0.0
    while not (out / "export.json").exists():
        with subprocess.Popen(
            [*command, str(out)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as process:
            while process.poll() is None and not (out / ".export").exists():
                time.sleep(0.002)
            time.sleep(wait)
            wait += 0.15
            if process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)
                kills += 1
    assert kills >= 2
    assert contents(out) == contents(tmp_path / "whole")


@pytest.mark.parametrize("moment", ["finish", "rename", "manifest"])
def test_a_kill_while_the_formats_appear_loses_nothing(single: Path, tmp_path: Path, moment: str) -> None:
    """The moments that a clock seldom hits: between two pieces, before and after a folder appears."""
    options = ExportOptions(root="/x")
    export(single, ALL, tmp_path / "whole", options)

    modules = [sys.modules[f"datagen.exporters.writing.{name}"] for name in ("export", "work")]
    owners: dict[str, tuple[list[Any], str]] = {
        "finish": ([Path], "unlink"),
        "rename": ([Path], "rename"),
        "manifest": (modules, "write_json"),
    }
    survived = 0  # calls of the function before the kill
    while survived < 100:
        try:
            with killed_after(survived, *owners[moment]):
                export(single, ALL, tmp_path / "out", options)
            break
        except Killed:
            survived += 1
    assert 1 < survived < 100
    shutil.rmtree(tmp_path / "out" / ".export", ignore_errors=True)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_memory_holds_no_more_than_a_few_rows(mixed: Path, tmp_path: Path) -> None:
    """Row groups of the Parquet that is written are bounded, as those of the shards are."""
    export(mixed, ["messages"], tmp_path / "out")
    for path in (tmp_path / "out" / "messages").iterdir():
        facts = pq.read_metadata(path)
        assert all(facts.row_group(number).num_rows <= 256 for number in range(facts.num_row_groups))
