"""Taking a question with its answer out of a dialogue."""

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from filters.questions.morphology import tag
from filters.repairs import RepairAction, Taken
from filters.sample import Message, Sample

if TYPE_CHECKING:
    from filters.base import Finding

_POINTS_BACK = re.compile(
    r"(?<![ぁ-ん])(?:それ|その|そこ|そちら|そっち|そんな|そう(?:した|いう|いった|すると|なると|なん|です)|彼女|彼ら?"
    r"|あれ|あの|こうした|では(?=[、。？?])|じゃあ|だとすると|だったら|なら(?=[、ば])|ちなみに"
    r"|(?:ほか|他)(?:に|の|は)|別の|もう[一1]つ|同じ|逆に|反対に|さらに|もっと|続き|次に|なぜですか|どうして(?:ですか)?[？?]?\Z)"
)
_POINTS_FAR_BACK = re.compile(
    r"先ほど|さきほど|さっき|前述|上述|上記|既述|すでに(?:述|お伝え|説明)|(?:述|申し上げ|お伝えし|説明し)(?:べ|ました|た)(?:とおり|通り|よう)"
    r"|前の(?:質問|答え|回答)|最初の(?:質問|答え|回答)|今の(?:質問|答え|回答|話)|これまで(?:の|に)"
)
_NOUNS = ("普通名詞", "固有名詞")
_GENERAL = re.compile(
    "画像|写真|絵|こと|もの|物|様子|感じ|部分|ところ|場所|色|形|数|名前|種類|何[色人時]?|人物?|[右左上下前]|後ろ|中央?|手前|奥|背景"
    "|全体|特徴|雰囲気|理由|質問|答え|[一二]つ|今|時間?帯?|季節|天気|状態|方|側|隣|周り|周囲|文字|言葉|大きさ|素材|目的|用途"
)
"""Nouns by which a question may ask about any picture."""


class DropTurn(RepairAction):
    """Takes out the question-answer pair that a rule objects to, and keeps the others.

    It does so where another turn is left and no later one speaks of what goes: none points back to it (それ, 先ほど),
    and no later question names a thing that only the turn had named. Where it stands in no pair, nothing goes.

    >>> from filters import load_policy
    >>> policy = load_policy({"rules": [{"rule": "question_in_answer", "action": "drop_turn"}]})
    >>> def dropped(*texts):
    ...     roles = ("user", "assistant") * len(texts)
    ...     messages = [{"role": role, "content": text} for role, text in zip(roles, texts)]
    ...     return [repair.text for repair in policy.judge([{"messages": messages}])[0].repairs]
    >>> dropped("何の花ですか？", "何でしょうか？", "空は何色ですか？", "青いです。")
    ['何の花ですか？', '何でしょうか？']
    >>> dropped("何の花ですか？", "桜でしょうか？", "それは何色ですか？", "白いです。")
    []
    """

    def propose(self, sample: Sample, findings: "Sequence[Finding]") -> Iterator[Taken]:
        """Yields the messages of the turns that go, or nothing."""
        pairs = [
            (asked, said)
            for asked, said in zip(sample.messages, sample.messages[1:], strict=False)
            if (asked.role, said.role) == ("user", "assistant")
        ]
        spoken = {finding.message for finding in findings}
        going = [pair for pair in pairs if spoken & {pair[0].index, pair[1].index}]
        staying = [pair for pair in pairs if pair not in going]
        covered = {message.index for pair in going for message in pair}
        if not staying or not going or not spoken <= covered or any(_is_needed(pair, pairs, going) for pair in going):
            return
        for pair in going:
            for message in pair:
                yield Taken(message.index, whole=True)


def _is_needed(
    pair: tuple[Message, Message],
    pairs: Sequence[tuple[Message, Message]],
    going: Sequence[tuple[Message, Message]],
) -> bool:
    """Whether a later turn that stays speaks of a pair."""
    position = pairs.index(pair)
    later = [other for other in pairs[position + 1 :] if other not in going]
    following = pairs[position + 1 : position + 2]
    if any(_POINTS_BACK.search(asked.own_words) for asked, _ in following if (asked, _) not in going):
        return True
    if any(_POINTS_FAR_BACK.search(message.own_words) for other in later for message in other):
        return True
    before = "\n".join(message.content for other in pairs[:position] if other not in going for message in other)
    named = {noun for message in pair for noun in _nouns(message) if noun not in before}
    return any(named & _nouns(asked) for asked, _ in later)


def _nouns(message: Message) -> set[str]:
    """The nouns that name a thing, of two letters or a Chinese character at least."""
    return {
        morpheme.surface
        for morpheme in tag(message.content)
        if morpheme.pos == "名詞" and morpheme.detail in _NOUNS and not _GENERAL.fullmatch(morpheme.surface)
    }
