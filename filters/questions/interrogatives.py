"""Interrogatives that ask: 何, 誰, どこ … where neither か nor も nor a subordinate clause has bound them.

An interrogative needs something to license it. か does that in a question and in a clause alike (何があるか分からない);
も, でも and ても make it a quantifier (誰でも, どこへ行っても). Where nothing in the sentence does, the sentence asks.
"""

import re
from typing import NamedTuple

from filters.questions.morphology import Morpheme, shown, tag

_WORD = re.compile(
    r"何(?!か(?!ら)|から何|まで(?:手|揃)|も|ら|と[もなかぞ]|十|百|千|万|やら|しろ|せ|卒|気|より|一つ|ひとつ|事も|事に|者か|不|食わ|なら|なり|分|故か|の変哲|によらず|やかん|はともあれ|不自由|かにつけ|て(?!言|い|名|書|呼|読|答|返|$))"
    r"|(?<![やかん]な)(?<![やか])なに(?!か(?!ら)|も|より|しろ|せ|やら|とぞ|ぶん|がし|おい|げ|わ|がなん)"
    r"|なん(?=の(?!その|こと)|で(?!も|す|しょ)|人|個|時|歳|色|度|回|年|月|日|て[言い]|に|という)"
    r"|(?:(?<=[は、が])|(?<=って))なん(?=だ(?!か)|で(?:しょう|す$))|^なん(?=だろ|でしょ)"
    r"|誰(?!か(?!ら)|も|より|一人|ひとり|彼|しも)|だれ(?!か(?!ら)|も|る|た|て|一人|ひとり)|どなた(?!か|も)"
    r"|どこ(?!か(?!ら)|も|とな|ぞ|ろ)|どれ(?!か(?!ら)|も|み)|どちら(?!か(?!ら)|も)|(?<!も)どっち(?!か|も|つかず)"
    r"|(?<!なかなか)どうして(?!も)|なんて(?=言|い[うっ]|名|書|呼)|どうい(?:う|った)(?!わけか)|どう(?!か|も|ぞ|や(?!って)|せ|しても|しよう(?:も|が)|いたし|り|こ|ぶ|ろ|とも|って|にか|にも|にで|でも|い[うっ]た?わけか)"
    r"|どのよう[なに]|どの(?!道)|どんな(?!に)|なぜ(?!か|なら)|何故(?!か|なら)"
    r"|いつ(?!か(?!ら)|も|つ|の間|しか|にな|ぞ|くし|わ|ま?でも)|いくつ(?!か|も)|いくら(?!か|も|で|丼|軍艦|の軍艦|が乗)|いかが(?!わ)|いかなる|いかに$"
)
_BINDS = re.compile(
    r"(?:だろう|でしょう)と|と(?:は|まで)[^。]{0,24}(?:ない|なく|ません|かね(?:ます|る))|という?わけ(?:では|じゃ|でも)|と断[定言]する"
    r"|[のかだいるたうん]と(?![^。、]{0,12}(?:んだ|のだ|のか)$)"
    r"(?:思|おも|考|言|い[うわいっ]|聞|尋|感|問|疑|悩|呼|叫|見て|待|迷|戸惑|驚|つぶや|怒|困|書|表示|の|、)"
    r"|[のるいたうんだ]か[はがをも、]|か(?:どうか|分か|わか|不明|知り|知ら|判断|判別|特定|推測|確認|読み取)"
    r"|[てで]も|とも|だって|[おこそとのもよろごぞどぼ]うと(?!し|す)|[よろ]うが|にせよ|にしろ|であれ"
)
_EXCLAIMS = re.compile(
    r"[な何]ん?て(?!い|言|名|書|呼|読|答|返|$)|なんと(?!い|言|呼|読|書)|何と(?!い|言|呼|読|書)|[なん何]という(?:こと|[^名意])(?!.*の$)"
    r"|(?:どれほど|どんなに|いかに|どれだけ|どんな|どれほどの).*こと(?:だろう|でしょう)"
)
_BOUND_ITSELF = re.compile(r"何|なに|誰|だれ|どなた|どこ|いつ|どれ|どちら|いく[つら]")
_GUESS = re.compile(r"(?:だろう?|でしょう?|かろう|う)(?:ね|ねえ|よ|な|なあ|ねぇ)?$")
_ASKING = re.compile(
    r"(?:からだ|の|なの|んだ|のだ|んです|のです|んだい|のだい|だい|だね|のよ|んだよ|のさ|ねん|んや|んよ|だ(?:これ|それ|あれ|ここ|そこ|一体)は?)$|^だよ$"
)
_WITH_GUESS, _WITH_ASKING_END = "with a guess", "with an asking end"
_NOMINAL = ("名詞", "接尾辞", "接頭辞", "代名詞", "形状詞")


class OpenInterrogative(NamedTuple):
    """An interrogative that nothing binds: the evidence, and whether neither a guess nor an asking end goes with it."""

    evidence: str
    bare: bool


def open_interrogative(text: str) -> OpenInterrogative | None:
    """Says which interrogative makes a sentence without か a question; None if none does.

    >>> open_interrogative("これは何の料理だろう").evidence
    '何 with a guess (料理/名詞-普通名詞 だろう/助動詞)'
    >>> open_interrogative("誰でも楽しめるでしょう")
    """
    if _EXCLAIMS.search(text):
        return None
    for match in _WORD.finditer(text):
        rest = text[match.end() :]
        if not _BINDS.search(rest):
            morphemes = tag(text)
            after = [morpheme for morpheme in morphemes if morpheme.start >= match.end()]
            if any(morpheme.start == match.start() for morpheme in morphemes) and not _is_bound(after):
                how = _asks(rest, after)
                if how:
                    evidence = f"{match.group()} {how} ({shown(morphemes[-2:])})"
                    return OpenInterrogative(evidence, bare=how not in (_WITH_GUESS, _WITH_ASKING_END))
    return None


def _is_bound(after: list[Morpheme]) -> bool:
    for index, morpheme in enumerate(after):
        binds = morpheme.is_particle("か", "とか") or (index < 5 and morpheme.is_particle("も", "でも"))
        # In どうして誰もいないのでしょう the も binds 誰, and どうして still asks.
        if binds and not (index and _BOUND_ITSELF.fullmatch(after[index - 1].surface)):
            return True
    return False


def _asks(rest: str, after: list[Morpheme]) -> str | None:
    if not after:
        return "at the end of the sentence"
    last = after[-1]
    if _GUESS.search(rest):
        return _WITH_GUESS
    if _ASKING.search(rest):
        return _WITH_ASKING_END
    if "、" in rest:
        return None
    if last.form.startswith(("終止形", "連体形")):
        return "with a plain predicate"
    if len(after) <= 4 and all(_is_nominal(morpheme) for morpheme in after):
        return "at the end of the sentence"
    return None


def _is_nominal(morpheme: Morpheme) -> bool:
    return morpheme.pos in _NOMINAL or (
        morpheme.pos == "助詞" and morpheme.surface not in ("も", "か", "でも", "て", "ば")
    )
