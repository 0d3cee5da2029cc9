"""Each shipped rule finds what it is for, and lets its look-alikes pass."""

import pytest

from filters import Sample, load_policy
from filters.entries import RULES, rule_class

FOUND = [
    ("turn_leak", "赤い車です。\n質問：何台ありますか"),
    ("turn_leak", "赤い車です。ユーザー: ありがとう"),
    ("turn_leak", "アシスタント：赤い車です。"),
    ("turn_leak", "### Response:\n赤い車です。"),
    ("turn_leak", "**回答**: 赤い車です。"),
    ("truncated_answer", "公園の中央には噴水があり、その周りには多くの人が集まっています。奥には大きな建物が"),
    ("truncated_answer", "公園にいる犬は左側に一匹、鳩は右側に三羽いて、そのほかの動物は"),
    ("truncated_answer", "写っているものは「"),
    ("truncated_answer", "部屋にあるものは次のとおりです。全部で二つ見えます。\n- 白い机\n- 窓の近くに置かれた椅子を"),
    ("turn_leak", "赤い車です。\n答え：赤い車です。\n質問：ほかには"),
    ("template_tag", "犬です。<end_of_turn>"),
    ("template_tag", "<answer>犬です。</answer>"),
    ("template_tag", "[THINK]色を見る。[/THINK]赤です。"),
    ("template_tag", "◁think▷色を見る。◁/think▷赤です。"),
    ("template_tag", "赤です。<unused0><0x0A>[EOS]"),
    ("template_tag", "<|channel|>final<|message|>赤です。<|return|>"),
    ("template_tag", "<IMG_CONTEXT>犬です。<end_of_utterance>"),
    ("too_short", ""),
    ("too_short", "……。"),
    ("too_long", "あ" * 1001),
    ("refusal", "申し訳ございませんが、画像を確認できません。"),
    ("refusal", "すみませんが、お手伝いできません。"),
    ("refusal", "画像が表示されていないため、説明できません。"),
    ("refusal", "画像が見えません。"),
    ("refusal", "私はAIアシスタントなので、個人を特定することはできません。"),
    ("refusal", "I'm sorry, but I can't assist with that."),
    ("source_mention", "キャプションに記載されているとおり、犬です。"),
    ("source_mention", "与えられた情報からは判断できません。"),
    ("source_mention", "上記の説明によれば、三人います。"),
    ("source_mention", "説明文に記載されていません。"),
    ("template_tag", "<image>\n犬です。"),
    ("template_tag", "犬です。<|endoftext|>"),
    ("template_tag", "犬です。</s>"),
    ("template_tag", "[INST] 犬です。"),
    ("template_tag", "犬です。<br>猫です。"),
    ("template_tag", "答えは{answer}です。"),
    ("template_tag", "文字が化けて\ufffd\ufffdいます。"),
    ("not_japanese", "This is a photo of a red car parked on the street."),
    ("not_japanese", "Это фотография красной машины на улице города."),
    ("chinese_leak", "图中有一只猫在沙发上。"),
    ("chinese_leak", "男性がベンチに坐って书を読んでいます。"),
    ("other_scripts", "빨간 자동차です。"),
    ("other_scripts", "これはรถยนต์です。"),
    ("english_leak", "車が停まっています。The car is parked next to the building."),
    ("repetition", "赤い車と赤い車と赤い車と赤い車と赤い車と赤い車と赤い車と赤い車と"),
    ("repetition", "ああああああああああああああああああああああああああ"),
    ("repetition", "犬が走っています。犬が走っています。犬が走っています。"),
    ("markup_residue", '{"question": "何色", "answer": "赤"}'),
    ("markup_residue", "```json\n赤\n```"),
    ("markup_residue", "赤です。\\n青です。"),
    ("asks_nothing", "赤い車が写っています。"),
    ("personal_data", "電話は090-1234-5678です。"),
    ("personal_data", "電話は０３－１２３４－５６７８です。"),
    ("personal_data", "taro.yamada@example.com に送ります。"),
    ("personal_data", "住所は神奈川県横浜市中区山下町1丁目です。"),
    ("request_to_user", "もっと詳しい情報があれば教えてください。"),
    ("request_to_user", "ご不明な点がございましたら、お気軽にお尋ねください。"),
    ("request_to_user", "写真をもう一枚送っていただければ、詳しく説明します。"),
]
PASSED = [
    ("turn_leak", "画面に「質問：何色」とあります。比率は4:3です。"),
    ("turn_leak", "この質問：答えの対応表は、AとBに分かれます。"),
    ("turn_leak", "ユーザーが操作する画面です。回答者は三人です。"),
    ("truncated_answer", "赤い車"),
    ("truncated_answer", "公園の中央には噴水があります。周りには多くの人がいます（約二十人）"),
    ("truncated_answer", "看板には次の文字があります。「営業中」"),
    ("truncated_answer", "公園です。とても広くて、気持ちが良さそうですね！✨"),
    ("truncated_answer", "写っているものは次のとおりです。\n1. 赤い車\n2. 青い自転車"),
    ("truncated_answer", "橋の上を電車が走っています。川には二艘の船が浮かんでいて、岸には人が集まっていました"),
    ("truncated_answer", "四角形の面積を求めます。縦が三、横が四の長方形なので、次の式になります。\n3 × 4 = 12"),
    ("truncated_answer", "海辺の夕焼けがとてもきれいな一枚です。旅の思い出としてそのまま投稿できます。\n#夕焼け #海"),
    ("truncated_answer", "屋根は赤く、壁は白い家です。庭には二本の木が植えられています。\n---"),
    ("turn_leak", "二十円のりんごが三つで六十円です。\n答え：60円"),
    ("turn_leak", "S：具体的\nM：測れる\nA：できる\nR：関係がある"),
    ("markup_residue", r"面積は $\frac{1}{2} \times 3 \times 4$ で、\theta と \neq を使います。"),
    ("source_mention", "壁の文章によると、この寺は九世紀に建てられました。"),
    ("refusal", "これは大量の画像で学習済みのAIモデルです。"),
    ("english_leak", "壁には The Starry Night over the Rhone の複製画があります。"),
    ("template_tag", "改行には <br> タグを使うと説明されています。"),
    ("asks_nothing", "写真を見て、詩を書いて。"),
    ("asks_nothing", "見えるものを全部数えて"),
    ("asks_nothing", "看板の文字を読み上げよ。"),
    ("asks_nothing", "三十字以内で述べること。"),
    ("too_short", "赤"),
    ("too_short", "3"),
    ("too_long", "あ" * 1000),
    ("refusal", "写真からは車種を特定できませんが、色は赤です。"),
    ("refusal", "画像の左下は暗くて見えない部分があります。"),
    ("refusal", "店員が「申し訳ありません」と謝っています。"),
    ("refusal", "AIをテーマにした展示です。"),
    ("source_mention", "展示品の横に説明文があります。"),
    ("source_mention", "看板によると、開館は九時です。"),
    ("source_mention", "写真の情報から、夏と考えられます。"),
    ("template_tag", "不等号 a < b と b > c が書かれています。"),
    ("template_tag", "看板には[出口]とあります。"),
    ("not_japanese", "STARBUCKS COFFEE"),
    ("not_japanese", "看板には「NO PARKING ANY TIME」と書かれています。"),
    ("not_japanese", "東京都庁第一本庁舎四十五階展望室入口案内板設置場所"),
    ("chinese_leak", "看板には「欢迎光临」と書かれています。"),
    ("chinese_leak", "東京都千代田区永田町一丁目七番一号"),
    ("chinese_leak", "俱楽部の頰と剝製、𠮟る声。"),
    ("other_scripts", "α波とβ版、(´Д｀) の顔です。"),
    ("english_leak", "New York Yankees の帽子と Tokyo Metropolitan Government の建物です。"),
    ("english_leak", "「The quick brown fox is on the mat」と書かれています。"),
    ("repetition", "赤い車、青い車、白い車、黒い車が並んでいます。"),
    ("repetition", "ワンワンと鳴く犬と、ニャーニャーと鳴く猫がいます。"),
    ("markup_residue", "**赤い**車です。"),
    ("markup_residue", "1. 赤い車\n2. 青い車"),
    ("asks_nothing", "画像を説明してください。"),
    ("asks_nothing", "この建物の特徴を述べよ"),
    ("asks_nothing", "左の人は誰？"),
    ("asks_nothing", "Describe the image."),
    ("asks_nothing", "何色"),
    ("personal_data", "2023年10月5日の10:30、座標は35.6895-139.6917です。"),
    ("personal_data", "価格は1,200-3,400円です。神奈川県の海です。"),
    ("request_to_user", "熱いうちに食べてください、と勧めたくなる料理です。"),
    ("request_to_user", "看板には「係員にお尋ねください」とあります。"),
]


