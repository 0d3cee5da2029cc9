"""Reading answers: tolerant of how models write, and never anything but an answer or a `Failure`."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datagen.answers import Turn, read_caption, read_turns
from datagen.failures import Failure

PAIR = Turn("何の花ですか？", "桜です。")


@pytest.mark.parametrize(
    "text",
    [
        '{"caption": "桜が咲いています。"}',
        ' \n{"caption": "  桜が咲いています。\\n"}\n',
        '```json\n{"caption": "桜が咲いています。"}\n```',
        '```\n{"caption": "桜が咲いています。"}\n```\n',
        '{"caption": "桜が咲いています。", "more": [1, 2]}',
        "桜が咲いています。",
        "\n 桜が咲いています。 \n",
    ],
)
def test_captions_in_json_in_fences_and_bare(text: str) -> None:
    assert read_caption(text) == "桜が咲いています。"


@pytest.mark.parametrize(
    "text",
    [
        '{"question": "何の花ですか？", "answer": "桜です。"}',
        '```json\n{"answer": " 桜です。", "question": "何の花ですか？ "}\n```',
        "質問：何の花ですか？\n回答：桜です。",
        "質問：何の花ですか？回答：桜です。",
        "質問: 何の花ですか？\n\n答え: 桜です。\n",
        "Q: 何の花ですか？\nA: 桜です。",
        "Q１．何の花ですか？\nA１．桜です。",
        "**質問1：** 何の花ですか？\n**回答1：** 桜です。",
        "**Q**: 何の花ですか？\n**A**: 桜です。",
        "問：何の花ですか？ 答：桜です。",
        "はい、作りました。\n質問：何の花ですか？\n回答：桜です。",
    ],
)
def test_one_pair_in_all_its_forms(text: str) -> None:
    assert read_turns(text, "turn") == [PAIR]
    if not text.lstrip("`json\n ").startswith("{"):
        assert read_turns(text, "dialogue") == [PAIR]


def test_dialogues_keep_their_order() -> None:
    turns = [Turn("質問その一？", "はい。"), Turn("二？", "二です。"), Turn("三？", "三です。")]
    as_json = json.dumps({"turns": [turn._asdict() for turn in turns]}, ensure_ascii=False)
    assert read_turns(as_json, "dialogue") == turns
    numbered = "\n".join(f"Q{n}：{turn.question}\nA{n}：{turn.answer}" for n, turn in enumerate(turns[1:], start=1))
    assert read_turns(numbered, "dialogue") == turns[1:]
    labelled = "\n".join(
        f"質問{n}：{turn.question}\n回答{n}：{turn.answer}" for n, turn in enumerate(turns[1:], start=1)
    )
    assert read_turns(labelled, "dialogue") == turns[1:]


def test_words_that_end_like_labels_are_text() -> None:
    text = "質問：U.S.A.の疑問：とは何ですか？\n回答：USA.という国名です。"
    assert read_turns(text, "turn") == [Turn("U.S.A.の疑問：とは何ですか？", "USA.という国名です。")]


def test_text_of_several_lines_stays_whole() -> None:
    (turn,) = read_turns("質問：何が\n見えますか？\n回答：犬と、\n猫です。", "turn")
    assert turn == Turn("何が\n見えますか？", "犬と、\n猫です。")


def test_a_question_without_answer_at_the_end_is_left_out() -> None:
    assert read_turns("質問：一？\n回答：一。\n質問：二？", "dialogue") == [Turn("一？", "一。")]


@pytest.mark.parametrize("text", ["", " \n\t ", "\u3000", '{"caption": ""}', '{"caption": " \\n"}', "```json\n```"])
def test_an_answer_without_text_is_empty(text: str) -> None:
    with pytest.raises(Failure) as caught:
        read_caption(text)
    assert caught.value.failure_class in ("empty_answer", "unparsable_answer")
    if text.strip() == "" or text.startswith("{"):
        assert caught.value.failure_class == "empty_answer"


@pytest.mark.parametrize(
    "text",
    [
        '{"question": "", "answer": "桜です。"}',
        '{"question": "何？", "answer": " "}',
        "質問：\n回答：桜です。",
        "質問：何？\n回答：",
    ],
)
def test_a_pair_with_an_empty_half_is_empty(text: str) -> None:
    with pytest.raises(Failure) as caught:
        read_turns(text, "turn")
    assert caught.value.failure_class == "empty_answer"


@pytest.mark.parametrize(
    "text",
    ['{"caption": "桜が', '{"caption": 5}', '{"caption": null}', '{"text": "桜"}', "[1, 2]", '"桜"', "12", '["桜"]'],
)
def test_a_caption_of_another_shape_is_unparsable(text: str) -> None:
    with pytest.raises(Failure) as caught:
        read_caption(text)
    assert caught.value.failure_class == "unparsable_answer"
    assert text[:20] in caught.value.message


@pytest.mark.parametrize(
    "text",
    [
        "桜です。",
        "回答：桜です。",
        "質問：何ですか？",
        '{"question": "何？"}',
        '{"question": "何？", "answer": ["桜"]}',
        '{"question": "何？", "answer": "桜',
        "[]",
        "null",
        '{"turns": [{"question": "何？", "answer": "桜"}]}',
        "質問：一？回答：一。質問：二？回答：二。",
    ],
)
def test_what_is_not_exactly_one_pair_is_unparsable(text: str) -> None:
    with pytest.raises(Failure) as caught:
        read_turns(text, "turn")
    assert caught.value.failure_class == "unparsable_answer"


@pytest.mark.parametrize(
    "text", ['{"turns": []}', '{"turns": {}}', '{"turns": ["x"]}', "[]", "{}", '{"turns": [{"question": "何？"}]}']
)
def test_what_is_no_dialogue_is_unparsable(text: str) -> None:
    with pytest.raises(Failure) as caught:
        read_turns(text, "dialogue")
    assert caught.value.failure_class == "unparsable_answer"


_PIECES = st.sampled_from(
    ["質問", "問", "Q", "回答", "答え", "A", "：", ":", "．", "**", "```", "json", "{", "}", "[", '"', "caption",
     "turns", "question", "answer", ",", " ", "\n", "1", "桜", "null", "\\u", "\udcff", "\0"]
)  # fmt: skip
_ANSWERS = st.one_of(
    st.text(),
    st.lists(_PIECES, max_size=40).map("".join),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.integers(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["caption", "turns", "question", "answer"]), inner, max_size=4)
        ),
    ).map(json.dumps),
)


@settings(max_examples=600, deadline=None)
@given(_ANSWERS)
def test_any_text_is_an_answer_with_text_or_a_failure(text: str) -> None:
    readings = [
        lambda: [read_caption(text)],
        lambda: [part for turn in read_turns(text, "turn") for part in turn],
        lambda: [part for turn in read_turns(text, "dialogue") for part in turn],
    ]
    for reading in readings:
        try:
            texts = reading()
        except Failure as failure:
            assert failure.failure_class in ("empty_answer", "unparsable_answer")  # noqa: PT017
            continue
        assert texts
        assert all(isinstance(part, str) and part == part.strip() != "" for part in texts)


@pytest.mark.timeout(20)  # a reader that backtracks takes hours for these
@pytest.mark.parametrize(
    "text",
    [
        "質問：" + " " * 50_000,
        "質問：" * 20_000,
        "質問" + " " * 50_000 + "x",
        ("質問" + " " * 50) * 2_000,
        "```" + "\n" * 50_000,
        "```json" + " " * 50_000 + "x",
        "*" * 50_000,
        "質問：何？" + "回" * 50_000,
        "[" * 50_000,
    ],
)
def test_long_runs_do_not_stall_the_reader(text: str) -> None:
    with pytest.raises(Failure):
        read_turns(text, "turn")
