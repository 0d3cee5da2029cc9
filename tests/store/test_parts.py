"""Parts beside their index: rows of another source are found before anything is paid, and destroy nothing."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from datagen.errors import AccountingError, DatagenError
from datagen.inspection.recutting import recut
from datagen.pipeline.filtering import filter_rows
from datagen.pipeline.run import read_policy
from datagen.recipe import Output, Recipe
from datagen.records import MessageRecord, Row
from datagen.store.cut import cut
from datagen.store.index import Index
from datagen.store.journal import GROUP_BYTES, Journal, part_path
from datagen.store.judging import judge_parts
from datagen.store.parts import PartRows, check_parts, check_rows_of_index, read_part, sealed_parts, states_of
from datagen.store.reopening import reopen_failed
from tests.conftest import ROOT, FakeServer, MakeRecipe, picture
from tests.without_ray import run_here, shard_digests, states, without_ray


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(6):
        (folder / f"{number}.jpg").write_bytes(picture(number))
    return folder


@pytest.fixture
def recipe(images: Path, fake_server: FakeServer, make_recipe: MakeRecipe) -> Recipe:
    return make_recipe(images, fake_server.endpoint, workers=1, stages__1__repeat=1, output__part_rows=2)


def under_way(out: Path, images: Path, recipe: Recipe) -> None:
    """Make a run whose second part is a journal with one row of two, and whose third has not begun."""
    (images / "3.jpg").rename(images / "3.jpg.away")
    (images / "3.jpg").write_bytes(b"no picture")
    run_here(recipe, out)
    assert reopen_failed(out / "parts", 1) == 1
    for number in (1, 2):
        part_path(out / "parts", number).unlink()
    part_path(out / "parts", 2).with_suffix(".tar").unlink()
    (images / "3.jpg.away").rename(images / "3.jpg")


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("renamed", "told"), [("0.jpg", "part-000000.parquet"), ("2.jpg", "part-000001.jsonl")])
def test_a_renamed_picture_is_found_before_anything_is_paid_when_the_index_is_gone(
    recipe: Recipe, images: Path, fake_server: FakeServer, tmp_path: Path, renamed: str, told: str
) -> None:
    out = tmp_path / "out"
    under_way(out, images, recipe)
    (out / "index.parquet").unlink()
    (images / renamed).rename(images / f"{renamed[0]}5.jpg")
    paid, before = fake_server.statistics()["requests"], everything(out / "parts")
    with pytest.raises(AccountingError, match=f"{told} has other images than the index: .*'{renamed}' there") as caught:
        run_here(recipe, out)
    assert f"'{renamed[0]}5.jpg' here" in str(caught.value)
    assert "--fresh" not in str(caught.value)
    assert fake_server.statistics()["requests"] == paid
    assert everything(out / "parts") == before
    (images / f"{renamed[0]}5.jpg").rename(images / renamed)  # what the sentence says
    assert run_here(recipe, out)["counts"]["inputs"] == 6
    assert fake_server.statistics()["requests"] - paid == 2 * 3


def test_pictures_that_no_row_was_made_of_may_change_with_a_new_index(
    recipe: Recipe, images: Path, tmp_path: Path
) -> None:
    under_way(tmp_path / "out", images, recipe)
    (tmp_path / "out" / "index.parquet").unlink()
    (images / "5.jpg").rename(images / "7.jpg")
    run_here(recipe, tmp_path / "out")
    assert set(states(tmp_path / "out")) == {"0.jpg", "1.jpg", "2.jpg", "3.jpg", "4.jpg", "7.jpg"}


def replace_index(out: Path, other: Path) -> None:
    shutil.copy(other / "index.parquet", out)


def copy_part(out: Path, other: Path) -> None:
    shutil.copy(part_path(out / "parts", 0), part_path(out / "parts", 1))


def add_part(out: Path, other: Path) -> None:
    shutil.copy(part_path(out / "parts", 0), part_path(out / "parts", 9))


def lose_part(out: Path, other: Path) -> None:
    part_path(out / "parts", 1).unlink()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (replace_index, r"part-000000\.parquet has other images than the index: image 0 is '0\.jpg' there and 'x"),
        (copy_part, r"part-000001\.parquet has other images than the index: image 0 is '0\.jpg' there and absent here"),
        (add_part, r"part-000009\.parquet has other images than the index: image 0 is '0\.jpg' there and absent here"),
        (lose_part, r"part-000001\.parquet is missing"),
    ],
)
def test_no_cut_takes_rows_that_its_index_does_not_list(
    recipe: Recipe, images: Path, tmp_path: Path, make_recipe: MakeRecipe, change: Any, told: str
) -> None:
    out, other = tmp_path / "out", tmp_path / "other"
    run_here(recipe, out)
    (tmp_path / "others").mkdir()
    for number in range(6):
        shutil.copy(images / f"{number}.jpg", tmp_path / "others" / f"x{number}.jpg")
    endpoint = recipe.engines["vlm"].endpoints[0]
    run_here(make_recipe(tmp_path / "others", endpoint, workers=1, output__part_rows=2), other)
    shards = shard_digests(out)
    change(out, other)
    policy = read_policy("strict")
    before = everything(out)
    with without_ray():
        for cutting in (
            lambda: cut(out / "parts", out, Output(), {}, 6),
            lambda: recut(out, policy, tmp_path / "recut"),
        ):
            with pytest.raises(AccountingError, match=told):
                cutting()
        if change is not lose_part:  # which is told before anything is judged
            with pytest.raises(AccountingError, match=told):
                filter_rows(out, policy, tmp_path / "filtered", Output())
    shutil.rmtree(out / ".cut", ignore_errors=True)
    assert everything(out) == before
    assert shard_digests(out) == shards


def test_ids_that_stand_twice_are_told_with_their_parts(recipe: Recipe, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_here(recipe, out)
    (out / "index.parquet").unlink()  # otherwise it tells
    copy_part(out, out)
    with (
        without_ray(),
        pytest.raises(AccountingError, match=r"2 ids stand .* in part-000000\.parquet and part-000001\.parquet of"),
    ):
        cut(out / "parts", out, Output(), {}, 6)


FAULTS = [errno.EMFILE, errno.EIO, errno.ESTALE, errno.EACCES]


@pytest.mark.slow
@pytest.mark.parametrize("number", FAULTS)
def test_an_error_of_the_machine_is_no_damage_wherever_it_meets_a_part(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """pyarrow raises these with their numbers, and damage without one."""
    out = tmp_path / "out"
    run_here(recipe, out)
    paths = sealed_parts(out / "parts")
    index = Index(out / "index.parquet")

    def fail(*_: Any, **__: Any) -> None:
        raise OSError(number, f"Failed to open local file. Detail: [errno {number}] {os.strerror(number)}")

    monkeypatch.setattr(pq, "ParquetFile", fail)
    monkeypatch.setattr(pq, "read_table", fail)
    policy = read_policy("light")
    for use in (
        lambda: check_parts(paths),
        lambda: states_of(paths),
        lambda: check_rows_of_index(index, out / "parts"),
        lambda: list(PartRows(out / "parts", None)._batches()),
        lambda: reopen_failed(out / "parts", 0),
        lambda: Index(out / "index.parquet"),
        lambda: recut(out, policy, None),
        lambda: judge_parts(out / "parts", policy, tmp_path / "verdicts.parquet"),
        lambda: run_here(recipe.model_copy(update={"policy": "light"}), out),
    ):
        with without_ray(), pytest.raises(DatagenError) as caught:
            use()
        message = str(caught.value)
        assert f"cannot be used ({os.strerror(number)})" in message
        assert str(out) in message
        assert "elete" not in message
        assert "damaged" not in message
        assert "--fresh" not in message


def test_an_error_of_another_file_is_not_blamed_on_the_directory_of_the_run(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        (tmp_path / "elsewhere.yaml").read_text()

    monkeypatch.setattr("datagen.pipeline.making.served", fail)
    with pytest.raises(DatagenError, match=r"/elsewhere\.yaml cannot be used \(No such file or directory\)") as caught:
        run_here(recipe, tmp_path / "out")
    assert "--out" not in str(caught.value)
    assert str(tmp_path / "out") not in str(caught.value)


@pytest.mark.slow
def test_three_hundred_parts_are_read_and_cut_with_few_open_files(tmp_path: Path) -> None:
    """In a process that may open 64 files, which has about 20 open before."""
    program = """
