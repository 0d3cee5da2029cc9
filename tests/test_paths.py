"""A path is a path and never a pattern: every command does in a folder of any name what it does in another.

Beside the runs stands one in `exp2` with rows of its own, which the pattern `exp[2]` would find.
"""

import os
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datagen.errors import DatagenError
from datagen.files.plain_names import plain_names
from datagen.inspection.explain import find_row
from datagen.inspection.recutting import compare_runs, recut
from datagen.inspection.report import report_of
from datagen.jicvqa.benchmark.labelled import read_labelled
from datagen.pipeline.filtering import filter_rows
from datagen.recipe import Output, Recipe
from datagen.store.manifest import load_call
from filters import load_policy
from tests.conftest import FakeServer, MakeRecipe, picture
from tests.without_ray import run_here, states, without_ray

NAMES = (
    *("exp[2]", "*?", "{a,b}", "back\\slash", 'it\'s "x"', "$HOME %41 100% #1 a&b;c", "state=kept", " "),
    *("new\nline\ttab", "日本語😀", "-x", "~", "s3:", "x" * 200),
)
KEYS = ("0.jpg", "1.jpg", "花.jpg")


@pytest.fixture
def recipe(tmp_path: Path, fake_server: FakeServer, make_recipe: MakeRecipe) -> Recipe:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, name in enumerate(KEYS):
        (folder / name).write_bytes(picture(number))
    return make_recipe(folder, fake_server.endpoint, workers=1, stages__1__repeat=1, output__part_rows=2)


@pytest.fixture
def _sibling(recipe: Recipe, tmp_path: Path, make_recipe: MakeRecipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder with the run `exp2`, whose rows are others."""
    (tmp_path / "others").mkdir()
    for number in range(2):
        (tmp_path / "others" / f"other-{number}.jpg").write_bytes(picture(9 + number))
    endpoint = recipe.engines["vlm"].endpoints[0]
    others = make_recipe(tmp_path / "others", endpoint, workers=1, stages__1__repeat=1, output__part_rows=2)
    (tmp_path / "runs").mkdir()
    monkeypatch.chdir(tmp_path / "runs")
    run_here(others, Path("exp2"))


@pytest.mark.slow
@pytest.mark.usefixtures("_sibling")
def test_every_command_reads_and_writes_the_folder_that_was_named(recipe: Recipe, fake_server: FakeServer) -> None:
    flagging = load_policy({"name": "flag", "rules": [{"rule": "question_in_answer", "action": "flag"}]})
    with without_ray():
        for name in NAMES:
            out = Path(name)
            run_here(recipe, out)
            assert set(states(out.absolute())) == set(KEYS), name
            paid = fake_server.statistics()["requests"]
            (out / "parts" / "part-000001.parquet").unlink()  # there is work again, and what is done is counted
            (out / "parts" / "part-000001.tar").unlink()
            assert run_here(recipe, out)["counts"]["inputs"] == len(KEYS), name
            assert fake_server.statistics()["requests"] - paid == 2, name
            assert report_of(out).counts["inputs"] == len(KEYS), name
            assert find_row(out, "花.jpg")["key"] == "花.jpg", name
            difference, manifest = recut(out, flagging, Path(f"{name[:100]}recut"))
            assert manifest is not None
            assert difference.unchanged + difference.newly_kept == len(KEYS), name
            assert set(states(Path(f"{name[:100]}recut").absolute())) == set(KEYS), name
            assert filter_rows(out, flagging, Path(f"{name[:100]}filtered"), Output())["counts"]["kept"] == len(KEYS)
            assert set(states(Path(f"{name[:100]}filtered").absolute())) == set(KEYS), name
            again, _ = recut(Path(f"{name[:100]}filtered"), load_policy("strict"), None)  # what has no parts
            assert again.unchanged + again.newly_dropped == len(KEYS), name
            compared = compare_runs(out, Path(f"{name[:100]}recut"), Path(f"{name[:100]}compared"))
            assert compared.rows("absent", "kept") == compared.rows("kept", "absent") == 0, name


@pytest.mark.slow
@pytest.mark.usefixtures("_sibling")
@pytest.mark.parametrize("name", ["exp[2]", "a?b", "state=kept", "a b"])
def test_the_line_that_a_run_ends_with_loads_its_own_rows(recipe: Recipe, name: str) -> None:
    run_here(recipe, Path(name))
    kept = {key for key, state in states(Path(name).absolute()).items() if state == "kept"}
    loaded = eval(load_call(Path(name)), {"load_dataset": datasets.load_dataset})
    assert set(loaded["key"]) == kept
    assert set(loaded.features) == set(pq.read_schema(next(Path(name, "train").absolute().iterdir())).names)


def test_a_name_that_is_no_utf8_or_too_long_is_refused_before_anything_is_paid(
    recipe: Recipe, fake_server: FakeServer, tmp_path: Path
) -> None:
    for name, reason in ((os.fsdecode(b"\xff"), "is no UTF-8"), ("x" * 260, "File name too long")):
        with pytest.raises(DatagenError, match=reason) as caught:
            run_here(recipe, tmp_path / name)
        for refused in (report_of, lambda run: recut(run, load_policy("strict"), None)):
            with pytest.raises(DatagenError, match=reason):
                refused(tmp_path / name)
        assert "\n" not in str(caught.value)
        str(caught.value).encode()
    assert fake_server.statistics()["requests"] == 0


def test_labelled_pictures_in_a_folder_that_is_a_pattern_are_those_of_that_folder(tmp_path: Path) -> None:
    for name in ("exp[2]", "exp2"):
        (tmp_path / name).mkdir()
        table = pa.table({"id": [name], "category": ["桜"], "image": [b"x"]})
        pq.write_table(table, tmp_path / name / "rows.parquet")
    assert [row.id for row in read_labelled(str(tmp_path / "exp[2]")).rows] == ["exp[2]"]


@pytest.fixture
def _no_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datagen.files.plain_names._OPEN", "/none")


@pytest.mark.usefixtures("_no_linux")
def test_where_there_are_no_numbers_of_open_files_a_pattern_is_refused(tmp_path: Path) -> None:
    with plain_names(tmp_path / "exp2" / "a.parquet") as names:
        assert names == [str(tmp_path / "exp2" / "a.parquet")]
    for name in ("exp[2]", "~", "state=kept"):
        with pytest.raises(DatagenError, match="takes for a pattern"), plain_names(tmp_path / name / "a.parquet"):
            pass


def test_a_file_whose_own_name_is_a_pattern_has_a_plain_name(tmp_path: Path) -> None:
    for name in ("pictures[1].csv", "pictures1.csv"):
        (tmp_path / name).write_text(name)
    with plain_names(tmp_path / "pictures[1].csv", tmp_path / "new.csv") as (name, new):
        assert Path(name).read_text() == "pictures[1].csv"
        Path(new).write_text("new")
    assert (tmp_path / "new.csv").read_text() == "new"
    with pytest.raises(DatagenError, match="No such file"), plain_names(tmp_path / "absent[1].csv"):
        pass
