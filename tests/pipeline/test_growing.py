"""Runs that grow make what came to them, nothing else, and end as the run that had all images from the start."""

import io
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from datagen.errors import DatagenError
from datagen.pipeline import growing
from datagen.records import EARLIER_PART_SCHEMA
from datagen.store.index import Index
from tests.conftest import FakeServer, MakeRecipe, picture
from tests.without_ray import run_here, shard_digests, states


def asked(server: FakeServer) -> int:
    """Return how many questions a server has answered; what asks for its health has no seed."""
    return sum(count for seed, count in server.statistics()["by_seed"].items() if seed != "None")


def test_a_higher_limit_makes_the_new_images_alone_and_the_shards_of_a_run_with_all(
    pictures: Path, fake_server: FakeServer, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    def recipe(limit: int | None) -> Any:
        return make_recipe(pictures, fake_server.endpoint, source__limit=limit, output__part_rows=4)

    run_here(recipe(None), tmp_path / "whole")
    for_all = asked(fake_server)
    said = io.StringIO()
    for number, limit in enumerate((5, 18, 18, None, None)):
        manifest = run_here(recipe(limit), tmp_path / "grown", said=said)
        assert manifest["counts"]["inputs"] == ([5, 18, 18, 43, 43][number])
    assert asked(fake_server) == 2 * for_all
    assert "13 images came to the 5 of before" in said.getvalue()
    assert said.getvalue().count("listed again") == 2
    assert shard_digests(tmp_path / "grown") == shard_digests(tmp_path / "whole")
    assert (tmp_path / "grown/manifest.json").read_bytes() == (tmp_path / "whole/manifest.json").read_bytes()


def test_relist_takes_in_what_was_added_wherever_it_stands_in_the_listing(
    pictures: Path, fake_server: FakeServer, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    recipe = make_recipe(pictures, fake_server.endpoint, output__part_rows=4)
    run_here(recipe, tmp_path / "out")
    before, calls = states(tmp_path / "out"), asked(fake_server)
    gone = next(path for path in sorted(pictures.iterdir()) if path.suffix == ".jpg")
    gone.unlink()
    (pictures / "000.jpg").write_bytes(picture(1234))
    (pictures / "zzz.jpg").write_bytes(picture(1235))
    manifest = run_here(recipe, tmp_path / "out", relist=True)
    assert manifest["counts"]["inputs"] == 45
    after = states(tmp_path / "out")
    assert {"000.jpg", "zzz.jpg"} == after.keys() - before.keys()
    assert {key: after[key] for key in before} == before  # what is gone from the folder stays in the run
    made = asked(fake_server) - calls
    assert 0 < made <= 2 * len(recipe.stages) * 20
    run_here(recipe, tmp_path / "out", relist=True)
    assert asked(fake_server) - calls == made


def test_a_listing_that_was_cut_short_leaves_the_run_as_it_was(
    pictures: Path, fake_server: FakeServer, make_recipe: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_here(make_recipe(pictures, fake_server.endpoint, source__limit=5), tmp_path / "out")
    more = make_recipe(pictures, fake_server.endpoint, source__limit=9)
    with monkeypatch.context() as patch:
        patch.setattr(growing, "_list", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(DatagenError, match="Stopped"):
            run_here(more, tmp_path / "out")
    assert Index(tmp_path / "out" / "index.parquet").count == 5
    assert run_here(more, tmp_path / "out")["counts"]["inputs"] == 9


def test_a_run_never_shrinks(pictures: Path, fake_server: FakeServer, make_recipe: MakeRecipe, tmp_path: Path) -> None:
    run_here(make_recipe(pictures, fake_server.endpoint, source__limit=5), tmp_path / "out")
    before = shard_digests(tmp_path / "out")
    with pytest.raises(DatagenError, match=r"source.limit \(--limit\) is 3, and .* has 5 images already"):
        run_here(make_recipe(pictures, fake_server.endpoint, source__limit=3), tmp_path / "out")
    assert shard_digests(tmp_path / "out") == before


def test_jobs_that_share_a_source_do_not_list_it_again(
    pictures: Path, fake_server: FakeServer, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    recipe = make_recipe(pictures, fake_server.endpoint, source__slice="1/4")
    run_here(recipe, tmp_path / "out")
    with pytest.raises(DatagenError, match=r"--relist does not go with source\.slice 1/4"):
        run_here(recipe, tmp_path / "out", relist=True)


def test_a_run_of_before_the_columns_for_repairs_goes_on(
    pictures: Path, fake_server: FakeServer, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    def recipe(limit: int | None, policy: str = "standard") -> Any:
        return make_recipe(pictures, fake_server.endpoint, source__limit=limit, output__part_rows=4, policy=policy)

    run_here(recipe(6), tmp_path / "out")
    for path in (tmp_path / "out" / "parts").glob("*.parquet"):
        rows = pq.read_table(path).select(EARLIER_PART_SCHEMA.names)
        pq.write_table(rows, path, write_page_checksum=True)
        assert pq.read_schema(path).equals(EARLIER_PART_SCHEMA)
    calls = asked(fake_server)
    assert run_here(recipe(6, "repairing"), tmp_path / "out")["counts"]["inputs"] == 6
    assert asked(fake_server) == calls
    run_here(recipe(None), tmp_path / "out")
    run_here(recipe(None), tmp_path / "whole")
    assert shard_digests(tmp_path / "out") == shard_digests(tmp_path / "whole")
