"""Runs to look into: one of many rules written straight to disk, and one that the pipeline made."""

import io
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from rich.console import Console

from benchmarks.stored_runs import write_run
from datagen.inspection.report import Report, report_of
from datagen.pipeline.filtering import filter_rows
from datagen.pipeline.run import run
from datagen.recipe import Output
from datagen.recipe_file import load_recipe
from datagen.store.manifest import read_manifest
from filters import load_policy
from tests.conftest import picture, started_fake_server

ROWS = 600
HOSTILE = "</script><script>window.owned = true</script><img src=x onerror='window.owned = true'>"

WritePolicy = Callable[[str, list[dict[str, Any]]], Path]


@pytest.fixture(scope="session")
def many_rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 600 rows in which the rules of `strict` found something, with pictures and failed rows."""
    out = tmp_path_factory.mktemp("stored") / "many_rules"
    write_run(out, ROWS, failed=0.05, pictures=7)
    return out


@pytest.fixture(scope="session")
def report(many_rules: Path) -> Report:
    """The report of `many_rules`."""
    return report_of(many_rules)


@pytest.fixture(scope="session")
def made_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the pipeline over 30 pictures and a broken one, whose answers come from the fake server."""
    folder = tmp_path_factory.mktemp("made")
    pictures = folder / "pictures"
    pictures.mkdir()
    for number in range(30):
        (pictures / f"{number:02}.jpg").write_bytes(picture(number))
    (pictures / "broken.jpg").write_bytes(b"no picture")
    with started_fake_server() as server:
        run(
            made_recipe(folder, pictures, server.endpoint, "standard"),
            folder / "run",
            Console(file=io.StringIO()),
            where="local",
        )
    return folder / "run"


def made_recipe(folder: Path, pictures: Path, endpoint: str, policy: str) -> Any:
    """Return the recipe of `made_run` with a policy."""
    path = folder / "recipe.yaml"
    path.write_text(
        yaml.safe_dump(
            {
                "task": "made",
                "source": {"path": str(pictures)},
                "engines": {"vlm": {"model": "fake-vlm", "endpoints": [endpoint]}},
                "stages": [
                    {"prompt": "caption", "engine": "vlm"},
                    {"prompt": "question_answer", "engine": "vlm", "repeat": 2},
                ],
                "policy": policy,
                "workers": 1,
            }
        ),
        encoding="utf-8",
    )
    return load_recipe(path)


@pytest.fixture(scope="session")
def filtered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """JSON lines through `datagen filter`: no picture, no caption, no call, and texts that try to leave their place."""
    folder = tmp_path_factory.mktemp("filtered")
    lines = [
        {
            "id": f"row-{number}",
            "question": f"{HOSTILE}何ですか？",
            "answer": f"{HOSTILE}犬です。{'何歳ですか？' * (number % 2)}",
        }
        for number in range(40)
    ]
    text = "\n".join([*(json.dumps(line, ensure_ascii=False) for line in lines), '{"id": "bad"}', "no JSON"])
    (folder / "rows.jsonl").write_text(text, encoding="utf-8")
    policy = load_policy({"name": "questions", "rules": ["question_in_answer", "duplicate_turn"]})
    filter_rows(folder / "rows.jsonl", policy, folder / "out", Output())
    return folder / "out"


@pytest.fixture
def write_policy(tmp_path: Path) -> WritePolicy:
    """Return a writer of policy files."""

    def write(name: str, rules: list[dict[str, Any]]) -> Path:
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump({"name": name, "rules": rules}, allow_unicode=True), encoding="utf-8")
        return path

    return write


@pytest.fixture
def copied_run(many_rules: Path, tmp_path: Path) -> Path:
    """A copy of `many_rules` that a test may change."""
    return Path(shutil.copytree(many_rules, tmp_path / "copied_run"))


def rows_of(run: Path, *columns: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a run's shards, read without any of the code under test."""
    for shard in read_manifest(run)["shards"]:
        yield from pq.read_table(run / shard["path"], columns=list(columns)).to_pylist()
