"""A verdict belongs to the version of the rules that made it: other code has another digest."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import filters

DIGEST = "from filters import load_policy; print(load_policy({!r}).digest)"


def digest_in(folder: Path, policy: object) -> str:
    code = DIGEST.format(policy)
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.mark.slow
def test_an_upgrade_of_the_shipped_rules_is_another_digest(tmp_path):
    for name in ("now", "later"):
        shutil.copytree(Path(filters.__file__).parent, tmp_path / name / "filters")
    assert digest_in(tmp_path / "now", "standard") == filters.load_policy("standard").digest
    rule = tmp_path / "later" / "filters" / "rules" / "refusal.py"
    rule.write_text(rule.read_text(encoding="utf-8") + "# another version\n", encoding="utf-8")
    assert digest_in(tmp_path / "now", "standard") != digest_in(tmp_path / "later", "standard")


def test_another_version_of_a_users_rule_is_another_digest(tmp_path):
    policy = {"rules": ["my_rules:Barking"]}
    digests = []
    for word in ("ワン", "ニャン"):
        (tmp_path / "my_rules.py").write_text(
            f"from filters import PatternRule\nimport re\n\nclass Barking(PatternRule):\n"
            f"    pattern = re.compile({word!r})\n",
            encoding="utf-8",
        )
        digests.append(digest_in(tmp_path, policy))
    assert len(set(digests)) == 2


def test_rules_that_a_policy_does_not_have_change_nothing_of_its_settings():
    light, standard = filters.load_policy("light"), filters.load_policy("standard")
    assert light.rules_version == standard.rules_version
    assert light.digest != standard.digest
