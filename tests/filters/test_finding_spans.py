"""Whatever the text: no rule raises, and every finding points into the text it was found in."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters import Verdict, load_policy
from filters.matching import matching_key
from filters.questions.detector import SCREEN, find_questions

PIECES = [
    *"「」『』（）()\"'“”`？?！!。、…・：:｡｢｣ｶﾞﾊﾟ〒@#*{}[]<>|\\\n\t \u3000\u3099\u200d\ufe0f\x00",
    *[
        "何",
        "誰",
        "どこ",
        "どう",
        "いつ",
        "か",
        "の",
        "ですか",
        "ますか",
        "でしょう",
        "だろうか",
        "っけ",
        "かな",
        "かしら",
        "は",
    ],
    *[
        "静か",
        "すいか",
        "かどうか",
        "分かりません",
        "と書かれています",
        "質問：",
        "Q:",
        "ユーザー",
        "https://a.jp/?q=1",
        "？歳",
    ],
    *[
        "ﾃﾞｽｶ",
        "㍍",
        "𝐀",
        "😊",
        "❓",
        "⁉",
        "が",
        "か\u3099",
        "申し訳ありません",
        "<image>",
        '{"a":',
        "090-1234-5678",
        "the dog is on",
    ],
]
wild = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=6)), max_size=30).map("".join)
conversations = st.lists(st.tuples(st.sampled_from(["user", "assistant", "system"]), wild), max_size=6)


@pytest.fixture(scope="module")
def strict():
    return load_policy("strict")


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(turns=conversations, caption=st.none() | wild)
def test_spans_point_into_the_original_text(strict, turns, caption):
    sample = {"messages": [{"role": role, "content": content} for role, content in turns], "caption": caption}
    (verdict,) = strict.judge([sample])
    for finding in verdict.findings:
        content = caption if finding.message == -1 else turns[finding.message][1]
        assert 0 <= finding.start <= finding.end <= len(content)
        assert finding.text == content[finding.start : finding.end]
        assert finding.evidence
    assert verdict.kept == strict.keeps(verdict.findings) == (not verdict.dropped_by)


@settings(max_examples=300, deadline=None)
@given(text=wild)
def test_the_screen_passes_every_text_with_a_question(text):
    if find_questions(matching_key(text).text):
        assert SCREEN.search(text)


@settings(max_examples=200, deadline=None)
@given(text=wild)
def test_keys_lead_back_to_the_original_text(text):
    key = matching_key(text)
    assert key.original(0, len(key.text)) == (0, len(text))
    for place in range(len(key.text)):
        start, end = key.original(place, place + 1)
        assert 0 <= start < end <= len(text)


@settings(max_examples=50, deadline=None)
@given(first=wild, second=wild)
def test_neighbours_in_a_batch_do_not_matter(strict, first, second):
    samples = [{"messages": [{"role": "assistant", "content": text}]} for text in (first, second)]
    assert strict.judge(samples) == [strict.judge([sample])[0] for sample in samples]


@pytest.mark.parametrize(
    "piece",
    ["何", "どんな", "「", "(", "\n", "a", "か", '"', "#", "*", "{", "ですか", "ｶﾞ", "\u3099", "？", "0", "質問："],
)
def test_long_runs_of_one_piece_are_judged_like_any_text(strict, piece):
    (verdict,) = strict.judge(
        [{"messages": [{"role": "user", "content": piece}, {"role": "assistant", "content": piece * 5000}]}]
    )
    assert not verdict.kept


def test_no_samples_give_no_verdicts_and_no_messages_no_findings(strict):
    assert strict.judge([]) == []
    assert strict.judge([{"messages": []}]) == [Verdict()]
