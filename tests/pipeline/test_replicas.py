"""Replicas that Ray places, on real Ray with GPUs that it is told of: whose they are, and what happens to lost ones.

vLLM's place is taken by a server that tells its arguments and its GPUs, and answers by the seed of each request.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.cluster_utils import Cluster

from benchmarks.fake_server import logged_requests
from datagen.engines.servers.host import ReplicaHost
from datagen.engines.servers.vllm import Model
from datagen.errors import DatagenError
from tests.conftest import ROOT, MakeRecipe, started_fake_server, write_pictures
from tests.without_ray import run_here, shard_digests

pytestmark = pytest.mark.ray

IMAGES = 24
SERVER = """
import json, os, sys, time
from pathlib import Path
from benchmarks.fake_server import main
folder = Path(__file__).parents[3]
told = {"args": sys.argv[1:], "gpus": os.environ.get("CUDA_VISIBLE_DEVICES"), "pid": os.getpid(), "time": time.time()}
(folder / f"server-{time.time_ns()}-{os.getpid()}.json").write_text(json.dumps(told))
sys.argv += ["--latency", "0.3", "--log", str(folder / f"requests-{os.getpid()}.log")]
main()
"""
NewCluster = Callable[..., Cluster]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with pictures, and a vLLM that is none; all processes that are started find it."""
    write_pictures(tmp_path / "pictures", IMAGES)
    package = tmp_path / "vllm" / "entrypoints" / "openai"
    package.mkdir(parents=True)
    for level in (package, package.parent, package.parent.parent):
        (level / "__init__.py").touch()
    (package / "api_server.py").write_text(SERVER, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{ROOT}")
    return tmp_path


@pytest.fixture
def cluster(folder: Path) -> Iterator[NewCluster]:
    """Make a cluster of machines with so many GPUs each, all on this one."""
    made: list[Cluster] = []

    def make(*gpus: int) -> Cluster:
        cluster = Cluster()
        for number, count in enumerate(gpus):
            head = {"include_dashboard": False} if number == 0 else {}
            cluster.add_node(num_cpus=1, num_gpus=count, **head)
        cluster.wait_for_nodes()
        made.append(cluster)
        return cluster

    yield make
    for each in made:
        each.shutdown()


class Run:
    """`datagen run` on a cluster."""

    def __init__(self, folder: Path, cluster: Cluster, engines: dict[str, Any], **changes: Any) -> None:
        used = list(engines)
        stages = [{"prompt": "caption", "engine": used[0]}, {"prompt": "question_answer", "engine": used[-1]}]
        document = {
            "task": "test",
            "source": {"path": str(folder / "pictures")},
            "engines": {name: {"model": "fake-vlm", **engine} for name, engine in engines.items()},
            "stages": stages,
            "workers": 2,
            "in_flight": 2,
            "output": {"part_rows": 4},
            **changes,
        }
        (folder / "run.yaml").write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
        self.folder = folder
        self.out = folder / "out"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "datagen", "run", str(folder / "run.yaml"), "--out", str(self.out)],
            cwd=ROOT,
            env={**os.environ, "RAY_ADDRESS": cluster.address},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def servers(self) -> list[dict[str, Any]]:
        """What the servers told of themselves, in the order of their starts."""
        told = [json.loads(path.read_text()) for path in sorted(self.folder.glob("server-*.json"))]
        return sorted(told, key=lambda each: each["time"])

    @property
    def requests(self) -> list[str]:
        """The seeds of all requests."""
        return [seed for path in self.folder.glob("requests-*.log") for _, seed in logged_requests(path)]

    def wait_for_requests(self, count: int) -> None:
        deadline = time.monotonic() + 90
        while len(self.requests) < count and self.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)

    def end(self) -> tuple[str, str]:
        """Wait for the end, and return what was said on both outputs."""
        said, errors = self.process.communicate(timeout=180)
        assert "Traceback" not in errors
        return said, errors


def gpus_of(run: Run) -> list[str]:
    return sorted(server["gpus"] for server in run.servers)


def tensor_parallel(server: dict[str, Any]) -> str:
    args = server["args"]
    return args[args.index("--tensor-parallel-size") + 1] if "--tensor-parallel-size" in args else "1"


def alike(folder: Path, run: Run, make_recipe: MakeRecipe) -> bool:
    """Whether the shards are those of a run that nothing befell."""
    with started_fake_server() as server:
        engines = {"vlm": {"model": "fake-vlm", "endpoints": [server.endpoint]}}
        recipe = make_recipe(folder / "pictures", server.endpoint, stages__1__repeat=1, output__part_rows=4)
        assert set(recipe.engines) == set(engines)
        run_here(recipe, folder / "undisturbed")
    return shard_digests(run.out) == shard_digests(folder / "undisturbed")


@pytest.mark.parametrize(
    ("gpus", "engine", "held", "tensor"),
    [
        ((8,), {"gpus": 4}, ["0,1,2,3", "4,5,6,7"], "4"),
        ((2, 2), {"gpus": 2}, ["0,1", "0,1"], "2"),
        ((4,), {"server": {"args": ["--tensor-parallel-size", "2"]}}, ["0,1", "2,3"], "2"),
    ],
)
def test_every_replica_has_gpus_of_its_own(
    cluster: NewCluster, folder: Path, gpus: tuple[int, ...], engine: dict[str, Any], held: list[str], tensor: str
) -> None:
    run = Run(folder, cluster(*gpus), {"vlm": engine}, source={"path": str(folder / "pictures"), "limit": 4})
    said, errors = run.end()
    assert run.process.returncode == 0, errors
    assert gpus_of(run) == held
    assert {tensor_parallel(server) for server in run.servers} == {tensor}
    assert all("--data-parallel-size" not in server["args"] for server in run.servers)
    assert f"Starting {len(held)} vLLM replica" in said
    assert len(list(run.out.glob("server-vlm*.log"))) == len(held)


