"""Reading answers: tolerant of how models write, and never anything but an answer or a `Failure`."""

import json
import re
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datagen.failures import Failure
from datagen.stages.answers import Turn, read_caption, read_turns

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
        '<think>花だ。{"caption": "梅"}か。</think>\n{"caption": "桜が咲いています。"}',
        "<think>\n花だ。\n</think>\n\n桜が咲いています。",
        "花だ。\n</think>\n桜が咲いています。",
        "<thinking>花だ。</thinking>桜が咲いています。",
        "◁think▷花だ。◁/think▷桜が咲いています。",
        '承知しました。\n```json\n{"caption": "桜が咲いています。"}\n```',
        '承知しました。```json {"caption": "桜が咲いています。"}```\n以上です。',
        '{"caption": "桜が咲いています。"}\n\nほかにご質問はありますか？',
        '{"caption": "桜が咲いています。"} {"caption": "桜が咲いています。"}',
        '{"type": "object", "required": ["caption"]}\n{"caption": "桜が咲いています。"}',
        "```\n桜が咲いています。\n```",
        "こちらです。\n```text\n桜が咲いています。\n```",
        "承知しました。桜が咲いています。",
        "はい、承知いたしました。\n\n桜が咲いています。",
        "キャプション：桜が咲いています。",
        "**説明：** 桜が咲いています。",
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
    [
        '承知しました。```json\n{"caption": "桜が',
        '{"caption": "桜"} {"caption": "梅"}',
        "```\n桜\n```\n```\n梅\n```",
        "```\n桜が",
        '"caption": "桜が咲いています。"',
        "{'caption': '桜'}",
        "{“caption”: “桜”}",
        '[{"caption": "桜"}]',
        '{"caption": "桜が',
        '{"caption": 5}',
        '{"caption": null}',
        '{"text": "桜"}',
        "[1, 2]",
        '"桜"',
        "12",
        '["桜"]',
    ],
)
def test_a_caption_of_another_shape_is_unparsable(text: str) -> None:
    with pytest.raises(Failure) as caught:
        read_caption(text)
    assert caught.value.failure_class == "unparsable_answer"
    assert repr(text[:20])[1:-1] in caught.value.message


@pytest.mark.parametrize("text", ["<think>花だ。桜か、", "<think>花だ。</think>", "花だ。</think>\n"])
def test_thinking_without_an_answer_is_empty_and_says_what_to_do(text: str) -> None:
    for read in (read_caption, lambda text: read_turns(text, "turn"), lambda text: read_turns(text, "dialogue")):
        with pytest.raises(Failure, match=r"raise max_tokens, or switch the model's thinking off") as caught:
            read(text)
        assert caught.value.failure_class == "empty_answer"


@pytest.mark.parametrize(
    "text",
    [
        "申し訳ありませんが、画像の内容をお伝えすることはできません。",
        '{"caption": "申し訳ございませんが、この画像を説明することはできません。"}',
        "画像が添付されていないようです。もう一度送ってください。",
        "<think>無い。</think>画像を確認することができません。",
        "I'm sorry, but I can't assist with that.",
        "私はAIなので、画像を見ることができません。",
    ],
)
def test_a_refusal_is_no_caption(text: str) -> None:
    with pytest.raises(Failure) as caught:
        read_caption(text)
    assert caught.value.failure_class == "refused_caption"


@pytest.mark.parametrize(
    "text",
    [
        "店員が「申し訳ありません」と頭を下げています。",
        "看板の文字は小さく、画像からは読み取れません。",
        "ブラウザの画面です。中央の画像が表示されていません。",
        "看板に「説明：承知しました。」と書かれています。",
        "看板に[入口]と書かれ、横に{桜}の絵があります。",
    ],
)
def test_a_caption_that_tells_of_a_refusal_is_one(text: str) -> None:
    assert read_caption(text) == text


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


# Frames