def find(name, text):
    rule = rule_class(name)()
    role = getattr(rule, "role", "assistant")
    return list(rule.find(Sample({"messages": [{"role": role, "content": text}]})))


@pytest.mark.parametrize(("name", "text"), FOUND)
def test_rules_find_what_they_are_for(name, text):
    assert find(name, text)


@pytest.mark.parametrize(("name", "text"), PASSED)
def test_rules_let_look_alikes_pass(name, text):
    assert not find(name, text)


def conversation(*turns):
    return {"messages": [{"role": role, "content": content} for role, content in turns]}


def test_duplicate_questions_and_long_answers_are_found_short_answers_are_not():
    sample = conversation(("user", "何色？"), ("assistant", "赤です。"), ("user", "形は？"), ("assistant", "赤です。"))
    policy = load_policy({"rules": ["duplicate_turn"]})
    assert policy.judge([sample])[0].kept
    long_answer = "屋根の色は鮮やかな赤色です。"
    sample = conversation(
        ("user", "色は？"), ("assistant", long_answer), ("user", "何色？"), ("assistant", long_answer)
    )
    assert policy.judge([sample])[0].findings[0].message == 3


def test_an_answer_that_only_repeats_its_question_is_found():
    policy = load_policy({"rules": ["echoed_question"]})
    asked = ("user", "この写真の季節はいつですか？")
    assert not policy.judge([conversation(asked, ("assistant", "この写真の季節はいつですか。"))])[0].kept
    assert policy.judge([conversation(asked, ("assistant", "この写真の季節は秋です。"))])[0].kept


