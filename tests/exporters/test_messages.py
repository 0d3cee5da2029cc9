"""What is exported trains: rows in are rows out, pictures byte for byte, blocks as TRL wants them."""

from pathlib import Path
from typing import Any

import datasets
import pyarrow.parquet as pq
import pytest
from PIL import Image

from datagen.errors import AccountingError, DatagenError
from datagen.exporters import export
from tests.conftest import FakeServer, MakeRecipe, called
from tests.without_ray import run_here


@pytest.fixture
def finished(pictures: Path, fake_server: FakeServer, make_recipe: MakeRecipe, tmp_path: Path) -> Path:
    run_here(make_recipe(pictures, fake_server.endpoint), tmp_path / "run")
    return tmp_path / "run"


def kept(run: Path) -> list[dict[str, Any]]:
    return [row for path in sorted((run / "train").glob("*")) for row in pq.read_table(path).to_pylist()]


def test_every_kept_row_comes_out_with_its_pictures_byte_for_byte(finished: Path, tmp_path: Path) -> None:
    rows = kept(finished)
    assert export(finished, "messages", tmp_path / "out") == len(rows) > 0
    written = pq.read_table(tmp_path / "out").to_pylist()
    assert [row["id"] for row in written] == [row["id"] for row in rows]
    assert [row["images"] for row in written] == [row["images"] for row in rows]
    for out, row in zip(written, rows, strict=True):
        said = [(message["role"], message["content"][-1]["text"]) for message in out["messages"]]
        assert said == [(message["role"], message["content"]) for message in row["messages"]]


def test_the_blocks_have_type_and_text_alone_and_pictures_stand_first(finished: Path, tmp_path: Path) -> None:
    export(finished, "messages", tmp_path / "out")
    for row in pq.read_table(tmp_path / "out").to_pylist():
        first, *others = row["messages"]
        assert [block["type"] for block in first["content"]] == ["image"] * len(row["images"]) + ["text"]
        assert all(set(block) == {"type", "text"} for message in row["messages"] for block in message["content"])
        assert all([block["type"] for block in message["content"]] == ["text"] for message in others)


@pytest.mark.slow
@pytest.mark.parametrize("streaming", [False, True])
def test_datasets_decodes_the_pictures_with_no_argument(finished: Path, tmp_path: Path, streaming: bool) -> None:
    count = export(finished, "messages", tmp_path / "out")
    loaded = datasets.load_dataset(
        str(tmp_path / "out"), split="train", streaming=streaming, cache_dir=str(tmp_path / "cache")
    )
    rows = list(loaded)
    assert len(rows) == count
    assert all(isinstance(image, Image.Image) and image.size == (96, 64) for row in rows for image in row["images"])


def test_the_same_run_gives_the_same_bytes(finished: Path, tmp_path: Path) -> None:
    for name in ("one", "other"):
        export(finished, "messages", tmp_path / name)
    one, other = (sorted((tmp_path / name).iterdir()) for name in ("one", "other"))
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in other]


def test_an_exporter_of_ones_own_goes_by_its_dotted_name_and_is_held_to_its_count(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_exporters.py").write_text(
        "def ids(rows, out):\n    found = [row['id'] for row in rows]\n"
        "    (out / 'ids.txt').write_text('\\n'.join(found))\n    return len(found)\n\n"
        "def loses_one(rows, out):\n    return len(list(rows)) - 1\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert export(finished, "my_exporters:ids", tmp_path / "out") == len(kept(finished))
    assert (tmp_path / "out" / "ids.txt").read_text().split() == [row["id"] for row in kept(finished)]
    with pytest.raises(AccountingError, match="was not made"):
        export(finished, "my_exporters:loses_one", tmp_path / "lost")
    assert not (tmp_path / "lost").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--format", "mesages"), "did you mean"),
        (("--format", "messages", "--state", "keep"), "did you mean 'kept'"),
    ],
)
def test_wrong_options_are_one_sentence(
    finished: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    words: str,
) -> None:
    code, said = called(monkeypatch, capsys, "export", finished, "--out", tmp_path / "out", *arguments)
    assert code == 2
    assert words in said
    assert said.count("\n") == 1


def test_a_folder_with_files_and_the_run_itself_are_refused(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    for out in (tmp_path / "mine", finished / "train"):
        with pytest.raises(DatagenError, match="--out"):
            export(finished, "messages", out)
    assert (tmp_path / "mine" / "notes.txt").exists()
