"""Promise: every build carries task files that other tools run as they are."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow.parquet as pq
import yaml
from PIL import Image

from datagen.jicvqa.benchmark.stored import load_benchmark


def loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"task_{path.parent.name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class _Loader(yaml.SafeLoader):
    """Reads `!function name` as lmms-eval does, but only its name."""


_Loader.add_constructor("!function", lambda loader, node: str(node.value))


def test_lmms_evals_functions_are_there_and_score_as_llm_jp_eval_mm_does(small_build: Path) -> None:
    folder = small_build / "tasks" / "lmms_eval"
    # A loader of our own on top of SafeLoader, so that only the name of a function is read.
    task: dict[str, Any] = yaml.load((folder / "jic_vqa.yaml").read_text(encoding="utf-8"), _Loader)
    module = loaded(folder / "jic_vqa.py")
    named = [task["doc_to_visual"], task["doc_to_text"], task["process_results"]]
    named += [metric["aggregation"] for metric in task["metric_list"] if metric["aggregation"] != "mean"]
    assert all(hasattr(module, name.removeprefix("jic_vqa.")) for name in named)
    assert (small_build / task["dataset_kwargs"]["data_files"]["test"]).exists()
    questions = load_benchmark(small_build).questions
    results = []
    for number, question in enumerate(questions):
        said = question.category if question.subset == "jaflower30" and number % 2 else "わかりません"
        doc = {"category": question.category, "subset": question.subset, "question": question.text}
        assert module.doc_to_text(doc) == question.text
        results.append(module.process_results(doc, [f"{said}です。"])["macro"])
    flowers = [result["right"] for result in results if result["subset"] == "jaflower30"]
    assert module.macro(results) == sum(flowers) / len(flowers) / 2
    assert module.doc_to_visual({"image": Image.new("RGBA", (4, 4))})[0].mode == "RGB"


def test_inspects_task_reads_the_build_that_it_lies_in(small_build: Path) -> None:
    source = (small_build / "tasks" / "inspect_ai" / "jic_vqa.py").read_text(encoding="utf-8")
    compile(source, "jic_vqa.py", "exec")
    columns = set(pq.read_schema(small_build / "jic_vqa.parquet").names)
    used = {part.split('"')[1] for part in source.split("row[")[1:]}
    assert used == {"id", "image", "question", "choices", "answer_index", "category", "subset"}
    assert used <= columns
    assert "inspect_ai" not in sys.modules
