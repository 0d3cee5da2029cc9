"""Policies load, say what they are, and decide from stored findings alone."""

import json
import pickle
from itertools import pairwise

import pytest
import yaml

from filters import Finding, load_policy, policy_names

ASKING = {"messages": [{"role": "assistant", "content": "赤い花です。何の花ですか？"}]}
CLEAN = {"messages": [{"role": "assistant", "content": "赤い花です。"}]}


def test_the_shipped_policies_grow_stricter():
    policies = [load_policy(name) for name in ("light", "standard", "strict")]
    assert policy_names() == ("light", "pictures_standard", "repairing", "standard", "strict", "translated")
    for milder, sharper in pairwise(policies):
        assert {rule.name for rule in milder.rules} <= {rule.name for rule in sharper.rules}
    assert len({policy.digest for policy in policies}) == 3
    assert all(policy.purpose for policy in policies)


def test_verdicts_come_in_order_and_name_what_dropped():
    verdicts = load_policy("standard").judge([CLEAN, ASKING, CLEAN])
    assert [verdict.kept for verdict in verdicts] == [True, False, True]
    assert verdicts[1].dropped_by == ("question_in_answer",)
    assert verdicts[1].findings == (
        Finding("question_in_answer", 0, 6, 13, "何の花ですか？", verdicts[1].findings[0].evidence),
    )


def test_a_flag_records_and_keeps():
    policy = load_policy({"rules": [{"rule": "question_in_answer", "action": "flag"}]})
    (verdict,) = policy.judge([ASKING])
    assert verdict.findings
    assert verdict.kept


def test_another_policy_decides_from_stored_findings():
    findings = load_policy("strict").judge([ASKING])[0].findings
    assert not load_policy("light").keeps(findings)
    assert load_policy({"rules": ["refusal"]}).keeps(findings)


def test_the_digest_is_of_the_judgement_not_of_the_file(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("# 注\nname: 別名\nrules:\n  - rule: too_long\n  - rule: question_in_answer\n", encoding="utf-8")
    same = {
        "name": "other",
        "rules": [
            {"rule": "question_in_answer", "settings": {"quoted": "keep"}},
            {"rule": "too_long", "action": "drop"},
        ],
    }
    assert load_policy(path).digest == load_policy(str(path)).digest == load_policy(same).digest
    same["rules"][0]["settings"]["quoted"] = "drop"
    assert load_policy(path).digest != load_policy(same).digest


@pytest.mark.parametrize("name", policy_names())
def test_a_policy_survives_yaml_json_and_pickle(name):
    policy = load_policy(name)
    for copied in (
        load_policy(yaml.safe_load(yaml.safe_dump(policy.to_dict()))),
        load_policy(json.loads(json.dumps(policy.to_dict()))),
        pickle.loads(pickle.dumps(policy)),
    ):
        assert copied.digest == policy.digest
        assert copied.name == name
        assert copied.judge([ASKING]) == policy.judge([ASKING])


def test_findings_and_verdicts_survive_pickle():
    verdicts = load_policy("standard").judge([ASKING, CLEAN])
    assert pickle.loads(pickle.dumps(verdicts)) == verdicts


def test_statistics_count_every_rule_on_every_sample():
    policy = load_policy("standard")
    policy.judge([ASKING, CLEAN, ASKING])
    assert {entry.samples for entry in policy.statistics.values()} == {3}
    assert policy.statistics["question_in_answer"].hits == 2
    assert policy.statistics["question_in_answer"].seconds > 0
    policy.statistics.reset()
    assert {entry.samples for entry in policy.statistics.values()} == {0}


def test_all_rules_run_whatever_the_others_found():
    content = "申し訳ありませんが、お答えできません。<image>質問はありますか？"
    (verdict,) = load_policy("standard").judge([{"messages": [{"role": "assistant", "content": content}]}])
    assert {"refusal", "template_tag", "question_in_answer"} <= set(verdict.dropped_by)


def test_samples_are_judged_as_they_come():
    judged = load_policy("light").judge_stream(iter([ASKING, CLEAN]))
    assert [verdict.kept for verdict in judged] == [False, True]


def test_a_list_of_words_belongs_to_the_digest(tmp_path):
    words = tmp_path / "words.txt"
    policy = {"rules": [{"rule": "harmful_words", "settings": {"path": str(words)}}]}
    words.write_text("悪口\n", encoding="utf-8")
    before = load_policy(policy).digest
    words.write_text("悪口\n罵り\n", encoding="utf-8")
    assert load_policy(policy).digest != before


@pytest.mark.parametrize(
    "sample", [{}, {"messages": [{"role": "user"}]}, {"messages": [{"role": "user", "content": None}]}]
)
def test_a_sample_of_another_shape_is_refused_with_a_reason(sample):
    with pytest.raises(ValueError, match='a mapping with "messages"'):
        load_policy("light").judge([sample])