import resource, sys
from pathlib import Path
from datagen.store.cut import _plan
from datagen.store.shards import write_shard
from datagen.store.reopening import reopen_failed
from datagen.store.parts import check_parts, sealed_parts, states_of
from tests.store.test_journal import pictures_of, row
from datagen.store.journal import Journal
folder, scratch = Path(sys.argv[1]), Path(sys.argv[2])
for number in range(300):
    with Journal(folder, number) as journal:
        made = row(number % 8)
        made.id = f"{number * 7919 % 300:032x}"
        journal.append(made, number, pictures_of(number % 8))
        journal.seal()
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
check_parts(sealed_parts(folder))
assert states_of(sealed_parts(folder)).total() == 300
shards, counts, failures = _plan(folder, scratch / "rows.parquet", 10_000_000, None)
(shard,) = shards
assert write_shard(scratch / "rows.parquet", shard, folder, scratch, 1000)["rows"] == 300
"""
    for name in ("parts", "scratch"):
        (tmp_path / name).mkdir()
    command = [sys.executable, "-c", program, str(tmp_path / "parts"), str(tmp_path / "scratch")]
    subprocess.run(command, cwd=ROOT, check=True)


@pytest.mark.slow
def test_answers_of_megabytes_are_sealed_in_row_groups_and_cut(tmp_path: Path) -> None:
    text = "赤い屋根の建物です。" * 300_000  # 9 MB
    with Journal(tmp_path, 0) as journal:
        for position in range(12):
            messages = [
                MessageRecord(role="user", content="何？"),
                MessageRecord(role="assistant", content=f"{position}{text}"),
            ]
            made = Row(id=f"{position:032x}", key="k", source="s", task="t", messages=messages, state="kept")
            journal.append(made, position)
        journal.seal()
    groups = pq.read_metadata(part_path(tmp_path, 0))
    assert groups.num_row_groups == 2
    assert 12 * len(text.encode()) > GROUP_BYTES
    (tmp_path / "out").mkdir()
    with without_ray():
        manifest = cut(tmp_path, tmp_path / "out", Output(), {"task": "t", "policy": {"name": "p"}}, 12)
    (shard,) = manifest["shards"]
    assert pq.read_table(tmp_path / "out" / shard["path"]).column("id").to_pylist() == [f"{n:032x}" for n in range(12)]
    assert read_part(part_path(tmp_path, 0)).num_rows == 12
