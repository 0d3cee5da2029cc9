"""The quickstart's job on a real vLLM server: real answers about real pictures, judged and cut."""

from pathlib import Path

import datasets
import pytest
from rich.console import Console

from datagen.pipeline.run import run
from datagen.recipe_file import load_recipe
from datagen.store.manifest import read_manifest
from tests.conftest import ROOT, TinyServer

PICTURES = ROOT / "examples" / "pictures"


@pytest.fixture(scope="module")
def quickstart(tiny_server: TinyServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished quickstart."""
    out = tmp_path_factory.mktemp("quickstart") / "run"
    options = {"engines.vlm.endpoints": [tiny_server.url]}
    run(load_recipe(ROOT / "examples" / "quickstart.yaml", (), options), out, Console(quiet=True))
    return out


def test_captions_name_what_is_in_the_pictures(quickstart: Path) -> None:
    loaded = datasets.load_dataset(str(quickstart), cache_dir=str(quickstart.parent / "cache"))
    rows = [row for split in loaded.values() for row in split.remove_columns("images")]
    answered = [row for row in rows if row["state"] != "failed"]
    assert len(answered) >= 0.9 * len(rows)
    right = [row for row in answered if Path(row["key"]).stem in row["caption"]]
    assert len(right) >= 0.8 * len(answered)
    for row in answered:
        assert [message["role"] for message in row["messages"]] == ["user", "assistant"] * 3
        assert len({message["content"] for message in row["messages"][::2]}) > 1


def test_answers_that_ask_are_dropped_and_quoted_signs_are_kept(quickstart: Path) -> None:
    counts = read_manifest(quickstart)["counts"]
    assert (
        counts["inputs"] == counts["kept"] + counts["dropped"] + counts["failed"] == len(list(PICTURES.rglob("*.png")))
    )
    loaded = datasets.load_dataset(str(quickstart), cache_dir=str(quickstart.parent / "cache"))
    asking = [row for row in loaded["dropped"] if any(f["rule"] == "question_in_answer" for f in row["findings"])]
    assert asking
    for row in asking:
        for finding in row["findings"]:
            content = row["caption"] if finding["message"] < 0 else row["messages"][finding["message"]]["content"]
            assert content[finding["start"] : finding["end"]] == finding["text"]
    answers = [message["content"] for row in loaded["train"] for message in row["messages"][1::2]]
    assert not [answer for answer in answers if answer.endswith(("か？", "か。", "？"))]
    assert [answer for answer in answers if "？」" in answer]
