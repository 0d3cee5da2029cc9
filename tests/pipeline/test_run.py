"""The promises of `datagen run`, kept with real Ray and real Parquet."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import datasets
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from datagen.errors import AccountingError, DatagenError
from datagen.pipeline.run import run
from tests.conftest import ROOT, FakeServer, MakeRecipe

pytestmark = pytest.mark.ray

CALLS_AN_IMAGE = 3


def shard_digests(out: Path) -> dict[str, str]:
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in ("train", "dropped", "failed")
        for path in sorted((out / folder).glob("*"))
    }


def test_every_input_ends_in_exactly_one_state(
    pictures: Path, fake_server: FakeServer, make_recipe: MakeRecipe, quiet: Console, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    counts = run(make_recipe(pictures, fake_server.endpoint), out, quiet).manifest["counts"]
    assert counts["inputs"] == 43 == counts["kept"] + counts["dropped"] + counts["failed"]
    assert counts["failed"] == 3
    assert counts["dropped"] > 0
    rows = [row for path in shard_digests(out) for row in pq.read_table(out / path).to_pylist()]
    assert len({row["id"] for row in rows}) == 43
    files = {path.name for path in pictures.rglob("*") if path.is_file()}
    assert {Path(row["key"]).name for row in rows} == files
    failures = {Path(row["key"]).name: row["error"]["class"] for row in rows if row["state"] == "failed"}
    assert failures == {"cut_short.jpg": "corrupt_image", "empty.png": "not_an_image", "page.jpg": "not_an_image"}
    for row in rows:
        dropped_by = {finding["rule"] for finding in row["findings"]}
        assert (row["state"] == "dropped") == bool(dropped_by)


def test_datasets_open_the_shards_and_decode_the_pictures(
    pictures: Path, fake_server: FakeServer, make_recipe: MakeRecipe, quiet: Console, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    manifest = run(make_recipe(pictures, fake_server.endpoint), out, quiet).manifest
    loaded = datasets.load_dataset(str(out), cache_dir=str(tmp_path / "cache"))
    assert {name: len(split) for name, split in loaded.items()} == {
        "train": manifest["counts"]["kept"],
        "dropped": manifest["counts"]["dropped"],
        "failed": 3,
    }
    assert loaded["train"][0]["images"][0].size == (96, 64)
    stream = datasets.load_dataset("parquet", data_files=f"{out}/train/*.parquet", split="train", streaming=True)
    row = next(iter(stream))
    assert row["images"][0].size == (96, 64)
    assert row["messages"][0]["role"] == "user"
    original = next(path for path in pictures.rglob("*") if path.name == Path(row["key"]).name)
    raw = pq.read_table(next((out / "train").glob("*")), columns=["id", "images"]).to_pylist()
    assert next(cell["images"][0]["bytes"] for cell in raw if cell["id"] == row["id"]) == original.read_bytes()


def test_shards_do_not_depend_on_the_order_of_the_work(
    pictures: Path, fake_server: FakeServer, make_recipe: MakeRecipe, quiet: Console, tmp_path: Path
) -> None:
    many = make_recipe(pictures, fake_server.endpoint, output__shard_bytes=20_000)
    run(many, tmp_path / "many", quiet)
    one = make_recipe(pictures, fake_server.endpoint, output__shard_bytes=20_000, workers=1, in_flight=1)
    run(one, tmp_path / "one", quiet)
    digests = shard_digests(tmp_path / "many")
    assert digests == shard_digests(tmp_path / "one")
    assert len(digests) > 4
    numbers = [path for path in digests if path.startswith("train/")]
    assert numbers == [f"train/train-{n:05d}-of-{len(numbers):05d}.parquet" for n in range(len(numbers))]


def test_a_finished_run_pays_nothing_twice(
    pictures: Path, fake_server: FakeServer, make_recipe: MakeRecipe, quiet: Console, tmp_path: Path
) -> None:
    recipe = make_recipe(pictures, fake_server.endpoint)
    run(recipe, tmp_path / "out", quiet)
    assert fake_server.statistics()["requests"] == 40 * CALLS_AN_IMAGE
    before = shard_digests(tmp_path / "out")
    run(recipe, tmp_path / "out", quiet)
    assert fake_server.statistics()["requests"] == 40 * CALLS_AN_IMAGE
    assert shard_digests(tmp_path / "out") == before


def test_a_part_that_is_lost_is_done_again_alone(
    pictures: Path, fake_server: FakeServer, make_recipe: MakeRecipe, quiet: Console, tmp_path: Path
) -> None:
    recipe = make_recipe(pictures, fake_server.endpoint)
    run(recipe, tmp_path / "out", quiet)
    before = shard_digests(tmp_path / "out")
    lost = tmp_path / "out" / "parts" / "part-000002.parquet"
    repeated = sum(bool(row["members"]) for row in pq.read_table(lost).to_pylist())
    lost.unlink()
    run(recipe, tmp_path / "out", quiet)
    assert fake_server.statistics()["requests"] == (40 + repeated) * CALLS_AN_IMAGE
    assert shard_digests(tmp_path / "out") == before


def test_another_recipe_on_an_old_directory_is_refused_by_name(
    pictures: Path, fake_server: FakeServer, make_recipe: MakeRecipe, quiet: Console, tmp_path: Path
) -> None:
    run(make_recipe(pictures, fake_server.endpoint), tmp_path / "out", quiet)
    other = make_recipe(pictures, fake_server.endpoint, seed=7, stages__1__repeat=3)
    with pytest.raises(DatagenError, match=r"seed was 0, now 7; stages\.1\.repeat was 2, now 3"):
        run(other, tmp_path / "out", quiet)
    run(other, tmp_path / "out", quiet, fresh=True)


def test_another_policy_alone_cuts_again_with_no_model_call(
    pictures: Path, fake_server: FakeServer, make_recipe: MakeRecipe, quiet: Console, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    first = run(make_recipe(pictures, fake_server.endpoint), out, quiet).manifest
    paid = fake_server.statistics()["requests"]
    policy = tmp_path / "flag.yaml"
    policy.write_text("name: flag\npurpose: Only look.\nrules:\n- {rule: question_in_answer, action: flag}\n")
    second = run(make_recipe(pictures, fake_server.endpoint, policy=str(policy)), out, quiet).manifest
    assert second["counts"]["kept"] == first["counts"]["kept"] + first["counts"]["dropped"]
    again = run(make_recipe(pictures, fake_server.endpoint), out, quiet).manifest
    assert again == first
    assert fake_server.statistics()["requests"] == paid


def test_retry_failed_repeats_the_failed_alone(
    pictures: Path, fake_server: FakeServer, make_recipe: MakeRecipe, quiet: Console, tmp_path: Path
) -> None:
    recipe = make_recipe(pictures, fake_server.endpoint)
    run(recipe, tmp_path / "out", quiet)
    (pictures / "empty.png").write_bytes((pictures / "00.jpg").read_bytes())
    manifest = run(recipe, tmp_path / "out", quiet, retry_failed=True).manifest
    assert manifest["counts"]["failed"] == 2
    assert fake_server.statistics()["requests"] == 41 * CALLS_AN_IMAGE


def test_a_row_that_is_lost_is_noticed(
    pictures: Path, fake_server: FakeServer, make_recipe: MakeRecipe, quiet: Console, tmp_path: Path
) -> None:
    recipe = make_recipe(pictures, fake_server.endpoint)
    out = tmp_path / "out"
    run(recipe, out, quiet)
    part = out / "parts" / "part-000001.parquet"
    pq.write_table(pq.read_table(part).slice(1), part)
    (out / "manifest.json").unlink()
    with pytest.raises(AccountingError, match=r"has other images than the index: image 8 is absent there and"):
        run(recipe, out, quiet)
    command = [sys.executable, "-m", "datagen", "run", str(tmp_path / "recipe.yaml"), "--out", str(out)]
    command += ["--images", str(pictures), "--endpoint", fake_server.endpoint]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "has other images than the index" in result.stderr


def test_a_picture_that_is_damaged_on_disk_is_named_and_done_again(
    pictures: Path, fake_server: FakeServer, make_recipe: MakeRecipe, quiet: Console, tmp_path: Path
) -> None:
    recipe = make_recipe(pictures, fake_server.endpoint)
    out = tmp_path / "out"
    run(recipe, out, quiet)
    before = shard_digests(out)
    tar = out / "parts" / "part-000000.tar"
    content = bytearray(tar.read_bytes())
    content[700] ^= 0xFF
    tar.write_bytes(content)
    (out / "manifest.json").unlink()
    with pytest.raises(DatagenError, match=r"delete part-000000\.parquet and part-000000\.tar and run again"):
        run(recipe, out, quiet)
    assert shard_digests(out) == before
    (out / "parts" / "part-000000.parquet").unlink()
    tar.unlink()
    run(recipe, out, quiet)
    assert shard_digests(out) == before


def test_a_limit_takes_the_first_images(
    pictures: Path, fake_server: FakeServer, make_recipe: MakeRecipe, quiet: Console, tmp_path: Path
) -> None:
    recipe = make_recipe(pictures, fake_server.endpoint, source__limit=5)
    assert run(recipe, tmp_path / "out", quiet).manifest["counts"]["inputs"] == 5


def test_the_manifest_says_what_is_there(
    pictures: Path, fake_server: FakeServer, make_recipe: MakeRecipe, quiet: Console, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run(make_recipe(pictures, fake_server.endpoint), out, quiet)
    manifest = json.loads((out / "manifest.json").read_text())
    assert {shard["path"]: shard["sha256"] for shard in manifest["shards"]} == shard_digests(out)
    for shard in manifest["shards"]:
        assert pq.read_metadata(out / shard["path"]).num_rows == shard["rows"]
        assert (out / shard["path"]).stat().st_size == shard["bytes"]
    assert manifest["recipe"]["stages"][0]["prompt_digest"]
    assert str(tmp_path) not in (out / "manifest.json").read_text()
