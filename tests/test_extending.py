"""Every example of docs/extending.md is complete: written to files as it stands, it runs in one recipe."""

import doctest
import importlib
import json
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

import datagen
from datagen.cli import app
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"```(?:python|yaml)\n# (\S+)\n(.*?)```", PAGE, flags=re.DOTALL))
MODULES = [name.removesuffix(".py") for name in EXAMPLES if name.endswith(".py")]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The examples as files, and three pictures, one of them upright, in a list with a fourth that is not there."""
    for name in MODULES:  # of another test with files of that name
        sys.modules.pop(name, None)
    for name, text in EXAMPLES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    for number, size in enumerate([(64, 48), (48, 64), (64, 64)]):
        Image.effect_noise(size, 90).convert("RGB").save(tmp_path / f"{number}.png")
    (tmp_path / "list.txt").write_text("0.png\n1.png\n2.png\nmissing.png\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in MODULES:
        sys.modules.pop(name, None)


def test_the_page_has_an_example_of_every_seam() -> None:
    table = re.findall(r"^\| an? ([a-z ,]+) \| `(\S+)/NAME\.(?:py|yaml)`", PAGE, flags=re.MULTILINE)
    assert len(table) == 9
    for _, place in table:
        assert (ROOT / place).is_dir(), place
    assert len(MODULES) == 7


def test_the_examples_run_together_as_the_page_says(folder: Path) -> None:
    commands = [line for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
    for command in commands:
        app(shlex.split(command)[1:], standalone_mode=False)
    run = datagen.open_run("run")
    assert run.counts == {"inputs": 4, "kept": 2, "dropped": 1, "failed": 1}
    (upright,) = run.rows("dropped")
    assert upright["key"] == "1.png"
    assert upright["calls"] == []
    assert [finding["rule"] for finding in upright["findings"]] == ["my_checks:portrait"]
    for row in run.rows("kept"):
        assert [message["content"] for message in row["messages"]] == [
            "この画像に題名を付けてください。",
            "赤っぽいtitleです。",
        ]
        assert [finding["text"] for finding in row["findings"]] == ["赤っぽい"]
        assert {score["name"] for score in row["scores"]} == {"my_checks:portrait", "courtesy"}
    (missing,) = run.rows("failed")
    assert missing["error"]["class"] == "unreadable"
    lines = (folder / "exported" / "my_exporters:Lines" / "train.jsonl").read_text(encoding="utf-8").splitlines()
    assert sorted(json.loads(line)["id"] for line in lines) == sorted(row["id"] for row in run.rows("kept"))


def test_the_doctests_of_the_examples_pass(folder: Path) -> None:
    for name in MODULES:
        assert doctest.testmod(importlib.import_module(name)).failed == 0
