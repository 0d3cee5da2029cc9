"""The house keeps its shape: imports run downwards, leaves stay leaves, and nothing imports vLLM."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

LAYERS = (
    {"filters"},
    {"prompts"},
    {
        "errors",
        "failures",
        "records",
        "version",
        "statistics",
        "differences",
        "retrying",
        "event_loops",
        "console",
        "signals",
    },
    {"access", "files", "progress"},
    {"pages", "engine_settings"},
    {"recipe"},
    {"recipe_file", "shipped_recipes", "pictures", "executors"},
    {"sources", "engines", "notebook"},
    {"stages", "store"},
    {"survey"},
    {"pipeline", "exporters", "inspection", "jicvqa", "jobs"},
    {"publishing"},
    {"api", "commands"},
    {"cli"},
    {"__main__", "__init__"},
)
"""From the ground up: the files and folders of datagen, each importing only from the layers under its own.

docs/architecture.md shows the same.
"""
_FLOORS = {name: floor for floor, names in enumerate(LAYERS) for name in names}
_MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for top in ("datagen", "filters", "prompts")
    for path in sorted((ROOT / top).rglob("*.py"))
}


def room(module: str) -> str:
    """The file or folder of datagen that a module is in, or the package beside it."""
    top, *inner = module.split(".")
    return top if top != "datagen" else inner[0] if inner else "__init__"


def imports(path: Path) -> Iterator[str]:
    """The modules of ours that a file imports, those within functions and for type checking too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in _MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module in _MODULES:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in _MODULES else node.module


def test_every_file_and_folder_has_its_layer() -> None:
    assert {room(module) for module in _MODULES} == set(_FLOORS)
    assert sum(map(len, LAYERS)) == len(_FLOORS)


def test_imports_run_downwards() -> None:
    upwards = [
        f"{module} imports {found}"
        for module, path in _MODULES.items()
        for found in imports(path)
        if room(found) != room(module) and _FLOORS[room(found)] >= _FLOORS[room(module)]
    ]
    assert upwards == []


def test_rules_and_readers_do_not_import_each_other() -> None:
    """A member of a seam is a leaf: what two of them share stands elsewhere."""
    for seam in ("filters.rules", "datagen.stages.readers", "datagen.stages.checks", "datagen.exporters"):
        members = {module for module in _MODULES if module.rpartition(".")[0] == seam}
        assert members, seam
        for member in members:
            assert not members.intersection(imports(_MODULES[member])), member


def test_no_module_is_longer_than_can_be_held_in_mind() -> None:
    long = {
        module: length
        for module, path in _MODULES.items()
        if (length := len(path.read_text(encoding="utf-8").splitlines())) > 350
    }
    assert long == {}


def modules_after(statement: str) -> set[str]:
    code = f"{statement}; import sys; print(' '.join(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in result.stdout.split()}


def test_filters_import_neither_ray_nor_vllm_nor_datagen() -> None:
    loaded = modules_after("import filters; filters.load_policy('strict').judge([{'messages': []}])")
    assert not loaded & {"ray", "vllm", "datagen", "torch"}


def test_prompts_import_neither_ray_nor_vllm_nor_datagen() -> None:
    assert not modules_after("import prompts; prompts.load_prompt('caption')") & {"ray", "vllm", "datagen", "torch"}


def test_nothing_imports_vllm() -> None:
    sources = [path for folder in ("datagen", "filters", "prompts") for path in (ROOT / folder).rglob("*.py")]
    assert sources
    for path in sources:
        lines = path.read_text(encoding="utf-8").splitlines()
        assert not [line for line in lines if line.strip().startswith(("import vllm", "from vllm"))], path


@pytest.mark.parametrize("module", ["datagen.cli", "datagen.recipe"])
def test_help_is_quick_because_nothing_heavy_is_imported(module: str) -> None:
    assert not modules_after(f"import {module}") & {"ray", "pyarrow", "datasets", "duckdb", "torch", "scipy"}