def test_markdown_is_residue_where_the_policy_wants_prose():
    policy = load_policy({"rules": [{"rule": "markup_residue", "settings": {"markdown": "drop"}}]})
    for text in ("# 見出し\n本文です。", "**強調**です。", "| a | b |\n|---|---|", "[店](https://example.com)です。"):
        assert not policy.judge([conversation(("assistant", text))])[0].kept
    assert policy.judge([conversation(("assistant", "価格は3*4=12で、#1の店です。"))])[0].kept


def test_lingua_is_asked_where_there_are_no_kana():
    policy = load_policy({"rules": [{"rule": "not_japanese", "settings": {"detector": "lingua"}}]})
    chinese = "画面中央有一位老人坐在公園長椅上看報紙，旁邊還有一隻小狗正在睡覺。"
    assert not policy.judge([conversation(("assistant", chinese))])[0].kept


@pytest.mark.parametrize("name", RULES.shipped)
def test_a_shipped_rule_is_one_class_named_like_its_module(name):
    found = rule_class(name)
    assert found.name == name
    assert found.__module__ == f"filters.rules.{name}"
    assert ">>>" in found.__doc__


def test_a_clean_conversation_passes_the_strictest_policy():
    sample = conversation(
        ("user", "この写真の場所はどこですか？"),
        ("assistant", "看板に「京都駅」とあるので、京都駅の前です。"),
        ("user", "天気はどうでしょう。"),
        ("assistant", "空が青く、影がはっきりしているので、よく晴れています。"),
    )
    verdict = load_policy("strict").judge([sample])[0]
    assert verdict.kept, verdict.findings
