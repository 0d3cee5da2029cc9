"""`datagen export --check` finds what trainers hide: every kind of fault, planted one at a time into a clean export."""

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datagen.errors import DatagenError
from datagen.exporters import EXPORTERS
from datagen.exporters.checking.check import check
from datagen.exporters.checking.faults import FAULTS, READERS, consequences
from datagen.exporters.writing.export import export
from datagen.records import IMAGES, with_features
from tests.conftest import called
from tests.exporters.plants import PLANTS, A, Plant, Q, encoded, rewritten
from tests.exporters.rows import judged, wild_row


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = judged([wild_row(number, 1) for number in range(24)], tmp_path_factory.mktemp("run") / "run")
    export(run, EXPORTERS.shipped, run.parent / "export")
    return run.parent / "export"


ALL = [
    pytest.param(fault, plant, id=f"{fault}-{number}")
    for fault, them in PLANTS.items()
    for number, plant in enumerate(them)
]


@pytest.mark.parametrize(("fault", "plant"), ALL)
def test_a_planted_fault_is_found_where_it_is(fault: str, plant: Plant, clean: Path, tmp_path: Path) -> None:
    folder = tmp_path / "export"
    shutil.copytree(clean, folder)
    meta = folder / "internvl" / "meta.json"
    meta.write_text(meta.read_text().replace(str(clean), str(folder)))
    plant(folder)
    found = check(folder)
    assert fault in found.counts
    assert found.places[fault][0].where
    assert all(shape in READERS for shape in {place.shape for places in found.places.values() for place in places})


def test_in_a_clean_export_nothing_is_found(clean: Path) -> None:
    found = check(clean)
    assert not found.counts
    assert found.rows == 24 * len(EXPORTERS.shipped) + 24  # two turns a row make more samples of Energon


def test_every_kind_of_fault_has_a_plant() -> None:
    assert set(PLANTS) == set(FAULTS)
    assert len(FAULTS) >= 40


@pytest.mark.parametrize("fault", FAULTS)
def test_of_every_fault_it_is_said_what_some_trainer_does(fault: str) -> None:
    assert any(consequences(fault, shape) for shape in READERS)
    assert {*FAULTS[fault].then} <= {trainer for trainers in READERS.values() for trainer in trainers}


def test_the_command_prints_a_line_a_fault_and_exits_with_1(
    clean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(clean / "llava_lines", tmp_path / "set")
    shutil.copytree(clean / "images", tmp_path / "images")
    code, said = called(monkeypatch, capsys, "export", "--check", tmp_path / "set")
    assert (code or 0, said) == (0, "")
    rewritten("train.jsonl", lambda text: text.replace('"from":"gpt"', '"from":"human"', 1))(tmp_path / "set")
    code, _ = called(monkeypatch, capsys, "export", "--check", tmp_path / "set")
    assert code == 1


def test_a_root_says_where_the_pictures_of_a_foreign_set_are(clean: Path, tmp_path: Path) -> None:
    path = tmp_path / "set.json"
    name = next((clean / "images").rglob("*.jpg"))
    path.write_text(
        json.dumps(
            [{"image": name.name, "conversations": [{"from": "human", "value": Q}, {"from": "gpt", "value": A}]}]
        )
    )
    assert set(check(path).counts) == {"picture_missing"}
    assert not check(path, [name.parent]).counts


def test_a_folder_without_data_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(DatagenError, match="--check"):
            check(folder)


def test_texts_that_stand_for_themselves_are_no_false_alarm(tmp_path: Path) -> None:
    """TRL places the pictures of messages that are strings by itself; a word of English is no control string."""
    said = [
        {"role": "user", "content": "<b>Assistants</b> とは？"},
        {"role": "assistant", "content": "5 < 7、#1 です。"},
    ]
    kind = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
    schema = with_features(pa.schema([("images", IMAGES), ("messages", kind)]), {"images": [{"_type": "Image"}]})
    rows = [{"images": [{"bytes": encoded(), "path": None}], "messages": said}]
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), tmp_path / "rows.parquet")
    assert not check(tmp_path).counts
