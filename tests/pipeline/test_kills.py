"""Killed at any step, a run goes on where it stopped, and ends in the same bytes.

Each step on a file of the run's directory is once the last one of a process, which kills itself there. From outside
`benchmarks.kills` kills drivers, Ray workers and servers at random moments, a few of them here too.
"""

import multiprocessing
import os
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import datasets
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from benchmarks.kills import kill_many
from datagen.recipe import Mix, Recipe
from datagen.store import journal as parts
from tests.conftest import FakeServer, MakeRecipe, picture
from tests.without_ray import run_here, shard_digests, states

pytestmark = pytest.mark.ray

CALLS_AN_IMAGE = 2
IN_FLIGHT = 2
_CHANGES = frozenset({"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate"})

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload([__name__, datasets.__name__])  # what a child would have to import


class Options(NamedTuple):
    """How a run is started."""

    recipe: Recipe
    fresh: bool = False
    retry_failed: bool = False


def _run_until(step: int, options: Options, out: Path) -> None:
    """Run in this process, and kill it just before its step `step` on the files below `out`."""
    taken = 0

    def take_step() -> None:
        nonlocal taken
        taken += 1
        if taken == step:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        # A tree is removed by names relative to a descriptor.
        relative = event in ("os.remove", "os.rmdir") and arguments[-1] != -1
        changes = event in _CHANGES or (event == "open" and _is_written(arguments))
        if changes and (relative or str(arguments[0]).startswith(str(out))):
            take_step()

    def before(function: Callable[..., Any]) -> Callable[..., Any]:
        def stepping(*arguments: Any) -> Any:
            take_step()
            return function(*arguments)

        return stepping

    sys.addaudithook(watch)
    # Between the picture and its line in the journal, and before each fsync.
    with patch.object(parts, "journal_line", before(parts.journal_line)), patch.object(os, "fsync", before(os.fsync)):
        run_here(options.recipe, out, fresh=options.fresh, retry_failed=options.retry_failed)
    os._exit(0)


def _is_written(arguments: tuple[Any, ...]) -> bool:
    path, mode, _ = arguments
    return isinstance(path, str) and isinstance(mode, str) and mode not in ("r", "rb")


def run_in_process(options: Options, out: Path, step: int = 0) -> bool:
    """Run in a process of its own; return whether it came to its end."""
    process = _processes.Process(target=_run_until, args=(step, options, out))
    process.start()
    process.join(60)
    assert process.exitcode in (0, -signal.SIGKILL), f"step {step} ended with {process.exitcode}"
    return process.exitcode == 0


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Five pictures and a broken one."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(5):
        (folder / f"{number}.jpg").write_bytes(picture(number))
    (folder / "broken.jpg").write_bytes(b"no picture")
    return folder


@pytest.fixture
def recipe(images: Path, fake_server: FakeServer, make_recipe: MakeRecipe) -> Recipe:
    return make_recipe(
        images,
        fake_server.endpoint,
        workers=1,
        in_flight=IN_FLIGHT,
        seed=1,  # one of the five is dropped
        stages__1__repeat=1,
        output__part_rows=3,
        output__shard_bytes=3000,
    )


def killed_at_every_step(
    killed: Options, resumed: Options, out: Path, before: Path | None = None, every: int = 1
) -> Iterator[int]:
    """Kill a run at one step after another, going on each time, and yield the number of the step.

    Args:
        killed: how the run is started that is killed.
        resumed: how it is started again.
        out: its directory.
        before: what is in the directory at the start.
        every: so many steps lie from one kill to the next.
    """
    step = 0
    while True:
        step += every
        shutil.rmtree(out, ignore_errors=True)
        if before is not None:
            shutil.copytree(before, out)
        if run_in_process(killed, out, step):
            return
        assert run_in_process(resumed, out), f"step {step}"
        assert not [path for path in out.iterdir() if path.name.startswith(".")], f"step {step}"
        yield step


def stored_states(out: Path) -> dict[str, str]:
    """Return the state of every row of the parts by its key."""
    rows = [row for path in (out / "parts").glob("*.parquet") for row in pq.read_table(path).to_pylist()]
    return {row["key"]: row["state"] for row in rows}


class Bill:
    """What a server was asked since the last look."""

    def __init__(self, server: FakeServer) -> None:
        self._server = server
        self._paid = Counter[str](server.statistics()["by_seed"])

    def since(self) -> Counter[str]:
        now = Counter[str](self._server.statistics()["by_seed"])
        new = now - self._paid
        self._paid = now
        return new

    def repeated(self) -> int:
        return sum(count - 1 for count in self.since().values())


