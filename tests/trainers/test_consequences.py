"""What `--check` says that trainers do with a bad row is what their own loaders do."""

import json
import shutil
from pathlib import Path

import pytest

from datagen.exporters.checking.check import check
from datagen.exporters.checking.faults import FAULTS
from datagen.exporters.writing.export import export
from tests.exporters.rows import judged, wild_row
from tests.trainers.loaders import read

pytestmark = pytest.mark.slow
ROWS = 8
Turns = list[tuple[str, str | None]]


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = judged([wild_row(number, 1) for number in range(ROWS)], tmp_path_factory.mktemp("run") / "run")
    export(run, ["sharegpt"], run.parent / "export")
    return run.parent / "export"


def with_bad_row(clean: Path, folder: Path, turns: Turns) -> Path:
    """Return a copy of an export whose third row says something else."""
    shutil.copytree(clean, folder)
    info = folder / "sharegpt" / "dataset_info.json"
    info.write_text(info.read_text(encoding="utf-8").replace(str(clean), str(folder)), encoding="utf-8")
    path = folder / "sharegpt" / "data" / "train.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    rows[2]["conversations"] = [{"from": role, "value": text} for role, text in turns]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


UNANSWERED: Turns = [("human", "<image>\n何ですか？"), ("gpt", "桜です。"), ("human", "本当に？")]
TWICE: Turns = [("human", "<image>\n何ですか？"), ("human", "続きは？"), ("gpt", "桜です。"), ("gpt", "梅です。")]
TWO_TAGS: Turns = [("human", "<image><image>\n何ですか？"), ("gpt", "桜です。")]


NULL: Turns = [("human", "<image>\n何ですか？"), ("gpt", None)]


@pytest.mark.parametrize(("fault", "turns"), [("role_order", TWICE), ("ends_with_question", UNANSWERED)])
def test_llama_factory_loses_the_row_and_the_others_train_on_it(
    fault: str, turns: Turns, clean: Path, tmp_path: Path
) -> None:
    folder = with_bad_row(clean, tmp_path / "export", turns)
    assert set(check(folder).counts) == {fault}
    assert len(read("LLaMA-Factory", folder, "run")) == ROWS - 1
    assert FAULTS[fault].then["LLaMA-Factory"] == "empties the row, and drops it with a warning"
    assert len(read("NeMo Automodel", folder, "run")[2].messages) == len(turns)
    assert FAULTS[fault].then["NeMo Automodel"] == "trains on the turns in that order"
    assert len(read("ms-swift", folder, "run")[2].messages) == len(turns)
    assert FAULTS[fault].then["ms-swift"].startswith("keeps the row")


@pytest.mark.parametrize(
    ("fault", "turns"),
    [("text_not_string", NULL), ("role_unknown", [("human", "<image>\n何？"), ("critic", "桜です。")])],
)
def test_ms_swift_deletes_the_row(fault: str, turns: Turns, clean: Path, tmp_path: Path) -> None:
    folder = with_bad_row(clean, tmp_path / "export", turns)
    assert set(check(folder).counts) == {fault}
    assert len(read("ms-swift", folder, "run")) == ROWS - 1
    assert FAULTS[fault].then["ms-swift"] == "deletes the row"


def test_llama_factory_stops_at_a_tag_too_many_and_automodel_drops_it(clean: Path, tmp_path: Path) -> None:
    folder = with_bad_row(clean, tmp_path / "export", TWO_TAGS)
    assert set(check(folder).counts) == {"tag_surplus"}
    with pytest.raises(AssertionError, match="number of images does not match"):
        read("LLaMA-Factory", folder, "run")
    assert FAULTS["tag_surplus"].then["LLaMA-Factory"].startswith("stops")
    assert len(read("NeMo Automodel", folder, "run")[2].pictures) == 1
    assert FAULTS["tag_surplus"].then["NeMo Automodel"] == "drops what is too much"
