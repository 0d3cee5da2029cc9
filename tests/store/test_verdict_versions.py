"""A verdict belongs to the policy and the rules that made it: rows of others are judged again at the next cut."""

import io
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from datagen.recipe import Recipe
from filters import load_policy
from tests.conftest import FakeServer, MakeRecipe, write_pictures
from tests.without_ray import run_here, shard_digests

RULE = "import re\nfrom filters import PatternRule\n\nclass Versioned(PatternRule):\n    pattern = re.compile({!r})\n"


@pytest.fixture
def rule_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The module of a user's rule, which the tests write in several versions."""
    (tmp_path / "rules").mkdir()
    monkeypatch.syspath_prepend(tmp_path / "rules")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield tmp_path / "rules" / "versioned_rules.py"
    sys.modules.pop("versioned_rules", None)


def write(rule_file: Path, pattern: str) -> None:
    rule_file.write_text(RULE.format(pattern), encoding="utf-8")
    sys.modules.pop("versioned_rules", None)


def marks(out: Path) -> set[str]:
    files = [path for path in out.glob("*/*-of-*.parquet") if path.parent.name != "failed"]
    return {row["policy"] for path in files for row in pq.read_table(path, columns=["policy"]).to_pylist()}


@pytest.fixture
def recipe(tmp_path: Path, fake_server: FakeServer, make_recipe: MakeRecipe) -> Recipe:
    policy = tmp_path / "policy.yaml"
    policy.write_text("rules: ['versioned_rules:Versioned']", encoding="utf-8")
    pictures = write_pictures(tmp_path / "pictures", 20)
    return make_recipe(pictures, fake_server.endpoint, policy=str(policy))


def test_an_upgrade_of_a_rule_judges_every_row_again_and_asks_no_model(
    recipe: Recipe, rule_file: Path, fake_server: FakeServer, tmp_path: Path
) -> None:
    write(rule_file, "番")
    run_here(recipe, tmp_path / "out")
    paid, before = fake_server.statistics()["requests"], marks(tmp_path / "out")
    write(rule_file, "ない言葉")
    said = io.StringIO()
    counts = run_here(recipe, tmp_path / "out", said=said)["counts"]
    assert "no model is called" in said.getvalue()
    assert counts["dropped"] == 0
    assert fake_server.statistics()["requests"] == paid
    assert len(before) == len(marks(tmp_path / "out")) == 1
    assert before != marks(tmp_path / "out")
    said = io.StringIO()
    run_here(recipe, tmp_path / "out", said=said)
    assert "Judging" not in said.getvalue()


def test_parts_of_two_versions_come_out_with_one_and_as_a_run_that_never_stopped(
    recipe: Recipe, rule_file: Path, tmp_path: Path
) -> None:
    write(rule_file, "番")
    run_here(recipe, tmp_path / "out")
    parts = tmp_path / "out" / "parts"
    (parts / "part-000001.parquet").unlink()  # to be made again, under the next version
    (parts / "part-000001.tar").unlink()
    write(rule_file, "屋根")
    run_here(recipe, tmp_path / "out")
    assert marks(tmp_path / "out") == {load_policy(recipe.policy).digest[:16]}
    stored = {row["policy"] for path in parts.glob("*.parquet") for row in pq.read_table(path).to_pylist()}
    assert len(stored) == 2
    run_here(recipe, tmp_path / "straight")
    assert shard_digests(tmp_path / "out") == shard_digests(tmp_path / "straight")
