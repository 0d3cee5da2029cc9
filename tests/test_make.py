"""`make` finds a Python that the pinned packages support, and says which when there is none."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.conftest import ROOT

MAKE = shutil.which("make")
pytestmark = pytest.mark.skipif(MAKE is None, reason="make is not installed")
SUPPORTED = ["3.13", "3.12", "3.11"]


def pythons(folder: Path, **works: bool) -> Path:
    """Make a folder of Pythons; those that do not work are like the stand-ins of a version manager."""
    folder.mkdir()
    for name, good in works.items():
        path = folder / name.replace("_", ".")
        path.write_text(f"#!/bin/sh\nexit {0 if good else 127}\n")
        path.chmod(0o755)
    return folder


def make(path: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(MAKE), "--no-print-directory", *arguments],
        cwd=ROOT,
        env={"PATH": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("works", "taken"),
    [
        ({"python3_13": True, "python3_12": True, "python3_11": True}, "python3.13"),
        ({"python3_13": False, "python3_12": True, "python3_11": True}, "python3.12"),
        ({"python3_13": False, "python3": True}, "python3"),
    ],
)
def test_the_newest_python_that_works_is_taken(tmp_path: Path, works: dict[str, bool], taken: str) -> None:
    folder = pythons(tmp_path / "bin", **works)
    assert make(folder, "--eval", "chosen: ; @:; echo $(PYTHON)", "chosen").stdout == f"{taken}\n"


def test_without_a_python_that_is_supported_it_says_which_are(tmp_path: Path) -> None:
    result = make(pythons(tmp_path / "bin", python3_13=False, python3=False), f"VENV={tmp_path / 'venv'}", "test")
    assert result.returncode == 2
    told = result.stderr.splitlines()[0]
    assert all(version in told for version in SUPPORTED)


def test_the_package_and_the_readme_name_the_same_pythons() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["requires-python"] == ">=3.11,<3.14"
    listed = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    assert listed[::-1] == SUPPORTED
    for name in ("README.md", "README.ja.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert all(version in text for version in SUPPORTED)
