"""Ray on several machines: a lost one costs its calls in flight, and no worker is waited for that is not there."""

import asyncio
import io
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import ray
from ray.cluster_utils import Cluster
from rich.console import Console

from datagen.errors import DatagenError
from datagen.executors import ray_tasks
from datagen.pipeline import workers as fleet
from datagen.pipeline.phases import phases
from datagen.pipeline.run import run
from datagen.pipeline.worker import Job, Worker
from datagen.progress import ProgressLine
from datagen.recipe import Recipe
from datagen.sources import open_source
from datagen.store.index import write_index
from datagen.store.policies import CarriedPolicy, read_policy
from tests.conftest import ROOT, FakeServer, MakeRecipe, started_fake_server, write_pictures
from tests.without_ray import run_here, shard_digests

pytestmark = pytest.mark.ray

IMAGES = 40


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "pictures", IMAGES)


@pytest.fixture
def two_nodes() -> Iterator[Cluster]:
    """Two machines with a CPU each, on this one; each has room for two workers."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    try:
        yield cluster
    finally:
        cluster.shutdown()


def test_a_lost_node_costs_its_calls_in_flight_and_the_bytes_stay_the_same(
    images: Path, make_recipe: MakeRecipe, two_nodes: Cluster, tmp_path: Path
) -> None:
    with started_fake_server(latency=0.3) as server:
        recipe = make_recipe(images, server.endpoint, workers=4, in_flight=2)
        command = [
            sys.executable,
            "-m",
            "datagen",
            "run",
            str(tmp_path / "recipe.yaml"),
            "--out",
            str(tmp_path / "out"),
        ]
        command += ["--images", str(images), "--endpoint", server.endpoint]
        command += ["--set", "workers=4", "--set", "in_flight=2"]
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "RAY_ADDRESS": two_nodes.address},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        while server.statistics()["requests"] < IMAGES and process.poll() is None:
            time.sleep(0.05)
        (other,) = two_nodes.worker_nodes
        two_nodes.remove_node(other, allow_graceful=False)
        output, errors = process.communicate(timeout=240)
        assert process.returncode == 0, errors
        assert output.count("A worker was lost") == 2
        assert sum(count - 1 for count in server.statistics()["by_seed"].values()) <= 2 * 2 * 3
        run_here(recipe.model_copy(update={"workers": 1, "in_flight": 64}), tmp_path / "undisturbed")
    assert shard_digests(tmp_path / "out") == shard_digests(tmp_path / "undisturbed")


def test_no_more_workers_start_than_fit_and_that_is_said(
    images: Path, fake_server: FakeServer, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    console = Console(file=io.StringIO(), width=200)
    manifest = run(
        make_recipe(images, fake_server.endpoint, workers=1000, output__part_rows=1, source__limit=8),
        tmp_path / "out",
        console,
    )
    assert manifest.manifest["counts"]["inputs"] == 8
    said = console.file.getvalue()
    assert "1000 workers were asked for, and Ray's" in said
    assert "CPUs have room for" in said


@pytest.fixture
def job(images: Path, make_recipe: MakeRecipe, tmp_path: Path) -> Job:
    return job_of(make_recipe(images, "http://127.0.0.1:9/v1"), tmp_path)


def job_of(recipe: Recipe, folder: Path) -> Job:
    parts = folder / "parts"
    parts.mkdir()
    index = folder / "index.parquet"
    write_index(open_source(recipe.source, recipe.images.max_bytes), index, recipe.output.part_rows)
    return Job(recipe, CarriedPolicy.of(read_policy("standard")), index, phases(recipe, parts)[0])


def refusal_of(job: Job) -> str:
    with pytest.raises(DatagenError) as refused:
        asyncio.run(Worker(job).open())
    return str(refused.value)


def test_a_machine_with_another_datagen_makes_no_rows(job: Job) -> None:
    other = replace(job, software={**job.software, "datagen": "0.0.9 (0123456789ab)", "pillow": "1.0"})
    said = refusal_of(other)
    assert 'datagen was "0.0.9 (0123456789ab)", now' in said
    assert 'pillow was "1.0", now' in said
    assert "Install the same on every machine" in said


def test_a_machine_that_does_not_see_the_run_is_named(job: Job, tmp_path: Path) -> None:
    assert "Put --out on a file system that all machines see" in refusal_of(replace(job, index=tmp_path / "nowhere"))


def test_a_machine_where_a_file_of_the_policy_differs_makes_no_rows(job: Job, tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("悪口\n", encoding="utf-8")
    policy = tmp_path / "policy.yaml"
    policy.write_text(f"rules: [{{rule: harmful_words, settings: {{path: {words}}}}}]", encoding="utf-8")
    carried = CarriedPolicy.of(read_policy(policy))
    words.write_text("悪口\n陰口\n", encoding="utf-8")
    assert "a file that one of its rules reads was changed" in refusal_of(replace(job, policy=carried))
    words.unlink()
    assert "words.txt" in refusal_of(replace(job, policy=carried))


def make_parts(job: Job) -> None:
    console = Console(file=io.StringIO())
    with ProgressLine(console, IMAGES, before=fleet.Counter()) as line:
        fleet.make_parts(job, [0, 1], 1, line, lambda _: {})


def test_workers_that_die_one_after_another_stop_the_run_with_a_sentence(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Dying:
        def __init__(self, job: Job) -> None:
            pass

        async def ready(self) -> None:
            os._exit(1)

        async def progress(self) -> None: ...

    monkeypatch.setattr(fleet, "Worker", Dying)
    monkeypatch.setattr(fleet, "_MOST_DEATHS", 3)
    with pytest.raises(DatagenError, match=r"3 Ray workers ended one after the other and finished no image"):
        make_parts(job)


def test_many_workers_that_are_lost_at_once_do_not_stop_the_run(
    images: Path, fake_server: FakeServer, make_recipe: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = tmp_path / "lost"
    lost.mkdir()

    class OnTheLostMachine(Worker):
        async def make_part(self, number: int) -> int:
            if len(list(lost.iterdir())) < 4:
                (lost / str(os.getpid())).touch()
                os._exit(1)
            return await super().make_part(number)

    monkeypatch.setattr(fleet, "Worker", OnTheLostMachine)
    monkeypatch.setattr(fleet, "_MOST_DEATHS", 2)
    console = Console(file=io.StringIO(), width=200)
    recipe = make_recipe(images, fake_server.endpoint, source__limit=16, workers=4, output__part_rows=4)
    assert run(recipe, tmp_path / "out", console).manifest["counts"]["inputs"] == 16
    assert console.file.getvalue().count("A worker was lost") >= 4


def test_a_worker_that_is_there_and_does_nothing_is_replaced(
    images: Path, fake_server: FakeServer, make_recipe: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = tmp_path / "stopped"

    class Hanging(Worker):
        async def make_part(self, number: int) -> int:
            if not stopped.exists():
                stopped.touch()
                os.kill(os.getpid(), signal.SIGSTOP)
            return await super().make_part(number)

    monkeypatch.setattr(fleet, "Worker", Hanging)
    monkeypatch.setattr(fleet, "_SILENT_SECONDS", 2.0)
    console = Console(file=io.StringIO(), width=200)
    recipe = make_recipe(images, fake_server.endpoint, source__limit=16)
    outcome = run(recipe, tmp_path / "out", console)
    assert outcome.manifest["counts"]["inputs"] == 16
    assert console.file.getvalue().count("A worker was lost (it has not answered for 2 s)") == 1


def test_a_worker_that_ray_cannot_place_is_not_waited_for_without_limit(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet, "CPUS_A_WORKER", 1000)
    monkeypatch.setattr(fleet, "_PLACE_SECONDS", 1.0)
    with pytest.raises(DatagenError, match=r"Ray has started no worker for 1 s: .* CPUs are free\. See that"):
        make_parts(job)


def test_a_task_on_a_machine_with_another_datagen_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    other = {**ray_tasks.software(), "datagen": "0.0.9 (0123456789ab)"}
    monkeypatch.setattr(ray_tasks, "software", lambda: other)
    with pytest.raises(DatagenError, match=r"has other software than the machine that started the work: datagen was"):
        ray_tasks.call_remotely(os.getpid)
    with pytest.raises(DatagenError, match="has other software"):
        list(ray_tasks.map_remotely(os.getpid, [()], "asking"))


def _hold(seconds: float) -> None:
    time.sleep(seconds)


def test_only_cpus_that_others_hold_are_said_to_be_waited_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ray_tasks, "_SILENT_SECONDS", 0.2)
    ray_tasks.start_ray()
    everywhere = [(1.0,)] * int(ray_tasks.cpus())
    assert len(list(ray_tasks.map_remotely(time.sleep, everywhere, "sleeping"))) == len(everywhere)
    assert "others are using them" not in capsys.readouterr().err
    taken = ray.remote(num_cpus=ray_tasks.cpus())(_hold).remote(3.0)
    while ray_tasks.free_cpus() >= 1:
        time.sleep(0.05)
    assert list(ray_tasks.map_remotely(abs, [(-1,)], "after others")) == [1]
    assert "others are using them all" in capsys.readouterr().err
    ray.get(taken)


def test_machines_that_do_not_see_the_run_are_found_before_any_worker_starts(
    job: Job, two_nodes: Cluster, tmp_path: Path
) -> None:
    asking = f"""
import pickle, sys, ray
from pathlib import Path
from datagen.errors import DatagenError
from datagen.executors.ray_tasks import call_on_every_machine, start_ray
from datagen.pipeline.worker import check_machine
job = pickle.loads(Path({str(tmp_path / "job")!r}).read_bytes())
start_ray()
try:
    call_on_every_machine(check_machine, job)
except DatagenError as error:
    print(error)
else:
    print("all see it")
"""
    said = []
    for seen in (job, replace(job, index=tmp_path / "nowhere")):
        (tmp_path / "job").write_bytes(pickle.dumps(seen))
        environment = {**os.environ, "RAY_ADDRESS": two_nodes.address}
        ended = subprocess.run(
            [sys.executable, "-c", asking], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        )
        said.append(ended.stdout.strip())
    assert said[0] == "all see it"
    assert "Put --out on a file system that all machines see" in said[1]
