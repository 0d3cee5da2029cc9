"""Rules of users: by dotted name, by entry point, with settings that are checked like those of shipped rules."""

import sys
import textwrap
from importlib.metadata import EntryPoint

import pytest

from filters import Finding, PolicyError, Rule, load_policy, registry

SAMPLE = {"messages": [{"role": "assistant", "content": "ワンワンと鳴く犬です。"}]}


@pytest.fixture
def my_rules(tmp_path, monkeypatch):
    (tmp_path / "my_rules.py").write_text(
        textwrap.dedent(
            '''
            import re
            from filters import Span, MessageRule

            class Barking(MessageRule):
                """Finds barking."""

                screen = re.compile("ワン")

                def __init__(self, word: str = "ワンワン") -> None:
                    self.word = word

                def spans(self, message):
                    start = message.content.find(self.word)
                    if start >= 0:
                        yield Span(start, start + len(self.word), "barks")
            '''
        ),
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("my_rules", None)


@pytest.mark.parametrize("reference", ["my_rules:Barking", "my_rules.Barking"])
def test_a_rule_of_a_user_loads_by_dotted_name(my_rules, reference):
    policy = load_policy({"rules": [{"rule": reference, "settings": {"word": "ワンワン"}}]})
    (verdict,) = policy.judge([SAMPLE])
    assert verdict.dropped_by == ("barking",)
    assert verdict.findings[0].text == "ワンワン"
    assert policy.statistics["barking"].hits == 1


def test_a_rule_can_read_captions(my_rules):
    my_rules = __import__("my_rules")
    my_rules.Barking.role = "caption"
    policy = load_policy({"rules": ["my_rules:Barking"]})
    (verdict,) = policy.judge([{"messages": SAMPLE["messages"], "caption": "犬がワンワンと鳴いている。"}])
    assert [(finding.message, finding.start) for finding in verdict.findings] == [(-1, 2)]
    assert my_rules.Barking().texts("ワンワン") == ["ワンワン"]


def test_settings_of_a_users_rule_are_checked(my_rules):
    with pytest.raises(PolicyError, match="did you mean 'word'"):
        load_policy({"rules": [{"rule": "my_rules:Barking", "settings": {"words": "x"}}]})


def test_a_rule_of_a_user_loads_by_entry_point(my_rules, monkeypatch):
    point = EntryPoint("barking", "my_rules:Barking", "datagen.rules")
    monkeypatch.setattr(registry, "entry_points", lambda group: [point] if group == "datagen.rules" else [])
    (verdict,) = load_policy({"rules": ["barking"]}).judge([SAMPLE])
    assert verdict.dropped_by == ("barking",)


class Careless(Rule):
    """Finds what is no finding in answers that say how, and raises on those that say so."""

    def find(self, sample):
        text = sample.answers[0].content
        if "raise" in text:
            raise RuntimeError("two\nlines")
        if "none" in text:
            yield None
        if "float" in text:
            yield Finding("careless", 0, 0.5, 1, "x", "y")
        if "good" in text:
            yield Finding("careless", 0, 0, 1, text[:1], "found")


def test_what_a_rule_raises_stands_in_the_verdict_of_its_sample_alone():
    texts = ["fine", "raise", "good", "none", "float", "raise good"]
    policy = load_policy({"rules": [f"{__name__}:Careless", "too_short"]})
    verdicts = policy.judge([{"messages": [{"role": "assistant", "content": text}]} for text in texts])
    raised = "the rule careless raised RuntimeError: two lines"
    assert [verdict.error for verdict in verdicts[:3]] == ["", raised, ""]
    assert all(verdict.error.startswith("the rule careless raised TypeError: ") for verdict in verdicts[3:5])
    assert verdicts[5].error == raised
    assert [bool(verdict.error) and verdict.kept for verdict in verdicts] == [False] * 6
    assert [finding.rule for finding in verdicts[2].findings].count("careless") == 1
    assert not verdicts[2].error
    assert policy.statistics["too_short"].samples == len(texts)
