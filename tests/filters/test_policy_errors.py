"""What is wrong with a policy is said in one sentence that names the field, the value and the way out."""

import pytest

from filters import PolicyError, load_policy


def rule(**entry):
    return {"rules": [{"rule": "question_in_answer", **entry}]}


@pytest.mark.parametrize(
    ("policy", "parts"),
    [
        ("standart", ["standart", "did you mean 'standard'"]),
        ({"rules": [{"rule": "question_in_anser"}]}, ["rules[0].rule", "did you mean 'question_in_answer'"]),
        (rule(action="delete"), ["rules[0].action", "delete", "drop", "flag"]),
        (rule(settings={"quotes": "keep"}), ["rules[0].settings.quotes", "did you mean 'quoted'"]),
        (rule(settings={"quoted": "maybe"}), ["rules[0].settings.quoted", "maybe", "keep", "drop"]),
        (rule(setting={}), ['"setting"', "did you mean 'settings'"]),
        ({"rules": [{"rule": "too_long", "settings": {"maximum": "many"}}]}, ["settings.maximum", "many", "1000"]),
        ({"rules": [{"rule": "too_long", "settings": {"maximum": -1}}]}, ["settings.maximum", "-1", "greater"]),
        ({"rules": [{"rule": "too_long", "settings": {"maximum": True}}]}, ["settings.maximum", "True"]),
        ({"rules": [{"rule": "not_japanese", "settings": {"share": 2.0}}]}, ["settings.share", "2.0"]),
        ({"rules": [{"rule": "harmful_words"}]}, ["settings.path", "needs"]),
        ({"rules": [{"rule": "harmful_words", "settings": {"path": "/nowhere"}}]}, ["harmful_words", "/nowhere"]),
        ({"rules": ["refusal", "refusal"]}, ["rules[1]", "refusal", "twice"]),
        ({"rules": "refusal"}, ["rules", "list"]),
        ({"rule": []}, ['"rule"', "did you mean 'rules'"]),
        ({"rules": [{}]}, ["rules[0]", "rule: name"]),
        ({"rules": [{"rule": "nowhere.to:BeFound"}]}, ["nowhere.to:BeFound", "Python path"]),
        ({"rules": [{"rule": "json:dumps"}]}, ["json:dumps", "filters.Rule"]),
    ],
)
def test_the_message_names_field_value_and_remedy(policy, parts):
    with pytest.raises(PolicyError) as error:
        load_policy(policy)
    message = str(error.value)
    for part in parts:
        assert part in message
    assert "\n" not in message


@pytest.mark.parametrize("content", ["- just\n- a list\n", "rules: [", "42", ""])
def test_a_file_that_is_no_policy_is_refused(tmp_path, content):
    path = tmp_path / "policy.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(PolicyError, match=r"policy\.yaml"):
        load_policy(path)
