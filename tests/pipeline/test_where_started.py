"""A run does not depend on where it is started: files there with the names of modules are not imported."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from datagen.engines.servers.process import local_server
from datagen.recipe_file import load_recipe
from tests.conftest import ROOT, FakeServer, picture
from tests.without_ray import run_here, shard_digests

pytestmark = pytest.mark.slow

MODULES = ("prompts", "datasets", "duckdb", "ray", "numpy", "json", "random", "pyarrow", "csv", "email", "rich")
PACKAGES = ("filters", "tests", "yaml", "asyncio")
RECIPE = """
source: {path: pictures}
engines: {vlm: {model: fake-vlm, endpoints: [ENDPOINT]}}
stages: [{prompt: caption, engine: vlm}, {prompt: question_answer, engine: vlm}]
policy: mine.yaml
workers: 1
output: {part_rows: 8}
"""
RULE = '''
import re
from filters.base import PatternRule


class Ends(PatternRule):
    """Finds answers that end like one in three of the fake server's."""

    screen = pattern = re.compile("(?P<ending>[たす]。)$", re.M)
'''
COMMANDS = {
    "datagen": [str(Path(sys.executable).with_name("datagen"))],
    "python -m datagen": [sys.executable, "-m", "datagen"],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder full of files that end whoever imports them, with a rule of the user's own among them."""
    folder = tmp_path / "started here"
    folder.mkdir()
    for name in MODULES:
        (folder / f"{name}.py").write_text(f"raise SystemExit('{name}.py of the working directory was imported')\n")
    for name in PACKAGES:
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(
            f"raise SystemExit('{name}/ of the working directory was imported')\n"
        )
    (folder / "pictures").mkdir()
    for number in range(6):
        (folder / "pictures" / f"{number}.jpg").write_bytes(picture(number))
    (folder / "own_rule.py").write_text(RULE, encoding="utf-8")
    (folder / "mine.yaml").write_text("rules: [question_in_answer, 'own_rule:Ends']\n", encoding="utf-8")
    return folder


@pytest.mark.parametrize("form", COMMANDS)
def test_a_run_started_among_files_that_hide_modules_makes_the_same_shards(
    folder: Path, fake_server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    recipe = folder / "recipe.yaml"
    recipe.write_text(RECIPE.replace("ENDPOINT", fake_server.endpoint), encoding="utf-8")
    result = subprocess.run(
        [*COMMANDS[form], "run", str(recipe), "--out", str(tmp_path / "out")],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    assert "own_rule" in (tmp_path / "out" / "manifest.json").read_text(encoding="utf-8")
    monkeypatch.setattr(sys, "path", [*sys.path, str(folder)])
    monkeypatch.delitem(sys.modules, "own_rule", raising=False)
    run_here(load_recipe(recipe), tmp_path / "elsewhere")
    assert shard_digests(tmp_path / "out") == shard_digests(tmp_path / "elsewhere")


def test_a_server_started_among_files_that_hide_modules_answers(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "stands in" / "vllm" / "entrypoints" / "openai"
    package.mkdir(parents=True)
    for level in (package, package.parent, package.parent.parent):
        (level / "__init__.py").touch()
    (package / "api_server.py").write_text("from benchmarks.fake_server import main\nmain()\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'stands in'}{os.pathsep}{ROOT}")
    monkeypatch.chdir(folder)
    with local_server("fake-vlm", tmp_path / "server.log", start_seconds=60) as server:
        server.check()


def test_a_module_of_ones_own_that_raises_or_is_called_like_a_library_is_told_in_one_line(folder: Path) -> None:
    (folder / "broken_rule.py").write_text("1 / 0\n")
    (folder / "emoji.py").write_text(textwrap.dedent(RULE), encoding="utf-8")
    (folder / "rows.jsonl").write_text('{"messages": []}\n')
    for reference, told in [
        ("broken_rule:Rule", "ZeroDivisionError: division by zero"),
        ("emoji:Ends", "rename a module of yours"),
    ]:
        (folder / "mine.yaml").write_text(f"rules: ['{reference}']\n")
        command = [*COMMANDS["datagen"], "filter", "rows.jsonl", "--policy", "mine.yaml", "--out", "judged"]
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
        assert result.returncode == 2
        assert told in result.stderr
        assert len(result.stderr.splitlines()) == 1, result.stderr
