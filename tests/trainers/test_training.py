"""TRL's `SFTTrainer` trains the tiny model on an export: the loss falls, and only the assistant's words count."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from datagen.exporters.writing.export import ExportOptions, export
from tests.conftest import ROOT
from tests.exporters.rows import judged, wild_row
from tests.trainers.loaders import INSTALLED

pytestmark = pytest.mark.slow


def test_the_loss_falls_and_the_answers_take_on_the_data(tmp_path: Path) -> None:
    rows = [wild_row(number, 1) for number in range(24)]
    for number, row in enumerate(rows):
        texts = (("user", f"番号{number % 4}は何色ですか？"), ("assistant", f"{'赤青黄緑'[number % 4]}色です。"))
        row["messages"] = [{"role": role, "content": text} for role, text in texts]
    run = judged(rows, tmp_path / "run")
    export(run, ["messages"], tmp_path / "export", ExportOptions(split="0.7/0.3", seed=1))
    subprocess.run(
        [
            *(
                sys.executable,
                str(ROOT / "examples" / "train_with_trl" / "train.py"),
                str(tmp_path / "export" / "messages"),
            ),
            *("--out", str(tmp_path / "tuned"), "--steps", "60", "--rate", "1e-3"),
        ],
        env={
            **os.environ,
            "PYTHONPATH": str(INSTALLED / "trl"),
            "HF_HUB_OFFLINE": "1",
            "HF_HOME": str(tmp_path / "hub"),
        },
        check=True,
        capture_output=True,
    )
    figures = json.loads((tmp_path / "tuned" / "figures.json").read_bytes())
    losses = [entry["loss"] for entry in figures["losses"]]
    assert losses[-1] < losses[0] / 4
    assert figures["after"]["train"] > figures["before"]["train"]
    assert figures["after"]["validation"] > figures["before"]["validation"]
    assert (tmp_path / "tuned" / "model.safetensors").exists()
    assert (tmp_path / "tuned" / "loss.svg").read_text().startswith("<svg")