def test_two_engines_share_the_gpus_by_their_numbers(cluster: NewCluster, folder: Path) -> None:
    engines = {"vlm": {"gpus": 4}, "llm": {"model": "fake-vlm", "gpus": 2, "vision": False}}
    run = Run(folder, cluster(8), engines, source={"path": str(folder / "pictures"), "limit": 4})
    _, errors = run.end()
    assert run.process.returncode == 0, errors
    held = gpus_of(run)
    assert sorted(map(len, held)) == [3, 3, 7]
    assert sorted(",".join(held).split(",")) == list("01234567")
    assert {path.name for path in run.out.glob("server-*.log")} == {
        "server-vlm.log", "server-llm-0.log", "server-llm-1.log",
    }  # fmt: skip


def test_gpus_that_may_not_be_seen_are_not_used(
    cluster: NewCluster, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    run = Run(folder, cluster(2), {"vlm": {}}, source={"path": str(folder / "pictures"), "limit": 4})
    _, errors = run.end()
    assert run.process.returncode == 0, errors
    assert gpus_of(run) == ["2", "3"]


def test_what_does_not_fit_is_a_sentence_and_nothing_starts(cluster: NewCluster, folder: Path) -> None:
    run = Run(folder, cluster(2, 2), {"vlm": {"gpus": 4}})
    _, errors = run.end()
    assert run.process.returncode == 2
    assert "engines.vlm: a replica takes 4 GPUs on one machine, and there is room for 0" in errors
    assert not run.servers


def test_a_replica_whose_server_is_killed_comes_back_and_its_conversations_move(
    cluster: NewCluster, folder: Path, make_recipe: MakeRecipe
) -> None:
    run = Run(folder, cluster(2), {"vlm": {}})
    run.wait_for_requests(IMAGES // 2)
    os.kill(run.servers[0]["pid"], signal.SIGKILL)
    said, errors = run.end()
    assert run.process.returncode == 0, errors
    assert "A replica of vlm ended (killed by SIGKILL)" in said
    assert len(run.servers) == 3
    assert run.servers[2]["gpus"] == run.servers[0]["gpus"]
    assert len(run.requests) - len(set(run.requests)) <= 2 * 2
    assert alike(folder, run, make_recipe)


def test_the_only_replica_comes_back_and_no_patience_is_lost(
    cluster: NewCluster, folder: Path, make_recipe: MakeRecipe
) -> None:
    run = Run(folder, cluster(0), {"vlm": {"patience": 1}})
    run.wait_for_requests(IMAGES // 2)
    os.kill(run.servers[0]["pid"], signal.SIGKILL)
    said, errors = run.end()
    assert run.process.returncode == 0, errors
    assert said.count("A replica of vlm answers after") == 2
    assert alike(folder, run, make_recipe)


def test_a_lost_machine_takes_a_replica_and_a_worker_and_the_bytes_stay_the_same(
    cluster: NewCluster, folder: Path, make_recipe: MakeRecipe
) -> None:
    machines = cluster(1, 1)
    run = Run(folder, machines, {"vlm": {}})
    run.wait_for_requests(IMAGES // 2)
    (other,) = machines.worker_nodes
    machines.remove_node(other, allow_graceful=False)
    _, errors = run.end()
    assert run.process.returncode == 0, errors
    assert len(run.requests) - len(set(run.requests)) <= 2 * 2 * 3
    assert alike(folder, run, make_recipe)


def test_a_killed_driver_takes_its_replicas_along_and_the_next_run_goes_on(
    cluster: NewCluster, folder: Path, make_recipe: MakeRecipe
) -> None:
    machines = cluster(2)
    first = Run(folder, machines, {"vlm": {}})
    first.wait_for_requests(IMAGES // 2)
    servers = [server["pid"] for server in first.servers]
    first.process.kill()
    first.process.communicate()
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in servers) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [pid for pid in servers if Path(f"/proc/{pid}").exists()]
    run = Run(folder, machines, {"vlm": {}})
    _, errors = run.end()
    assert run.process.returncode == 0, errors
    assert len(run.requests) - len(set(run.requests)) <= 2 * 2 * 2
    assert alike(folder, run, make_recipe)


def test_a_server_that_never_starts_is_one_line_with_its_own_error(cluster: NewCluster, folder: Path) -> None:
    (folder / "vllm" / "entrypoints" / "openai" / "api_server.py").write_text(
        "raise SystemExit('ValueError: no such model')"
    )
    run = Run(folder, cluster(1), {"vlm": {}})
    _, errors = run.end()
    assert run.process.returncode == 2
    assert "engines.vlm: The vLLM server ended while starting (ValueError: no such model)" in errors.splitlines()[-1]


def test_a_machine_that_does_not_see_the_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatagenError, match=r"/nowhere/out is not there on .*Put --out on a file system that all"):
        asyncio.run(ReplicaHost().start(Model("m", "m"), Path("/nowhere/out/log"), "127.0.0.1", "key", 1))
    with pytest.raises(DatagenError, match=r"The weights /nowhere/model are not there on"):
        asyncio.run(ReplicaHost().start(Model("m", "/nowhere/model"), tmp_path / "log", "127.0.0.1", "key", 1))
