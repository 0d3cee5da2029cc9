"""The house keeps its shape: leaves stay leaves, and nothing imports vLLM."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT


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
