"""What docs/rules.md shows works as shown."""

import doctest
import re
import sys
from pathlib import Path

import pytest
import yaml

from filters import load_policy, policy_names
from filters.entries import RULES

PAGE = (Path(__file__).parents[2] / "docs" / "rules.md").read_text(encoding="utf-8")
ADDED = {rule.name for rule in load_policy("translated").rules} - {rule.name for rule in load_policy("standard").rules}


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def my_rules(tmp_path, monkeypatch):
    (tmp_path / "my_rules.py").write_text(blocks("python")[1], encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("my_rules", None)


def test_the_first_example_runs():
    names = {}
    exec(blocks("python")[0], names)
    assert names["verdicts"][0].dropped_by == ("question_in_answer",)


def test_the_rule_and_the_policy_of_the_page_run(my_rules):
    import my_rules

    assert doctest.testmod(my_rules).failed == 0
    policy = load_policy(yaml.safe_load(next(block for block in blocks("yaml") if "my_rules" in block)))
    (verdict,) = policy.judge([{"messages": [{"role": "assistant", "content": "アクメの車です。"}]}])
    assert verdict.kept
    assert verdict.findings[0].rule == "brand_name"


def test_the_table_names_every_rule():
    assert set(RULES.shipped) <= set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))


def test_the_table_says_which_policy_has_which_rule():
    for line in re.findall(r"^\| `\w+` \|.*$", PAGE, re.MULTILINE):
        cells = [cell.strip() for cell in line.replace("\\|", "/").strip("|").split("|")]
        rule = cells[0].strip("`")
        if len(cells) == 2:  # of the table of translations
            assert rule in ADDED
            continue
        for policy, cell in zip(("light", "standard", "strict"), cells[2:], strict=True):
            has = rule in {entry.name for entry in load_policy(policy).rules}
            assert has == bool(cell) or rule in ("harmful_words", "benchmark_question"), (rule, policy)
    assert set(policy_names()) == {"light", "pictures_standard", "repairing", "standard", "strict", "translated"}
    assert len(re.findall(r"^\| `\w+` \| [^|]* \|$", PAGE, re.MULTILINE)) == len(ADDED)
