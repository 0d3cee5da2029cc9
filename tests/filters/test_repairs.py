"""What a repair takes out is kept and can be put back, and what it leaves is clean and stands by itself."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters import load_policy
from filters.mending import Repair, repaired, restored

QUESTION = "question_in_answer"
PLAIN = load_policy("standard")


def repairing(action: str | list[str]) -> Any:
    """The policy `standard` with an action on the questions and requests in answers."""
    rules = [
        {**entry, "action": action} if entry.get("rule") in (QUESTION, "request_to_user") else entry
        for entry in PLAIN.to_dict()["rules"]
    ]
    return load_policy({"name": str(action), "rules": rules})


TRIM, DROP_TURN = repairing("trim"), repairing("drop_turn")


def dialogue(*texts: str, **further: Any) -> dict[str, Any]:
    roles = ("user", "assistant") * len(texts)
    return {"messages": [{"role": role, "content": text} for role, text in zip(roles, texts, strict=False)], **further}


@pytest.mark.parametrize(
    ("answer", "left"),
    [
        ("桜の花です。ほかに知りたいことはありますか？", "桜の花です。"),
        ("桜の花です。\n\nほかに知りたいことはありますか？気になる点があればお気軽にお尋ねください。", "桜の花です。"),
        ("「何名様ですか？」と書かれています。行ってみませんか？", "「何名様ですか？」と書かれています。"),
        ("駅前（東口）です！😊 ほかに気になる点があれば、お気軽にお尋ねください。", "駅前（東口）です！😊"),
        ("- 赤い屋根\n- 白い壁\nどちらが気になりますか？", "- 赤い屋根\n- 白い壁"),
    ],
)
def test_an_answer_that_stands_without_its_end_is_trimmed(answer: str, left: str) -> None:
    sample = dialogue("何が写っていますか？", answer)
    assert not PLAIN.judge([sample])[0].kept
    verdict = TRIM.judge([sample])[0]
    assert verdict.kept
    assert repaired(sample, verdict.repairs)["messages"][1]["content"] == left
    assert "".join(repair.text for repair in verdict.repairs) == answer[len(left) :]
    assert {repair.action for repair in verdict.repairs} == {"trim"}


@pytest.mark.parametrize(
    "answer",
    [
        "何が知りたいですか？",
        "はい。どの部分のことでしょうか？",
        "わかりました。写真のどこが気になりますか？",
        "何の花でしょうか？桜の花です。",
        "桜の花ですが、ほかに知りたいことはありますか？",
        "次のうちから選べます：どれにしますか？",
        "色は、\nどれでしょうか？",
        "桜でしょうか？白い花です。ほかに知りたいことはありますか？",
    ],
)
def test_an_answer_that_does_not_stand_without_it_is_dropped_as_ever(answer: str) -> None:
    sample = dialogue("何が写っていますか？", answer)
    verdict = TRIM.judge([sample])[0]
    assert not verdict.kept
    assert not verdict.repairs
    assert verdict.findings == PLAIN.judge([sample])[0].findings


def test_a_turn_goes_where_its_answer_cannot_be_trimmed() -> None:
    both = repairing(["trim", "drop_turn"])
    sample = dialogue("何の花ですか？", "桜です。ご存じですか？", *CLEAN, "木は何本ありますか？", "何本でしょうか？")
    verdict = both.judge([sample])[0]
    left = [message["content"] for message in repaired(sample, verdict.repairs)["messages"]]
    assert left == ["何の花ですか？", "桜です。", *CLEAN]
    assert [repair.action for repair in verdict.repairs] == ["trim", "drop_turn", "drop_turn"]
    assert restored(repaired(sample, verdict.repairs), verdict.repairs) == sample


def test_the_shipped_policy_that_repairs_has_the_rules_of_standard() -> None:
    policy = load_policy("repairing")
    assert [rule.name for rule in policy.rules] == [rule.name for rule in PLAIN.rules]
    assert policy.judge([dialogue("何の花ですか？", "桜です。ご存じですか？")])[0].kept


def test_a_caption_that_is_the_first_answer_is_trimmed_with_it() -> None:
    said = "桜の花です。ほかに知りたいことはありますか？"
    sample = dialogue("説明してください。", said, caption=said)
    verdict = TRIM.judge([sample])[0]
    mended = repaired(sample, verdict.repairs)
    assert verdict.kept
    assert mended["caption"] == mended["messages"][1]["content"] == "桜の花です。"
    assert restored(mended, verdict.repairs) == sample


CLEAN = ("空は何色ですか？", "青い色をしています。")
ASKING = ("この建物は何ですか？", "お寺です。行ってみたいですか？")


@pytest.mark.parametrize(
    ("turns", "going"),
    [
        ([CLEAN, ASKING], [1]),
        ([ASKING, CLEAN], [0]),
        ([ASKING, CLEAN, ("木は何本ありますか？", "三本あります。どう思いますか？")], [0, 2]),
        ([CLEAN, ASKING, ("犬はどこにいますか？", "手前にいます。"), ("それは何色ですか？", "茶色です。")], [1]),
    ],
)
def test_a_turn_goes_alone_where_no_other_speaks_of_it(turns: list[tuple[str, str]], going: list[int]) -> None:
    sample = dialogue(*(text for turn in turns for text in turn))
    verdict = DROP_TURN.judge([sample])[0]
    left = [text for number, turn in enumerate(turns) if number not in going for text in turn]
    assert verdict.kept
    assert [message["content"] for message in repaired(sample, verdict.repairs)["messages"]] == left


@pytest.mark.parametrize(
    "turns",
    [
        [ASKING],
        [ASKING, ("それはいつ建てられましたか？", "古い時代です。")],
        [ASKING, CLEAN, ("お寺の屋根は何色ですか？", "灰色をしています。")],
        [ASKING, CLEAN, ("先ほどの建物の色は？", "灰色をしています。")],
        [ASKING, ("空は？", "青い色です。先ほど述べたお寺の上に広がります。")],
        [ASKING, ("ほかに何が見えますか？", "木が見えます。")],
    ],
)
def test_a_dialogue_that_would_lose_its_thread_is_dropped_as_ever(turns: list[tuple[str, str]]) -> None:
    verdict = DROP_TURN.judge([dialogue(*(text for turn in turns for text in turn))])[0]
    assert (verdict.kept, verdict.repairs) == (False, ())


def test_what_is_not_clean_after_its_repairs_is_dropped_with_all_its_findings() -> None:
    sample = dialogue("何ですか？", "お寺です。行きませんか？", "色は？", "申し訳ありませんが、画像が見えません。")
    for policy in (TRIM, DROP_TURN):
        assert policy.judge([sample])[0].findings == PLAIN.judge([sample])[0].findings
        assert not policy.judge([sample])[0].repairs


def test_scores_of_a_turn_that_goes_judge_nothing_and_come_back_with_it() -> None:
    scores = [
        {"name": "faithfulness", "value": 0.1, "message": 1},
        {"name": "faithfulness", "value": 0.9, "message": 3},
        {"name": "sharpness", "value": 50.0, "message": None},
    ]
    sample = dialogue(*ASKING, *CLEAN, scores=scores)
    rules = [{"rule": QUESTION, "action": "drop_turn"}, {"score": "faithfulness", "at_least": 0.5, "action": "flag"}]
    verdict = load_policy({"rules": rules}).judge([sample])[0]
    assert verdict.kept
    assert not verdict.findings
    mended = repaired(sample, verdict.repairs)
    assert [score["message"] for score in mended["scores"]] == [-3, 1, None]
    assert restored(mended, verdict.repairs) == sample


def test_a_score_can_drop_a_turn() -> None:
    sample = dialogue(*ASKING, *CLEAN, scores=[{"name": "faithfulness", "value": 0.1, "message": 1}])
    policy = load_policy({"rules": [{"score": "faithfulness", "at_least": 0.5, "action": "drop_turn"}]})
    assert len(repaired(sample, policy.judge([sample])[0].repairs)["messages"]) == 2


_texts = st.text("桜です。か？ 何ー\n\U0001f338", min_size=1, max_size=12)


@given(st.lists(st.tuples(_texts, _texts), min_size=1, max_size=5), st.data())
def test_every_repair_can_be_undone(turns: list[tuple[str, str]], data: st.DataObject) -> None:
    sample = dialogue(*(text for turn in turns for text in turn), caption=turns[0][1])
    sample["scores"] = [{"name": "s", "value": 1.0, "message": index} for index in range(-1, 2 * len(turns))]
    repairs = []
    for index, message in enumerate(sample["messages"]):
        kind = data.draw(st.sampled_from(["none", "trim", "whole"]))
        start = data.draw(st.integers(0, len(message["content"]))) if kind == "trim" else 0
        role = message["role"] if kind == "whole" else ""
        if kind != "none":
            repairs.append(Repair("r", kind, index, start, role, message["content"][start:]))
    assert restored(repaired(sample, repairs), repairs) == sample


@given(st.lists(st.tuples(st.sampled_from([ASKING[0], CLEAN[0]]), _texts), min_size=1, max_size=4))
def test_what_is_kept_by_repairs_is_clean_by_the_plain_policy(turns: list[tuple[str, str]]) -> None:
    sample = dialogue(*(text for turn in turns for text in turn))
    for policy in (TRIM, DROP_TURN):
        verdict = policy.judge([sample])[0]
        if verdict.repairs:
            mended = repaired(sample, verdict.repairs)
            assert PLAIN.judge([mended])[0].kept
            assert all(message["content"].strip() for message in mended["messages"])
            assert restored(mended, verdict.repairs) == sample
