"""The notebook of the three users' tasks runs in a live Jupyter kernel, and what is stored is what it shows."""

import os
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.conftest import ROOT, TinyServer

NOTEBOOK = ROOT / "examples" / "three_tasks.ipynb"


def outputs(notebook: Any) -> list[str]:
    """What each cell of code shows: its HTML, or its text."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    shown = []
    for cell in cells:
        parts = [output.get("data", {}) for output in cell.outputs]
        streams = [output.text for output in cell.outputs if output.output_type == "stream" and output.name == "stdout"]
        shown.append("".join([*streams, *(part.get("text/html") or part.get("text/plain", "") for part in parts)]))
    return shown


@pytest.mark.usefixtures("in_examples")
def test_the_notebook_runs_in_a_live_kernel(tiny_server: TinyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLM_ENDPOINTS", tiny_server.url)
    notebook = nbformat.read(NOTEBOOK, 4)
    stored = outputs(notebook)
    client = NotebookClient(notebook, timeout=300, kernel_name="python3", coalesce_streams=True)
    client.execute()
    ran = outputs(notebook)
    assert [bool(text) for text in ran] == [bool(text) for text in stored]
    _, previewed, run, rows, exported, report, dropped, difference, judged, built, question = ran
    assert previewed.count("<img ") == 3
    assert "12 inputs = " in run
    assert "'role': 'assistant'" in rows
    assert "'llava': {'train': " in exported
    assert "question_in_answer" in report
    assert "dropped" in dropped
    assert "newly kept" in difference
    assert judged.count("'state': 'dropped'") == 1
    assert "236 questions are in" in built
    assert "次の四つの選択肢から" in question


def test_the_stored_notebook_was_run_from_top_to_bottom_without_an_error() -> None:
    cells = [cell for cell in nbformat.read(NOTEBOOK, 4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not [output for cell in cells for output in cell.outputs if output.output_type == "error"]


@pytest.fixture
def in_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a person runs it: in the folder of the notebook, with the commands of the environment."""
    monkeypatch.chdir(NOTEBOOK.parent)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
