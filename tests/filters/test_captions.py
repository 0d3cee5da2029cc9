"""Captions are answers too: what is broken or refused in one is found, and told from what the answers hold."""

import pytest

from filters import load_policy

TURN = [{"role": "user", "content": "何が見えますか。"}, {"role": "assistant", "content": "赤い屋根の家です。"}]


@pytest.mark.parametrize(
    ("rule", "caption"),
    [
        ("refusal", "申し訳ありませんが、画像が見えません。"),
        ("template_tag", "<think>屋根を見る。</think>赤い屋根の家です。"),
        ("markup_residue", '{"caption": "赤い屋根の家です。"}'),
        ("not_japanese", "A house with a red roof stands by the road in the town."),
        ("other_scripts", "빨간 지붕의 집です。"),
        ("chinese_leak", "这是一座红色屋顶的房子。"),
        ("repetition", "赤い屋根と赤い屋根と赤い屋根と赤い屋根と赤い屋根と赤い屋根と"),
        ("truncated_answer", "赤い屋根の家が道沿いに建っていて、"),
        ("question_in_answer", "赤い屋根の家です。ほかに何が見えますか？"),
    ],
)
def test_what_is_wrong_with_a_caption_is_found_in_the_caption(rule: str, caption: str) -> None:
    (verdict,) = load_policy("standard").judge([{"messages": TURN, "caption": caption}])
    found = [finding for finding in verdict.findings if finding.rule == rule]
    assert found
    for finding in found:
        assert finding.message == -1
        assert caption[finding.start : finding.end] == finding.text
    assert not verdict.kept


def test_a_good_caption_passes_and_one_that_is_missing_or_empty_is_no_fault() -> None:
    samples = [{"messages": TURN, "caption": caption} for caption in ("赤い屋根の家が道沿いに建っています。", "")]
    assert all(verdict.kept for verdict in load_policy("standard").judge([*samples, {"messages": TURN}]))


def test_the_same_text_is_found_once_in_the_caption_and_once_in_the_answer() -> None:
    asking = "赤い屋根の家です。ほかに何が見えますか？"
    messages = [TURN[0], {"role": "assistant", "content": asking}]
    (verdict,) = load_policy("light").judge([{"messages": messages, "caption": asking}])
    assert sorted(finding.message for finding in verdict.findings if finding.message is not None) == [-1, 1]
