"""Job files, run as far as a machine without a batch system can: stand-ins take the place of its commands alone."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from datagen.errors import DatagenError
from datagen.jobs import job_file, job_of, systems
from tests.conftest import ROOT, FakeServer, called, started_fake_server, write_pictures
from tests.without_ray import states

IMAGES = 24
STAND_INS = {
    "scontrol": """
        if [ "$1" = show ]; then echo localhost; echo localhost; else echo "scontrol $*" >> "$CALLED"; fi
    """,
    "srun": """
        while [[ $1 == --* ]]; do shift; done
        trap 'kill $(jobs -p); wait' TERM
        for number in $(seq 0 $((SLURM_NNODES - 1))); do SLURM_PROCID=$number "$@" & done
        wait
    """,
    "qsub": 'echo "qsub $*" >> "$CALLED"',
}
"""What of Slurm and PBS the job files call, for machines that are all this one."""


def job(tmp_path: Path, system: str, **fields: Any) -> tuple[Path, str]:
    usual = {"recipe": tmp_path / "recipe.yaml", "out": tmp_path / "my run", "gpus": 0, "cpus": 1}
    name, text = job_file(system, job_of(**{**usual, **fields}))
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path, text


@pytest.fixture
def submit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., "subprocess.Popen[str]"]:
    """Return what starts a job file as a batch system does."""
    (tmp_path / "bin").mkdir()
    for name, script in STAND_INS.items():
        path = tmp_path / "bin" / name
        path.write_text(f"#!/usr/bin/env bash\n{script}\n", encoding="utf-8")
        path.chmod(0o755)

    def start(path: Path, **variables: str) -> "subprocess.Popen[str]":
        given = {
            "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}",
            "CALLED": str(tmp_path / "called"),
            "PBS_O_WORKDIR": str(tmp_path),
            **variables,
        }
        return subprocess.Popen(
            ["bash", str(path)],
            env={name: value for name, value in {**os.environ, **given}.items() if name != "RAY_ADDRESS"},
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    return start


def write_recipe(tmp_path: Path, endpoint: str) -> None:
    write_pictures(tmp_path / "pictures", IMAGES)
    recipe = {
        "source": {"path": str(tmp_path / "pictures")},
        "engines": {"vlm": {"model": "fake-vlm", "endpoints": [endpoint]}},
        "stages": [{"prompt": "caption", "engine": "vlm"}, {"prompt": "question_answer", "engine": "vlm"}],
        "workers": 2,
        "in_flight": 2,
        "output": {"part_rows": 4},
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")


def wait_for_requests(server: FakeServer, count: int, process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 90
    while server.statistics()["requests"] < count and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)


@pytest.mark.ray
@pytest.mark.skipif(not shutil.which("getent"), reason="glibc has it")
def test_a_slurm_job_stops_before_its_limit_is_queued_again_and_goes_on(
    tmp_path: Path, submit: Callable[..., "subprocess.Popen[str]"]
) -> None:
    with started_fake_server(latency=0.3) as server:
        write_recipe(tmp_path, server.endpoint)
        path, _ = job(tmp_path, "slurm", nodes=2)
        allotted = {"SLURM_NNODES": "2", "SLURM_JOB_ID": str(os.getpid()), "SLURM_JOB_NODELIST": "node[1-2]"}
        first = submit(path, **allotted)
        wait_for_requests(server, IMAGES, first)
        os.kill(first.pid, signal.SIGUSR1)
        said, _ = first.communicate(timeout=120)
        assert first.returncode == 128 + signal.SIGUSR1, said
        assert "Stopped. What is done is kept" in said
        assert (tmp_path / "called").read_text() == f"scontrol requeue {os.getpid()}\n"
        second = submit(path, **allotted)
        said, _ = second.communicate(timeout=180)
        assert second.returncode == 0, said
        repeated = sum(count - 1 for count in server.statistics()["by_seed"].values())
    assert len(states(tmp_path / "my run")) == IMAGES
    assert repeated <= 2 * 2 * 2
    assert (tmp_path / "called").read_text().count("requeue") == 1


def test_the_jobs_of_an_array_share_the_images(
    tmp_path: Path, submit: Callable[..., "subprocess.Popen[str]"], fake_server: FakeServer
) -> None:
    write_recipe(tmp_path, fake_server.endpoint)
    path, _ = job(tmp_path, "slurm", array=3, options=("--local",))
    for number in range(3):
        process = submit(path, SLURM_ARRAY_TASK_ID=str(number), SLURM_ARRAY_JOB_ID="7")
        said, _ = process.communicate(timeout=120)
        assert process.returncode == 0, said
    parts = sorted((tmp_path / "my run").iterdir())
    assert [part.name for part in parts] == ["0000-of-0003", "0001-of-0003", "0002-of-0003"]
    found = [set(states(part)) for part in parts]
    assert sum(map(len, found)) == len(set.union(*found)) == IMAGES


def test_a_pbs_job_stops_before_its_limit_and_is_submitted_again(
    tmp_path: Path, submit: Callable[..., "subprocess.Popen[str]"]
) -> None:
    with started_fake_server(latency=1.0) as server:
        write_recipe(tmp_path, server.endpoint)
        path, _ = job(tmp_path, "pbs", hours=68 / 3600, grace=60, options=("--local", "--set=in_flight=1"))
        process = submit(path)
        said, _ = process.communicate(timeout=120)
        assert process.returncode == 124, said
        assert "Stopped. What is done is kept" in said
        assert (tmp_path / "called").read_text() == f"qsub {path.name}\n"
        assert server.statistics()["requests"] > 1


def test_a_pbs_job_of_an_array_is_submitted_again_alone(
    tmp_path: Path, submit: Callable[..., "subprocess.Popen[str]"]
) -> None:
    (tmp_path / "recipe.yaml").write_text("{}", encoding="utf-8")
    path, text = job(tmp_path, "pbs", array=8, hours=61 / 3600, grace=60)
    assert "qsub -J 0-7 " in text
    datagen = tmp_path / "bin" / "datagen"
    datagen.write_text('#!/usr/bin/env bash\necho "$@" > "$PBS_O_WORKDIR/ran"; exec sleep 60\n', encoding="utf-8")
    datagen.chmod(0o755)
    (tmp_path / "bin" / "activate").write_text("", encoding="utf-8")
    text = text.replace(f"source {Path(sys.prefix) / 'bin/activate'}", ":")
    path.write_text(text, encoding="utf-8")
    process = submit(path, DATAGEN_SLICE="5", PBS_ARRAY_INDEX="0")
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 124, said
    assert (tmp_path / "ran").read_text().split()[-2:] == ["--slice", "5/8"]
    assert (tmp_path / "called").read_text() == f"qsub -v DATAGEN_SLICE=5 {path.name}\n"


CASES: Sequence[tuple[str, dict[str, Any]]] = [
    ("slurm", {"nodes": 1}),
    ("slurm", {"nodes": 4, "gpus": 8, "queue": "gpu", "account": "g1"}),
    ("slurm", {"array": 16, "setup": "module load cuda"}),
    ("pbs", {"nodes": 1}),
    ("pbs", {"nodes": 4, "gpus": 8, "queue": "rt_HF", "account": "g1"}),
    ("pbs", {"array": 16, "setup": "module load cuda"}),
]


@pytest.mark.parametrize(("system", "fields"), CASES)
@pytest.mark.parametrize("name", ["photos", "it's 写真 $HOME", "a b"])
def test_a_job_file_is_a_script_and_its_directives_come_first(
    system: str, fields: dict[str, Any], name: str, tmp_path: Path
) -> None:
    path, text = job(tmp_path, system, out=tmp_path / name, options=("--limit=10", "--set=task=a b"), **fields)
    subprocess.run(["bash", "-n", str(path)], check=True)
    mark = {"slurm": "#SBATCH ", "pbs": "#PBS "}[system]
    lines = text.splitlines()
    assert lines[0] == "#!/usr/bin/env bash"
    last = max(number for number, line in enumerate(lines) if line.startswith(mark))
    assert all(line.startswith("#") for line in lines[:last])
    assert "--limit=10 '--set=task=a b'" in text


def test_a_slurm_job_asks_for_what_was_asked_for(tmp_path: Path) -> None:
    _, text = job(tmp_path, "slurm", nodes=4, gpus=8, cpus=64, hours=1.5, grace=120, queue="gpu", account="g1")
    asked = {line.removeprefix("#SBATCH --") for line in text.splitlines() if line.startswith("#SBATCH ")}
    assert {
        "nodes=4", "ntasks-per-node=1", "gpus-per-node=8", "cpus-per-task=64", "time=01:30:00", "signal=B:USR1@120",
        "requeue", "partition=gpu", "account=g1",
    } <= asked  # fmt: skip


def test_a_pbs_job_of_abci_asks_for_machines_of_a_kind(tmp_path: Path) -> None:
    _, text = job(tmp_path, "pbs", nodes=4, gpus=8, queue="rt_HF", account="gcb1")
    asked = {line.removeprefix("#PBS -") for line in text.splitlines() if line.startswith("#PBS ")}
    assert {"l select=4", "l walltime=24:00:00", "q rt_HF", "P gcb1", "r y"} <= asked


def test_a_rayjob_has_the_fields_of_kuberay_and_no_others(tmp_path: Path) -> None:
    """The names are those of ray.io/v1, RayJob, in ray.io_rayjobs.yaml of KubeRay 1.5."""
    fields = {"recipe": Path("/shared/r.yaml"), "out": Path("/shared/runs/Photos_1")}
    path, text = job(tmp_path, "rayjob", nodes=4, gpus=8, image="registry/datagen:1", **fields)
    document = yaml.safe_load(text)
    assert (document["apiVersion"], document["kind"]) == ("ray.io/v1", "RayJob")
    assert document["metadata"] == {"name": "datagen-photos-1"}
    assert path.name == "datagen-photos-1.yaml"
    spec = document["spec"]
    assert spec["entrypoint"] == "datagen run /shared/r.yaml --out /shared/runs/Photos_1 --machines 5"
    assert set(spec) == {
        "entrypoint", "activeDeadlineSeconds", "backoffLimit", "shutdownAfterJobFinishes", "ttlSecondsAfterFinished",
        "rayClusterSpec",
    }  # fmt: skip
    cluster = spec["rayClusterSpec"]
    assert set(cluster) == {"rayVersion", "headGroupSpec", "workerGroupSpecs"}
    (workers,) = cluster["workerGroupSpecs"]
    assert (workers["replicas"], workers["minReplicas"], workers["maxReplicas"]) == (4, 4, 4)
    for group in (cluster["headGroupSpec"], workers):
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        (container,) = group["template"]["spec"]["containers"]
        assert container["image"] == "registry/datagen:1"
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in group["template"]["spec"]["volumes"]}
    (worker,) = workers["template"]["spec"]["containers"]
    assert worker["resources"]["limits"]["nvidia.com/gpu"] == "8"


@pytest.mark.parametrize(
    ("system", "fields", "said"),
    [
        ("slrum", {}, "slrum is no batch system that is known: did you mean 'slurm'?"),
        ("rayjob", {"array": 4, "image": "i"}, "--array is of slurm and pbs"),
        ("rayjob", {}, "--image names the container image"),
        ("slurm", {"queue": "gpu\n#SBATCH --x"}, "--queue is .*no job file can hold on one line"),
        ("slurm", {"hours": 0}, "--hours is 0"),
    ],
)
def test_what_no_job_can_be_is_a_sentence(system: str, fields: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(DatagenError, match=said):
        job(tmp_path, system, **fields)


def test_the_command_writes_a_file_and_says_how_it_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = ROOT / "examples" / "quickstart.yaml"
    assert systems() == ["pbs", "rayjob", "slurm"]
    code, errors = called(monkeypatch, capsys, "job", "slurm", recipe, "--out", "runs/photos", "--nodes", "2")
    assert (code, errors) == (None, "")
    text = (tmp_path / "datagen-photos.sh").read_text(encoding="utf-8")
    assert f"datagen run {recipe} --out {tmp_path}/runs/photos --machines 2" in text
    code, errors = called(monkeypatch, capsys, "job", "rayjob", "recipe.yaml", "--out", "runs/photos")
    assert code == 2
    assert "Name recipe and --out of a RayJob as its machines see them" in errors


def test_machines_are_waited_for_in_a_cluster_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    recipe = ROOT / "examples" / "quickstart.yaml"
    code, errors = called(monkeypatch, capsys, "run", recipe, "--out", tmp_path / "out", "--machines", "2")
    assert code == 2
    assert "--machines waits for a cluster, and RAY_ADDRESS names none" in errors


def test_a_slice_is_every_nth_image(tmp_path: Path, fake_server: FakeServer) -> None:
    from datagen.recipe_file import load_recipe
    from tests.without_ray import run_here

    write_recipe(tmp_path, fake_server.endpoint)
    whole = load_recipe(tmp_path / "recipe.yaml")
    parts = []
    for number in range(3):
        sliced = load_recipe(tmp_path / "recipe.yaml", [f"source.slice={number}/3"])
        run_here(sliced, tmp_path / f"out-{number}")
        parts.append(states(tmp_path / f"out-{number}"))
    run_here(whole, tmp_path / "whole")
    assert {key: state for part in parts for key, state in part.items()} == states(tmp_path / "whole")
    assert orjson.loads((tmp_path / "out-0" / "run.json").read_bytes())["slice"] == "0/3"
    with pytest.raises(DatagenError, match=r"source.slice is '3/3'.*write it as k/n"):
        load_recipe(tmp_path / "recipe.yaml", ["source.slice=3/3"])
