"""The public face: values in place of printed lines, in a script and inside a running event loop."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import datasets
import pytest
import yaml
from PIL import Image

import datagen
from datagen.errors import DatagenError
from datagen.recipe import Recipe
from tests.conftest import ROOT, FakeServer, MakeRecipe, write_pictures
from tests.without_ray import shard_digests

ASKING = {"question": "何色？", "answer": "赤です。ほかに何が見えますか？"}
GOOD = {"question": "何色？", "answer": "赤です。"}


@pytest.fixture
def recipe(tmp_path: Path, fake_server: FakeServer, make_recipe: MakeRecipe) -> Recipe:
    return make_recipe(write_pictures(tmp_path / "pictures", 6), fake_server.endpoint, workers=None)


def test_importing_datagen_is_light() -> None:
    code = "import datagen, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert not {"ray", "pyarrow", "pydantic", "PIL", "rich"} & {name.split(".")[0] for name in loaded.split()}


@pytest.mark.slow
def test_a_run_of_six_images_starts_no_ray_and_says_what_it_made(recipe: Recipe, tmp_path: Path) -> None:
    script = (
        "import sys, datagen\n"
        "run = datagen.run(datagen.load_recipe(sys.argv[1]), sys.argv[2])\n"
        "assert 'ray' not in sys.modules, 'Ray was imported'\n"
        "print(run.counts['kept'] + run.counts['dropped'])\n"
    )
    file = tmp_path / "six.yaml"
    file.write_text(yaml.safe_dump(recipe.model_dump(mode="json"), allow_unicode=True), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", script, str(file), str(tmp_path / "out")], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr, done.returncode) == ("6\n", "", 0)


def test_a_finished_run_gives_counts_rows_report_data_set_and_export(recipe: Recipe, tmp_path: Path) -> None:
    run = datagen.run(recipe, tmp_path / "out")
    assert run.counts["inputs"] == 6 == run.counts["kept"] + run.counts["dropped"]
    rows = [*run.rows("kept"), *run.rows("dropped")]
    assert len(rows) == 6
    assert {row["state"] for row in run.rows("dropped")} <= {"dropped"}
    assert json.loads(run.report().to_json())["counts"] == dict(run.counts)
    data = run.to_dataset()
    assert isinstance(data, datasets.Dataset)
    assert data.num_rows == run.counts["kept"]
    assert isinstance(data[0]["images"][0], Image.Image)
    assert run.export("messages", tmp_path / "export").written == {"messages": {"train": run.counts["kept"]}}
    assert datagen.open_run(tmp_path / "out").counts == run.counts
    assert run.explain(rows[0]["id"][:8])["key"] == rows[0]["key"]


@pytest.mark.ray
def test_a_run_in_this_process_has_the_bytes_of_one_with_ray(recipe: Recipe, tmp_path: Path) -> None:
    for where in ("local", "ray"):
        datagen.run(recipe, tmp_path / where, where=where)
    assert shard_digests(tmp_path / "local") == shard_digests(tmp_path / "ray")


def test_everything_works_inside_a_running_event_loop(recipe: Recipe, tmp_path: Path) -> None:
    async def notebook() -> None:
        assert len(datagen.preview(recipe, 2)) == 2
        run = datagen.run(recipe, tmp_path / "out")
        assert run.counts["inputs"] == 6
        assert datagen.load_policy("light").name == "light"

    asyncio.run(notebook())


def test_a_preview_shows_pictures_questions_and_answers_and_no_script(recipe: Recipe) -> None:
    rows = datagen.preview(recipe, 2)
    page = rows._repr_html_()
    assert page.count("data:image/webp;base64,") == 2
    assert all(message["content"] in page for row in rows for message in row["messages"])
    assert "For all 6 images" in page


def test_what_a_model_wrote_cannot_leave_its_row(recipe: Recipe) -> None:
    hostile = "</div><script>window.owned = true</script>"
    row = datagen.preview(recipe, 1)[0]
    row["caption"] = row["key"] = hostile
    row["messages"] = [{"role": "user", "content": hostile}]
    row["scores"] = [{"name": hostile, "value": 1.0, "reason": hostile, "message": None}]
    assert "<script" not in row._repr_html_()


def test_another_policy_is_tried_without_a_call_and_cut_when_a_folder_is_named(
    recipe: Recipe, fake_server: FakeServer, tmp_path: Path
) -> None:
    run = datagen.run(recipe, tmp_path / "out")
    paid = fake_server.statistics()["requests"]
    asks = {"rules": [{"rule": "too_short", "settings": {"minimum": 10_000}}]}
    difference = run.recut(asks)
    assert difference.rows("kept", "dropped") == run.counts["kept"]
    run.recut(asks, tmp_path / "cut")
    assert datagen.open_run(tmp_path / "cut").counts["dropped"] == 6
    assert fake_server.statistics()["requests"] == paid


def test_rows_and_files_are_filtered_alike(tmp_path: Path) -> None:
    rows = [ASKING, GOOD, {"question": "何色？"}]
    judged = datagen.filter_conversations(rows, "light")
    assert isinstance(judged, list)
    assert [row["state"] for row in judged] == ["dropped", "kept", "failed"]
    assert judged[0]["findings"][0]["text"] == "ほかに何が見えますか？"
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(json.dumps({"id": str(n), **row}) for n, row in enumerate(rows)), encoding="utf-8")
    for source, name in ((path, "file"), ([{"id": str(n), **row} for n, row in enumerate(rows)], "rows")):
        run = datagen.filter_conversations(source, "light", tmp_path / name)
        assert isinstance(run, datagen.Run)
        assert dict(run.counts) == {"inputs": 3, "kept": 1, "dropped": 1, "failed": 1}


def test_wrong_input_is_a_sentence(recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(DatagenError, match="did you mean 'engines'"):
        datagen.load_recipe({"source": {"path": "x"}, "engine": {}, "stages": []})
    with pytest.raises(DatagenError, match="out is missing"):
        datagen.filter_conversations(str(tmp_path))
    with pytest.raises(DatagenError, match="holds no finished run"):
        datagen.open_run(tmp_path)
    with pytest.raises(DatagenError, match="did you mean"):
        datagen.load_policy("standart")
    with pytest.raises(DatagenError, match=r"no (dropped|failed) rows"):
        datagen.run(recipe, tmp_path / "out").to_dataset("failed")
