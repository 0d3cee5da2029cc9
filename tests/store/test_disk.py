"""A disk that is full, read-only or damaged: one sentence, nothing that was committed is lost, and the run goes on."""

import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from datagen.errors import DatagenError
from datagen.recipe import Recipe
from datagen.store.parts import check_parts
from tests.conftest import FakeServer, MakeRecipe, picture
from tests.without_ray import run_here, shard_digests

pytestmark = pytest.mark.slow

KIB = 1024


@pytest.fixture
def recipe(tmp_path: Path, fake_server: FakeServer, make_recipe: MakeRecipe) -> Recipe:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(8):
        (folder / f"{number}.jpg").write_bytes(picture(number, (480, 320)))
    return make_recipe(
        folder, fake_server.endpoint, workers=1, in_flight=2, output__part_rows=3, output__shard_bytes=40_000
    )


class Disk:
    """A disk of its own, whose size can be changed.

    Attributes:
        path: where it is mounted.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def mount(self, *options: str) -> None:
        """Mount it, or mount it anew, with options of tmpfs."""
        command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "none", str(self.path)]
        subprocess.run(command, check=True, capture_output=True)

    def unmount(self) -> None:
        subprocess.run(["umount", "--lazy", str(self.path)], check=False, capture_output=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    made = Disk(tmp_path / "disk")
    made.path.mkdir()
    try:
        made.mount("size=64k")
    except (subprocess.CalledProcessError, FileNotFoundError):
        pytest.skip("only root can mount a small disk")
    made.unmount()
    yield made
    made.unmount()


def sentence_of(recipe: Recipe, out: Path) -> str:
    """Run, and return the sentence that it stopped with."""
    try:
        run_here(recipe, out)
    except DatagenError as error:
        return str(error)
    return ""


def test_a_disk_that_fills_up_at_any_moment_is_a_sentence_and_nothing_is_paid_twice(
    recipe: Recipe, disk: Disk, fake_server: FakeServer, tmp_path: Path
) -> None:
    run_here(recipe, tmp_path / "expected")
    expected = shard_digests(tmp_path / "expected")
    sentences = set()
    for size in range(8, 4000, 24):
        disk.mount(f"size={size}k")
        before = fake_server.statistics()["by_seed"]
        stopped = sentence_of(recipe, disk.path / "out")
        disk.mount("remount", "size=8m")
        if not stopped:
            break
        sentences.add(stopped.partition(" (")[0].rpartition("/")[2])
        assert "ake room" in stopped, f"{size} KiB"
        run_here(recipe, disk.path / "out")
        assert shard_digests(disk.path / "out") == expected, f"{size} KiB"
        after = fake_server.statistics()["by_seed"]
        repeated = [seed for seed, count in after.items() if count - before.get(seed, 0) > 1]
        # Three calls each: of the row that could not be written, and of the two conversations under way beside it.
        assert len(repeated) <= 3 * 3, f"{size} KiB"
        disk.unmount()
    assert shard_digests(disk.path / "out") == expected
    assert len(sentences) >= 3  # at the start, at the parts, at the cut


def test_a_full_disk_leaves_the_shards_of_an_earlier_cut_alone(recipe: Recipe, disk: Disk, tmp_path: Path) -> None:
    disk.mount("size=8m")
    out = disk.path / "out"
    run_here(recipe, out)
    before = shard_digests(out)
    manifest = (out / "manifest.json").read_bytes()
    policy = tmp_path / "flag.yaml"
    policy.write_text("name: flag\npurpose: Only look.\nrules:\n- {rule: question_in_answer, action: flag}\n")
    used = sum(path.stat().st_size for path in disk.path.rglob("*"))
    other = recipe.model_copy(update={"policy": str(policy)})
    for room in (8, 64, 128):
        disk.mount("remount", f"size={used // KIB + 64 + room}k")
        with pytest.raises(DatagenError, match="ake room"):
            run_here(other, out)
        assert shard_digests(out) == before
        assert (out / "manifest.json").read_bytes() == manifest
    disk.mount("remount", "size=8m")
    assert run_here(other, out)["policy"]["name"] == "flag"


def test_a_read_only_disk_is_a_sentence(recipe: Recipe, disk: Disk) -> None:
    disk.mount("size=8m")
    run_here(recipe, disk.path / "out")
    before = shard_digests(disk.path / "out")
    disk.mount("remount", "ro")
    with pytest.raises(DatagenError, match=r"new cannot be written \(Read-only file system.*choose another --out"):
        run_here(recipe, disk.path / "new")
    with pytest.raises(DatagenError, match=r"out/run\.lock cannot be written \(Read-only file system"):
        run_here(recipe, disk.path / "out")
    assert shard_digests(disk.path / "out") == before


@pytest.mark.parametrize("damage", ["cut short", "empty", "a flipped bit"])
def test_a_part_that_is_damaged_on_disk_is_named_and_done_again(
    recipe: Recipe, fake_server: FakeServer, tmp_path: Path, damage: str
) -> None:
    out = tmp_path / "out"
    run_here(recipe, out)
    before = shard_digests(out)
    part = out / "parts" / "part-000001.parquet"
    ids = pq.read_metadata(part).row_group(0).column(pq.read_schema(part).names.index("id"))
    content = bytearray(part.read_bytes())
    if damage == "a flipped bit":  # in the middle of the ids, not in the footer, where a bit may mean nothing
        content[ids.data_page_offset + ids.total_compressed_size // 2] ^= 4
    part.write_bytes(content[: {"cut short": len(content) - 100, "empty": 0}.get(damage, len(content))])
    (out / "parts" / "part-000002.parquet").unlink()  # so that there is work, and then a cut
    with pytest.raises(DatagenError, match=r"delete part-000001\.parquet and part-000001\.tar and run again"):
        run_here(recipe, out)
    assert shard_digests(out) == before
    part.unlink()
    part.with_suffix(".tar").unlink()
    paid = fake_server.statistics()["requests"]
    run_here(recipe, out)
    assert shard_digests(out) == before
    assert fake_server.statistics()["requests"] - paid in (3 * 3, (3 + 2) * 3)


def test_no_flipped_bit_in_a_part_goes_unnoticed(recipe: Recipe, tmp_path: Path) -> None:
    run_here(recipe, tmp_path / "out")
    part = tmp_path / "out" / "parts" / "part-000000.parquet"
    content = part.read_bytes()
    rows = pq.read_table(part)
    noticed = 0
    places = range(0, len(content), max(1, len(content) // 150))
    for place in places:
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        part.write_bytes(flipped)
        try:
            check_parts([part])
        except DatagenError:
            noticed += 1
        else:  # a byte that carries nothing, such as a statistic
            assert pq.read_table(part).equals(rows)
    assert noticed > len(places) / 2


def test_shards_that_are_missing_or_cut_short_are_cut_again(
    recipe: Recipe, fake_server: FakeServer, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run_here(recipe, out)
    before = shard_digests(out)
    paid = fake_server.statistics()["requests"]
    shards = sorted((out / "train").iterdir())
    shards[0].unlink()
    run_here(recipe, out)
    assert shard_digests(out) == before
    shards[0].write_bytes(shards[0].read_bytes()[:-1])
    run_here(recipe, out)
    assert shard_digests(out) == before
    assert fake_server.statistics()["requests"] == paid


def test_a_damaged_manifest_or_identity_is_a_sentence(recipe: Recipe, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_here(recipe, out)
    (out / "manifest.json").write_text("{")
    with pytest.raises(DatagenError, match=r"manifest\.json is damaged .*\. Delete it"):
        run_here(recipe, out)
    (out / "run.json").write_text("")
    with pytest.raises(DatagenError, match=r"run\.json is damaged"):
        run_here(recipe, out)


def test_tasks_of_a_killed_run_that_still_write_do_not_disturb_the_next(recipe: Recipe, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_here(recipe, out)
    orphan = out / ".cut" / "orphan"
    ended = threading.Event()

    def write_on() -> None:
        number = 0
        while not ended.is_set():
            number += 1
            with suppress(OSError):
                orphan.mkdir(parents=True, exist_ok=True)
                (orphan / f"{number}.parquet").write_bytes(b"")

    thread = threading.Thread(target=write_on)
    thread.start()
    try:
        before = shard_digests(out)
        for _ in range(3):
            (out / "manifest.json").unlink()
            run_here(recipe, out)
            assert shard_digests(out) == before
    finally:
        ended.set()
        thread.join()
