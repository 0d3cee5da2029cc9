"""The ablation in miniature of the miniature: it trains, asks, compares, goes on, and refuses what is wrong."""

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import pytest

from datagen.errors import DatagenError
from examples.ablation.settings import load_settings
from tests.conftest import ROOT
from tests.trainers.loaders import INSTALLED

ABLATION = ROOT / "examples" / "ablation"
SETTINGS = f"""
students:
  small: {{model: {ROOT}/examples/tiny_vlm/model, decoder_layers: [0, 3], warm_up: 2}}
shares: [0, 0.5]
arms: {{unfiltered: null, filtered: standard}}
seeds: 1
things: 24
pictures_each: 1
steps: 8
rate: 1.0e-3
longest: 32
where: local
served: false
"""

Ablate = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ablation")


@pytest.fixture(scope="module")
def ablate(folder: Path) -> Ablate:
    def called(settings: str, *options: str, out: str = "out") -> "subprocess.CompletedProcess[str]":
        (folder / "settings.yaml").write_text(settings, encoding="utf-8")
        command = [sys.executable, ABLATION / "ablation.py", folder / "settings.yaml", "--out", folder / out, *options]
        environment = {**os.environ, "PYTHONPATH": str(INSTALLED / "trl"), "HF_HUB_OFFLINE": "1"}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    return called


@pytest.mark.slow
def test_filtered_students_ask_back_less_and_nothing_is_trained_twice(ablate: Ablate, folder: Path) -> None:
    done = ablate(SETTINGS)
    assert done.returncode == 0, done.stderr
    figures = json.loads((folder / "out" / "figures.json").read_bytes())["found"]
    by_arm = {(it["share"], it["arm"]): it for it in figures}
    assert by_arm[0.5, "filtered"]["above_unfiltered"]["asks back"]["high"] < 0
    assert by_arm[0, "filtered"]["values"] == by_arm[0, "unfiltered"]["values"]
    results = folder / "out" / "results"
    first = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in results.glob("*.json")}
    assert len(first) == 3  # without faults the filter keeps everything, and the two arms share their student
    ElementTree.parse(folder / "out" / "ablation.svg")

    (results / min(first)).unlink()
    assert ablate(SETTINGS, "--seeds", "2").returncode == 0
    again = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in results.glob("*.json")}
    assert len(again) == 6
    assert {name: data for name, (_, data) in again.items() if name in first} == {
        name: data for name, (_, data) in first.items()
    }
    untouched = first.keys() - {min(first)}
    assert {name: again[name] for name in untouched} == {name: first[name] for name in untouched}

    asked = {"image": "out/pictures/held_out/ウサギ-0.png", "question": "何ですか？", "answers": ["ウサギ"]}
    (folder / "asked.jsonl").write_text(json.dumps(asked) + "\n", encoding="utf-8")
    own = f"own: {{run: out/data/share-0.5/run, questions: asked.jsonl}}\nbenchmark: {folder}/out/jic_miniature\n"
    done = ablate(SETTINGS.replace(", warm_up: 2", "") + own, out="own")
    assert done.returncode == 0, done.stderr
    of_own = json.loads((folder / "own" / "figures.json").read_bytes())["found"]
    assert [(it["share"], it["arm"], it["rows"]) for it in of_own] == [
        (None, arm, by_arm[0.5, arm]["rows"]) for arm in ("unfiltered", "filtered")
    ]
    assert "name" not in of_own[0]["values"]

    refused = ablate(SETTINGS.replace("steps: 8", "steps: 9"))
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"ablation: {folder / 'out'} has results of other settings")
    assert len(refused.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("students: {}\n", "students is {}"),
        ("studends: {}\n", "there is no field 'studends': did you mean 'students'?"),
        (SETTINGS.replace("[0, 0.5]", "[0.5, 0]"), "give different shares between 0 and 1, the smallest first"),
        (SETTINGS.replace("unfiltered: null, ", ""), "give unfiltered and at least one more"),
        (SETTINGS + "own: {run: a, questions: b}\n", "warm_up needs the teacher's data without faults"),
        (SETTINGS.replace("[0, 0.5]", "[0.5]"), "and 0 among the shares"),
        ("[", "cannot be read as YAML"),
    ],
)
def test_wrong_settings_are_told_in_one_line(tmp_path: Path, settings: str, message: str) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(settings, encoding="utf-8")
    with pytest.raises(DatagenError) as refused:
        load_settings(path)
    assert message in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1