def test_a_first_run_ends_in_the_same_bytes_wherever_it_was_killed(
    recipe: Recipe, fake_server: FakeServer, tmp_path: Path
) -> None:
    assert run_in_process(Options(recipe), tmp_path / "expected")
    expected = shard_digests(tmp_path / "expected")
    assert Counter(states(tmp_path / "expected").values())["failed"] == 1
    bill = Bill(fake_server)
    for step in killed_at_every_step(Options(recipe), Options(recipe), tmp_path / "out"):
        assert shard_digests(tmp_path / "out") == expected, f"step {step}"
        assert bill.repeated() <= IN_FLIGHT * CALLS_AN_IMAGE, f"step {step}"
    assert step > 40


def test_a_run_that_grows_ends_in_the_same_bytes_wherever_it_was_killed(
    recipe: Recipe, fake_server: FakeServer, tmp_path: Path
) -> None:
    first = Options(recipe.model_copy(update={"source": recipe.source.model_copy(update={"limit": 2})}))
    assert run_in_process(first, tmp_path / "before")
    assert run_in_process(Options(recipe), tmp_path / "expected")
    bill = Bill(fake_server)
    for step in killed_at_every_step(Options(recipe), Options(recipe), tmp_path / "out", tmp_path / "before", every=7):
        assert shard_digests(tmp_path / "out") == shard_digests(tmp_path / "expected"), f"step {step}"
        assert bill.repeated() <= IN_FLIGHT * CALLS_AN_IMAGE, f"step {step}"
    assert step > 40


def test_a_mix_ends_in_the_same_bytes_wherever_it_was_killed(
    recipe: Recipe, fake_server: FakeServer, tmp_path: Path
) -> None:
    stages = tuple(
        stage.model_copy(update={"purpose": purpose})
        for stage, purpose in zip((recipe.stages[1], recipe.stages[1]), ("one", "other"), strict=True)
    )
    mixed = recipe.model_copy(update={"stages": stages, "mix": Mix(numbers={"one": 2, "other": 2})})
    assert run_in_process(Options(mixed), tmp_path / "expected")
    expected = (shard_digests(tmp_path / "expected"), (tmp_path / "expected" / "mix.json").read_bytes())
    bill = Bill(fake_server)
    for step in killed_at_every_step(Options(mixed), Options(mixed), tmp_path / "out", every=9):
        assert (shard_digests(tmp_path / "out"), (tmp_path / "out" / "mix.json").read_bytes()) == expected, (
            f"step {step}"
        )
        assert bill.repeated() <= IN_FLIGHT * CALLS_AN_IMAGE, f"step {step}"
    assert step > 40


def test_retried_images_reach_the_shards_wherever_the_run_was_killed(
    recipe: Recipe, images: Path, fake_server: FakeServer, tmp_path: Path
) -> None:
    before = tmp_path / "before"
    assert run_in_process(Options(recipe), before)
    (images / "broken.jpg").write_bytes(picture(7))
    bill = Bill(fake_server)
    retrying = Options(recipe, retry_failed=True)
    mended = 0
    for step in killed_at_every_step(retrying, Options(recipe), tmp_path / "out", before):
        found = states(tmp_path / "out")
        assert len(found) == 6, f"step {step}"
        assert found == stored_states(tmp_path / "out"), f"step {step}"
        mended += found["broken.jpg"] != "failed"
        assert set(bill.since().values()) <= {1, 2}, f"step {step}"  # the retried image alone, once more if killed
    assert mended > 20


def test_another_policy_leaves_whole_shards_wherever_its_cut_was_killed(
    recipe: Recipe, fake_server: FakeServer, tmp_path: Path
) -> None:
    policy = tmp_path / "flag.yaml"
    policy.write_text("name: flag\npurpose: Only look.\nrules:\n- {rule: question_in_answer, action: flag}\n")
    other = Options(recipe.model_copy(update={"policy": str(policy)}))
    before, after = tmp_path / "before", tmp_path / "after"
    assert run_in_process(Options(recipe), before)
    shutil.copytree(before, after)
    assert run_in_process(other, after)
    assert shard_digests(after) != shard_digests(before)
    bill = Bill(fake_server)
    for step in killed_at_every_step(other, other, tmp_path / "out", before):
        assert shard_digests(tmp_path / "out") == shard_digests(after), f"step {step}"
    assert step > 15
    assert not bill.since()


def test_workers_a_driver_and_a_server_can_be_killed_from_outside(tmp_path: Path, quiet: Console) -> None:
    assert kill_many(Counter(worker=2, server=1, driver=1), 200, tmp_path, quiet)


def test_a_fresh_start_leaves_nothing_of_the_old_run_wherever_it_was_killed(
    recipe: Recipe, images: Path, tmp_path: Path
) -> None:
    before = tmp_path / "before"
    assert run_in_process(Options(recipe), before)
    (images / "0.jpg").unlink()
    other = Options(recipe.model_copy(update={"seed": 2}), fresh=True)
    assert run_in_process(other, tmp_path / "expected")
    for step in killed_at_every_step(other, other, tmp_path / "out", before):
        assert shard_digests(tmp_path / "out") == shard_digests(tmp_path / "expected"), f"step {step}"
        if step > 30:  # by then the work has begun
            break