PAIRS = [Turn("何色ですか？", "赤です。"), Turn("何の花ですか？", "桜です。")]
LABELLED = [
    "1. 質問：{}\n 回答：{}\n2. 質問：{}\n 回答：{}",
    "(1) 質問: {}\n(1) 回答: {}\n(2) 質問: {}\n(2) 回答: {}",
    "（１）質問：{}\n　　　回答：{}\n（２）質問：{}\n　　　回答：{}",
    "① 質問：{}\n　回答：{}\n② 質問：{}\n　回答：{}",
    "質問①：{}\n回答①：{}\n質問②：{}\n回答②：{}",
    "質問（1）：{}\n回答（1）：{}\n質問（2）：{}\n回答（2）：{}",
    "1\n質問：{}\n回答：{}\n2\n質問：{}\n回答：{}",
    "第1問\n質問：{}\n回答：{}\n第2問\n質問：{}\n回答：{}",
    "Q1: {}\nA1: {}\n\nQ2: {}\nA2: {}\n",
    "問1. {}\n答1. {}\n問2. {}\n答2. {}",
    "Question 1: {}\nAnswer 1: {}\nQuestion 2: {}\nAnswer 2: {}",
    "**Q1:** {}\n**A1:** {}\n\n**Q2:** {}\n**A2:** {}",
    "**質問1：{}**\n**回答1：{}**\n**質問2：{}**\n**回答2：{}**",
    "### 質問1\n{}\n\n### 回答1\n{}\n\n### 質問2\n{}\n\n### 回答2\n{}",
    "## 1組目\n質問：{}\n回答：{}\n\n## 2組目\n質問：{}\n回答：{}",
    "質問：{}\n回答：{}\n\n---\n\n質問：{}\n回答：{}\n\n---\n",
    "【質問】{}\n【回答】{}\n【質問】{}\n【回答】{}",
    "【質問1】{}【回答1】{}【質問2】{}【回答2】{}",
    "Q: {} A: {} Q: {} A: {}",
    "Q: {} A: {} 2. Q: {} A: {}",
    "- 質問：{}\n- 回答：{}\n- 質問：{}\n- 回答：{}",
    "> 質問：{}\n> 回答：{}\n>\n> 質問：{}\n> 回答：{}",
    "1. **質問**: {}\n   - **回答**: {}\n2. **質問**: {}\n   - **回答**: {}",
    '質問："{}"\n回答："{}"\n質問："{}"\n回答："{}"',
    "質問：“{}”\n回答：“{}”\n質問：“{}”\n回答：“{}”",
    "承知しました。\n```\n質問：{}\n回答：{}\n質問：{}\n回答：{}\n```\n以上です。",
    "```markdown\n質問：{}\n回答：{}\n質問：{}\n回答：{}\n```",
    "<think>質問：何？回答：花。</think>質問：{}\n回答：{}\n質問：{}\n回答：{}",
    "1. 質問：{}\n回答：{}\n2. 質問：{}\n回答：{}\n3.",
    "1. 質問：{}\n回答：{}\n2. 質問：{}\n回答：{}\n3. 質問：何",
]
IN_JSON = [
    '{{"turns": [{{"question": "{}", "answer": "{}"}}, {{"question": "{}", "answer": "{}"}}]}}',
    'はい。\n{{"turns": [{{"question": "{}", "answer": "{}"}}, {{"question": "{}", "answer": "{}"}}]}}\nいかがですか？',
    '[{{"question": "{}", "answer": "{}"}}, {{"question": "{}", "answer": "{}"}}]',
    '{{"turns": [{{"質問": "{}", "回答": "{}"}}, {{"質問": "{}", "回答": "{}"}}]}}',
    '{{"question": "{}", "answer": "{}"}}\n{{"question": "{}", "answer": "{}"}}',
    '1. {{"question": "{}", "answer": "{}"}}\n2. {{"question": "{}", "answer": "{}"}}',
    '```json\n{{"question": "{}", "answer": "{}"}}\n```\n\n```json\n{{"question": "{}", "answer": "{}"}}\n```',
    '````\n```JSON\n[{{"question": "{}", "answer": "{}"}}, {{"question": "{}", "answer": "{}"}}]\n```\n````',
    '[{{"question": "質問：{}", "answer": "回答：{}"}}, {{"question": "質問：{}", "answer": "回答：{}"}}]',
]


def framed(frame: str, turns: list[Turn]) -> str:
    return frame.format(*(part for turn in turns for part in turn))


@pytest.mark.parametrize("frame", [*LABELLED, *IN_JSON])
def test_pairs_are_read_without_their_frame(frame: str) -> None:
    assert read_turns(framed(frame, PAIRS), "dialogue") == PAIRS
    with pytest.raises(Failure):
        read_turns(framed(frame, PAIRS), "turn")


@pytest.mark.parametrize(
    "text",
    [
        '{"question":"質問：何色ですか？","answer":"回答：赤です。"',
        '"question": "質問：何色ですか？", "answer": "回答：赤です。"',
        "{'question': '質問：何色ですか？', 'answer': '回答：赤です。'}",
        "{question: 質問：何色ですか？\nanswer: 回答：赤です。}",
        '{"question": "何？", "answer": "花。"} {"question": "何色？", "answer": "赤。"}',
        "質問：何色ですか？\n回答：赤です。\n答え：青です。",
        "質問：何色ですか？\n質問：何の花ですか？\n回答：桜です。",
        "質問：何色ですか？\n回答：次の通りです。A：赤、B：青",
        "| 質問 | 回答 |\n|---|---|\n| 何色ですか？ | 赤です。 |",
        "```\n質問：何色ですか？\n回答：赤です。",
        '質問：何色ですか？\n回答：赤です。",',
        '質問："何色ですか？\n回答：赤です。',
        "質問：何色ですか？\n回答：赤です。}",
    ],
)
def test_what_can_be_read_in_two_ways_is_asked_for_again(text: str) -> None:
    with pytest.raises(Failure) as caught:
        read_turns(text, "turn")
    assert caught.value.failure_class == "unparsable_answer"


