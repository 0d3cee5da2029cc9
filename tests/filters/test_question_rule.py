"""What `question_in_answer` promises beyond yes and no: kinds, places, evidence."""

import pytest

from filters import Sample, load_policy
from filters.matching import matching_key
from filters.questions.detector import Kind, find_questions
from filters.rules.question_in_answer import QuestionInAnswer


def spans(text):
    return QuestionInAnswer().texts(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("猫です。何歳ですか。元気です。", ["何歳ですか。"]),
        ("赤い花です。何本ありますか？😊三本です。", ["何本ありますか？😊"]),
        ("一行目です\n二行目は何ですか\n三行目です", ["二行目は何ですか"]),
        ("最初？ 次は？ 終わり。", ["最初？", "次は？"]),
        ("絵です（何の絵ですか？）。", ["何の絵ですか？"]),
        ("犬です。\n質問：何色\n答え：白", ["質問：何色"]),
    ],
)
def test_the_span_is_the_sentence_that_asks(text, expected):
    assert spans(text) == expected


def test_spans_point_into_the_original_text_of_half_width_katakana():
    text = "ﾊﾞﾅﾅです。ﾅﾆｲﾛﾃﾞｽｶ？はい。"
    (finding,) = QuestionInAnswer().find(Sample({"messages": [{"role": "assistant", "content": text}]}))
    assert finding.text == text[finding.start : finding.end] == "ﾅﾆｲﾛﾃﾞｽｶ？"


def test_decomposed_kana_are_read_like_composed_ones():
    assert spans("赤い花て\u3099す。何本て\u3099すか") == ["何本て\u3099すか"]
    assert spans("何か\u3099あるのか分かりません") == []


@pytest.mark.parametrize(
    ("text", "evidence"),
    [
        ("何色ですか。", "か/助詞-終助詞"),
        ("これは何の料理だろう。", "何 with a guess"),
        ("行くの？", "? ends the sentence"),
        ("ユーザー：何色", "ユーザー: opens the message"),
        ("彼の名前は何だっけ。", "っけ"),
    ],
)
def test_evidence_names_pattern_and_morpheme(text, evidence):
    (question,) = find_questions(matching_key(text).text)
    assert evidence in question.evidence


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("看板には「何名様ですか？」とあります。", Kind.QUOTED),
        ("大丈夫？と聞いています。", Kind.QUOTED),
        ("秋ではないでしょうか。", Kind.SOFTENED),
        ("これは秋ですか。", Kind.DIRECT),
        ("「これは何ですか？」", Kind.DIRECT),
    ],
)
def test_kinds_are_told_apart(text, kind):
    assert [question.kind for question in find_questions(matching_key(text).text)] == [kind]


def test_a_quotation_before_it_does_not_make_a_question_quoted():
    assert spans("「何名様ですか？」と書かれています。行ってみませんか？") == ["行ってみませんか？"]


def test_a_quotation_that_is_never_closed_hides_nothing():
    assert spans("看板には「営業中とあります。ほかに何が見えますか。人がいます。") == ["ほかに何が見えますか。"]


def test_a_closing_bracket_without_an_opening_one_does_no_harm():
    assert spans("営業中」とあります。何が見えますか」") == ["何が見えますか」"]


def test_questions_of_the_user_and_of_the_system_are_no_findings():
    messages = [
        {"role": "system", "content": "何を聞かれますか？"},
        {"role": "user", "content": "何色ですか？"},
        {"role": "assistant", "content": "赤です。"},
    ]
    assert load_policy("light").judge([{"messages": messages}])[0].kept


def test_text_tokenised_with_spaces_is_read_without_them():
    assert spans("これ は 何 です か 。")
    assert not spans("誰 が 描い た か は 分かり ませ ん 。")
