"""Questions that are put to other pictures: about things that nobody has said to be in them, and each asked once."""

from pathlib import Path
from typing import Any

import datasets
import pyarrow.parquet as pq
import pytest

from datagen.errors import DatagenError
from datagen.exporters.writing.export import export
from datagen.inspection.report import report_of
from datagen.inspection.unanswerable import TAKEN_FROM, make_unanswerable, things
from datagen.recipe_file import load_recipe
from datagen.shipped_recipes import shipped_recipes
from datagen.store.policies import read_policy
from tests.without_ray import run_here, shard_digests


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two dozen dialogues, translated, with their pictures."""
    out = tmp_path_factory.mktemp("unanswerable") / "run"
    run_here(load_recipe(shipped_recipes()["translated_dialogue"]), out)
    return out


def rows(out: Path) -> list[dict[str, Any]]:
    return [row for path in shard_digests(out) for row in pq.read_table(out / path).to_pylist()]


def test_a_question_goes_to_a_picture_of_which_nothing_names_its_thing(run: Path, tmp_path: Path) -> None:
    manifest = make_unanswerable(run, tmp_path / "out", 12, read_policy("standard"))
    assert manifest["counts"]["inputs"] == manifest["counts"]["kept"] == 12
    by_id = {row["id"]: row for row in rows(run)}
    by_picture = {row["pictures"][0]["sha256"]: row for row in by_id.values()}
    asked = set()
    for row in rows(tmp_path / "out"):
        question, answer = (message["content"] for message in row["messages"])
        (taken_from,) = (score["reason"] for score in row["scores"] if score["name"] == TAKEN_FROM)
        donor, shown = by_id[taken_from], by_picture[row["pictures"][0]["sha256"]]
        assert donor["id"] != shown["id"] != row["id"]
        assert question in [message["content"] for message in donor["messages"]]
        said = "\n".join(message["content"] for message in shown["messages"])
        assert not set(things(question)) & set(things(said))
        assert things(question)
        assert any(thing in answer for thing in things(question))
        assert row["images"] == shown["images"]
        assert row["task"] == "unanswerable"
        asked.add(question)
    assert len(asked) == 12


def test_the_same_seed_gives_the_same_bytes_and_another_one_others(run: Path, tmp_path: Path) -> None:
    for name, seed in (("one", 0), ("same", 0), ("other", 1)):
        make_unanswerable(run, tmp_path / name, 8, read_policy("standard"), seed)
    assert shard_digests(tmp_path / "one") == shard_digests(tmp_path / "same") != shard_digests(tmp_path / "other")


def test_what_was_made_is_exported_reported_and_loaded_like_a_run(run: Path, tmp_path: Path) -> None:
    make_unanswerable(run, tmp_path / "out", 5, read_policy("standard"))
    assert report_of(tmp_path / "out").counts["kept"] == 5
    assert len(datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))["train"]) == 5
    export(tmp_path / "out", ["llava_lines"], tmp_path / "exports")
    lines = (tmp_path / "exports" / "llava_lines" / "train.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 5


def test_a_run_in_which_no_question_fits_another_picture_says_so(run: Path, tmp_path: Path) -> None:
    recipe = load_recipe(shipped_recipes()["translated_dialogue"], ["source.limit=1"])
    run_here(recipe, tmp_path / "small")
    with pytest.raises(DatagenError, match="fits another of its pictures: 1 rows were kept"):
        make_unanswerable(tmp_path / "small", tmp_path / "out", 5, read_policy("standard"))