@pytest.mark.parametrize(
    "answer",
    [
        "紙に「質問：何色？」と書かれています。", "3", "3.5", "「止まれ」", '"STOP"と"GO"です。', "犬と\n1匹の猫です。",
        "[入口]", "紙に回答：3と書かれています。",
    ],
)  # fmt: skip
def test_an_answer_keeps_what_looks_like_a_frame_and_is_none(answer: str) -> None:
    turn = Turn("何ですか？", answer)
    assert read_turns(json.dumps(turn._asdict()), "turn") == [turn]
    assert read_turns(f"質問：{turn.question}\n回答：{answer}", "turn") == [turn]
    assert read_turns(f"Q1: {turn.question}\nA1: {answer}\nQ2: 何？\nA2: 桜。", "dialogue")[0] == turn


_WORDS = ["赤い", "花", "、", "2本", "「桜」", "3.5cm", "と", "ABC", "です", "。", "？", "\n犬", "（左）", "１つ"]
_SENTENCES = st.lists(st.sampled_from(_WORDS), max_size=8).map(lambda words: f"これは{''.join(words)}花です。")
_TURNS = st.lists(st.builds(Turn, _SENTENCES, _SENTENCES), min_size=2, max_size=2)


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(_TURNS, st.sampled_from(LABELLED))
def test_whatever_is_said_comes_out_of_its_labels_whole_or_not_at_all(turns: list[Turn], frame: str) -> None:
    try:
        assert read_turns(framed(frame, turns), "dialogue") == turns
    except Failure as failure:
        assert failure.failure_class == "unparsable_answer"  # noqa: PT017


@settings(max_examples=300, deadline=None)
@given(_TURNS, st.sampled_from(IN_JSON), st.data())
def test_json_that_is_cut_anywhere_is_whole_or_a_failure(turns: list[Turn], frame: str, data: st.DataObject) -> None:
    text = framed(frame, [Turn(*(json.dumps(part, ensure_ascii=False)[1:-1] for part in turn)) for turn in turns])
    assert read_turns(text, "dialogue") == turns
    cut = text[: data.draw(st.integers(0, len(text)))]
    try:
        assert read_turns(cut, "dialogue") == turns
    except Failure as failure:
        assert failure.failure_class in ("empty_answer", "unparsable_answer")  # noqa: PT017


_RESIDUE = re.compile(
    r"(?:^|\n)[ \t]*(?:[#>*・-]+[ \t]*)*[（(]?(?:[0-9]{1,2}[.)）．：:]|[①-⑳])\Z|[\"“],\Z|,\Z|(?:^|\n)[#>*=-]+\Z"
)
_SHARDS = st.lists(
    st.sampled_from(
        ["質問", "回答", "Q", "A", "：", ":", "質問：", "回答：", "Q1: ", "A1: ", "1.", "2. ", "(3)", "①", "\n", " ",
         '"', '","', ",", "**", "---", "### ", "- ", "赤です。", "何色？", "桜", "】", "【", "```", "3", "。"]
    ),
    max_size=24,
).map("".join)  # fmt: skip


@pytest.mark.slow
@settings(max_examples=800, deadline=None)
@given(_SHARDS, st.booleans())
def test_no_text_out_of_labels_ends_in_a_piece_of_the_frame(text: str, labelled: bool) -> None:
    text = f"質問：何色ですか？\n回答：赤です。{text}" if labelled else text
    try:
        turns = read_turns(text, "dialogue")
    except Failure as failure:
        assert failure.failure_class in ("empty_answer", "unparsable_answer")  # noqa: PT017
        return
    for part in (part for turn in turns for part in turn):
        assert not _RESIDUE.search(part), (text, part)
        assert part.count('"') % 2 == 0 or not part.endswith('"')
        assert "```" not in part


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


@pytest.mark.slow
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
            assert failure.failure_class in ("empty_answer", "unparsable_answer", "refused_caption", "unusable_caption")  # noqa: PT017
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
        '{"a":' * 20_000,
        '[{"question": "何？"}, ' * 5_000,
        "<think>" * 20_000,
        "質問：何？" + "(1)" * 20_000 + "回答：",
        "質問：何？" + "\n1" * 20_000 + "回答：",
        "質問：何？\n" + "### 1. ** " * 10_000 + "回答：",
        "【質問" * 20_000,
        "承知しました。" * 10_000,
        "キャプション：" * 10_000,
        '"a" ' * 20_000,
    ],
)
def test_long_runs_do_not_stall_the_reader(text: str) -> None:
    with pytest.raises(Failure):
        read_turns(text, "turn")
    with suppress(Failure):
        read_caption(text)
