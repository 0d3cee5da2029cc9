"""The words of the pages, in Japanese and English."""

from collections.abc import Mapping
from typing import NamedTuple


class Words(NamedTuple):
    """The same in two languages."""

    ja: str
    en: str


STATES: Mapping[str, Words] = {
    "kept": Words("残す", "kept"),
    "dropped": Words("落とす", "dropped"),
    "failed": Words("失敗", "failed"),
}
CHANGES: Mapping[str, Words] = {
    "newly_dropped": Words("新たに落とす", "newly dropped"),
    "newly_kept": Words("新たに残す", "newly kept"),
    "absent": Words("なし", "absent"),
}
GROUPS: Mapping[str, Words] = {
    "turn": Words("何番目の問答か", "by turn"),
    "prompt": Words("プロンプトの版", "by prompt version"),
    "model": Words("モデル", "by model"),
    "task": Words("タスク", "by task"),
}
ROLES: Mapping[str, Words] = {
    "user": Words("問", "Q"),
    "assistant": Words("答", "A"),
    "system": Words("指示", "system"),
}
"""Who speaks; other roles go by their names."""
TURNS: Mapping[str, Words] = {
    "caption": Words("説明文", "caption"),
    "system": Words("指示", "system"),
    "row": Words("行全体", "row"),
}
"""The groups of a turn's table that are no turns."""
DISTRIBUTIONS: Mapping[str, Words] = {
    "answer_characters": Words("答えの文字数", "characters an answer"),
    "question_characters": Words("質問の文字数", "characters a question"),
    "caption_characters": Words("説明文の文字数", "characters a caption"),
    "conversation_turns": Words("問答の数", "turns a conversation"),
    "answer_tokens": Words("回答あたりの出力トークン", "tokens an answer"),
}
PARTS: Mapping[str, Words] = {
    "caption": Words("説明文", "captions"),
    "question": Words("質問", "questions"),
    "answer": Words("答え", "answers"),
}
QUESTIONS: Mapping[str, Words] = {
    "number": Words("いくつ・何個", "how many"),
    "why": Words("なぜ", "why"),
    "where": Words("どこ", "where"),
    "who": Words("誰", "who"),
    "when": Words("いつ", "when"),
    "which": Words("どれ・どちら", "which"),
    "how": Words("どのような", "how, what like"),
    "what": Words("何", "what"),
    "text": Words("文字を読む", "reading text"),
    "request": Words("〜してください", "a request"),
    "yes_or_no": Words("はい・いいえ", "yes or no"),
    "other": Words("その他", "other"),
}
ACTIONS: Mapping[str, Words] = {
    "trim": Words("末尾を切る", "trim"),
    "drop_turn": Words("問答を一つ外す", "drop a turn"),
    "retry": Words("聞き直す", "ask again"),
}
SCRIPTS: Mapping[str, Words] = {
    "kana": Words("かなを含む", "with kana"),
    "han": Words("漢字のみ", "Han, no kana"),
    "latin": Words("ラテン文字", "Latin"),
    "hangul": Words("ハングル", "Hangul"),
    "other": Words("その他の文字", "other letters"),
    "none": Words("文字なし", "no letters"),
}
RULES: Mapping[str, str] = {
    "asks_nothing": "問いになっていない質問",
    "bare_question": "疑問詞だけの文",
    "benchmark_question": "ベンチマークの質問",
    "chinese_leak": "中国語の混入",
    "duplicate_turn": "同じ問答の繰り返し",
    "echoed_question": "質問のオウム返し",
    "english_leak": "英語の混入",
    "harmful_words": "禁止語",
    "markup_residue": "マークアップの残り",
    "not_japanese": "日本語でない答え",
    "not_made": "検査で落とされ、まだ作られていない",
    "other_scripts": "他の文字体系の混入",
    "personal_data": "個人情報",
    "question_in_answer": "答えの中の疑問文",
    "refusal": "回答の拒否",
    "repetition": "語句の繰り返し",
    "request_to_user": "利用者への依頼・申し出",
    "source_mention": "説明文への言及",
    "template_tag": "テンプレートのタグ",
    "too_long": "長すぎる答え",
    "too_short": "短すぎる答え",
    "truncated_answer": "途中で切れた答え",
    "turn_leak": "次の話者の混入",
}
"""What the shipped rules find; other rules go by the first line of their docstring in both languages."""


def distribution(name: str) -> Words:
    """Return what a distribution is of; scores go by their names."""
    score = name.removeprefix("score:")
    return DISTRIBUTIONS.get(name) or Words(f"スコア {score}", f"score {score}")


def purpose_of(rule: str, docstring: str) -> Words:
    """Return what a rule is for."""
    first = docstring.strip().partition("\n")[0].strip()
    return Words(RULES.get(rule, first), first)
