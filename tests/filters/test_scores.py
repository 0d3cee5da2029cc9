"""Scores in a policy: what is measured is recorded, and the policy alone makes a finding of it."""

import math
import pickle

import pytest

from filters import PolicyError, load_policy


def sample(*scores):
    return {
        "messages": [{"role": "user", "content": "何色？"}, {"role": "assistant", "content": "赤です。"}],
        "scores": [dict(zip(("name", "value", "reason", "message"), score, strict=False)) for score in scores],
    }


def judged(entries, *scores):
    return load_policy({"rules": entries}).judge([sample(*scores)])[0]


@pytest.mark.parametrize(
    ("entry", "value", "kept"),
    [
        ({"at_least": 40}, 39.9, False),
        ({"at_least": 40}, 40, True),
        ({"at_most": 0.5}, 0.6, False),
        ({"at_most": 0.5}, 0.5, True),
        ({"at_least": 1, "at_most": 2}, 3, False),
        ({"at_least": 1}, math.nan, False),
        ({"at_most": 1}, math.nan, False),
        ({"at_least": 1}, -math.inf, False),
    ],
)
def test_a_score_outside_of_its_bounds_drops_the_sample(entry, value, kept):
    verdict = judged([{"score": "sharpness", **entry}], ("sharpness", value))
    assert verdict.kept is kept
    assert verdict.dropped_by == (() if kept else ("sharpness",))


def test_a_finding_of_a_score_says_value_bound_reason_and_message():
    (finding,) = judged([{"score": "fit", "at_least": 0.6}], ("fit", 0.25, "色が違う", 1)).findings
    assert finding == ("fit", 1, 0, 0, "", "fit 0.25, at least 0.6 is asked: 色が違う")


def test_a_score_of_the_whole_sample_stands_before_findings_in_messages():
    entries = [{"score": "fit", "at_least": 0.6}, "too_short", {"score": "sharp", "at_least": 9}]
    asked = {"rule": "too_short", "settings": {"minimum": 99}}
    verdict = judged([entries[0], asked, entries[2]], ("fit", 0.1, "", 1), ("sharp", 1, "", None))
    assert [finding.message for finding in verdict.findings] == [None, 1, 1]


def test_a_flag_records_and_keeps():
    verdict = judged([{"score": "fit", "at_least": 0.6, "action": "flag"}], ("fit", 0.1))
    assert verdict.kept
    assert [finding.rule for finding in verdict.findings] == ["fit"]


def test_two_bounds_on_one_score_have_a_name_each():
    entries = [
        {"score": "sharp", "at_least": 20},
        {"score": "sharp", "at_least": 40, "action": "flag", "name": "blurred"},
    ]
    verdict = judged(entries, ("sharp", 30))
    assert verdict.kept
    assert [finding.rule for finding in verdict.findings] == ["blurred"]
    assert judged(entries, ("sharp", 10)).dropped_by == ("sharp",)


def test_samples_without_the_score_pass_and_are_not_counted():
    policy = load_policy({"rules": [{"score": "sharp", "at_least": 20}]})
    verdicts = policy.judge([sample(), sample(("sharp", 1)), sample(("other", 1))])
    assert [verdict.kept for verdict in verdicts] == [True, False, True]
    assert (policy.statistics["sharp"].samples, policy.statistics["sharp"].hits) == (1, 1)


def test_a_policy_travels_and_reads_back_alike():
    policy = load_policy({"rules": ["refusal", {"score": "sharp", "at_least": 20, "name": "blurred"}]})
    for other in (load_policy(policy.to_dict()), pickle.loads(pickle.dumps(policy))):
        assert other.digest == policy.digest
        assert other.to_dict() == policy.to_dict()
    assert policy.scores == ("sharp",)
    assert load_policy({"rules": ["refusal", {"score": "sharp", "at_least": 21, "name": "blurred"}]}).digest != (
        policy.digest
    )


def test_the_part_of_a_policy_that_asks_for_scores_judges_before_any_answer():
    policy = load_policy(
        {"rules": ["too_short", {"score": "sharp", "at_least": 20}, {"score": "fit", "at_least": 0.5}]}
    )
    before = policy.of_scores(["sharp"])
    assert [rule.name for rule in before.rules] == ["sharp"]
    assert before.judge([{"messages": [], "scores": [{"name": "sharp", "value": 3}]}])[0].dropped_by == ("sharp",)


@pytest.mark.parametrize(
    ("entry", "parts"),
    [
        ({"score": "sharp"}, ("rules[0]", "no bound", "at_least")),
        ({"score": "sharp", "at_least": "high"}, ("rules[0].at_least", "'high'", "40")),
        ({"score": "sharp", "at_least": True}, ("rules[0].at_least", "True")),
        ({"score": "sharp", "at_least": math.nan}, ("rules[0].at_least", "nan")),
        ({"score": "sharp", "at_least": 3, "at_most": 2}, ("rules[0]", "at least 3", "at most 2")),
        ({"score": 7, "at_least": 3}, ("rules[0].score", "7")),
        ({"score": "sharp", "at_lest": 3}, ("rules[0]", "at_lest", "did you mean 'at_least'")),
        ({"score": "refusal", "at_least": 3}, ("rules[0]", "refusal", "name of a rule")),
        (
            {"score": "sharp", "at_least": 3, "action": "keep"},
            ("rules[0].action", "keep", "drop, drop_turn, flag, trim"),
        ),
    ],
)
def test_the_message_names_field_value_and_remedy(entry, parts):
    with pytest.raises(PolicyError) as refused:
        load_policy({"rules": [entry]})
    for part in parts:
        assert part in str(refused.value)


def test_two_entries_of_one_name_are_refused():
    with pytest.raises(PolicyError, match="a name each"):
        load_policy({"rules": [{"score": "sharp", "at_least": 3}, {"score": "sharp", "at_most": 9}]})
