"""What the READMEs say is so: their Python runs, their commands and recipes are valid, their links lead somewhere."""

import re
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from datagen.cli import app
from datagen.recipe import Recipe
from tests.conftest import ROOT

READMES = [ROOT / "README.md", ROOT / "README.ja.md"]


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", path.read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.mark.parametrize("path", READMES, ids=lambda path: path.name)
def test_the_python_prints_what_its_comment_says(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for code in blocks(path, "python"):
        exec(compile(code, str(path), "exec"), {})
        expected = [line.split("#", 1)[1].strip() for line in code.splitlines() if line.startswith("print")]
        assert capsys.readouterr().out.split() == " ".join(expected).split()


@pytest.mark.parametrize("path", READMES, ids=lambda path: path.name)
def test_every_command_exists_with_its_options(path: Path) -> None:
    lines = [line for block in blocks(path, "bash") for line in block.splitlines() if line.startswith("datagen ")]
    assert len(lines) >= 8
    for line in lines:
        words = line.split("#")[0].split()[1:]
        command = words[:2] if words[0] == "jicvqa" else words[:1]
        shown = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
        assert shown.exit_code == 0, line
        for option in (word for word in words if word.startswith("-")):
            assert option in shown.output, f"{option} in: {line}"


@pytest.mark.parametrize("path", READMES, ids=lambda path: path.name)
def test_the_recipe_is_valid(path: Path) -> None:
    (recipe,) = blocks(path, "yaml")
    assert Recipe.model_validate(yaml.safe_load(recipe)).policy == "standard"


@pytest.mark.parametrize("path", [*READMES, *sorted((ROOT / "docs").glob("*.md"))], ids=lambda path: path.name)
def test_every_link_leads_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target


def test_both_readmes_show_the_same_commands() -> None:
    english, japanese = (
        [line.split("#")[0].rstrip() for block in blocks(path, "bash") for line in block.splitlines()]
        for path in READMES
    )
    assert english == japanese
