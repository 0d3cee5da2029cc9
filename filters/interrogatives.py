"""Interrogatives that ask: 何, 誰, どこ … where neither か nor も nor a subordinate clause has bound them."""

import re

from filters.morphology import Morpheme

_WORD = re.compile(
    r"(?P<modifier>何の|なんの|どんな|どの|どういう|どういった|いかなる)"
    r"|(?P<word>何(?!か|も|ら|度も|十|百|千|万|やら|しろ|せ|卒|気|より|一つ|ひとつ|事も|者|不|なら|とか|とも|とな|かしら)\w?"
    r"|なに(?!か|も|より|しろ|せ|やら|とぞ)|なん(?:で(?!も)|人|個|時|歳|色|度|回|年|月|日)"
    r"|[誰](?!か|も|一人|ひとり|彼)|だれ(?!か|も|る|一人)|どなた(?!か|も)"
    r"|どこ(?!か|も|と|ぞ)|どれ(?!か|も|ほど|だけ)|どちら(?!か|も)|どっち(?!か|も)|どう(?!か|も|ぞ|や|せ|して|い|に|り|こ|ぶ|ろ|と)"
    r"|どうして(?!も)|どうやって|どれ(?:ほど|だけ|くらい|ぐらい)|なぜ(?!か|なら)|いつ(?!か|も|つ|の間|しか|にな|ぞ|くし)|いくつ(?!か|も)|いくら(?!か|も|で)|いかが(?!わ))"
)
_BINDS = re.compile(
    r"(?:だろう|でしょう|のか|の|か|だ|い|る|た|う)と(?:思|考|言|い[うわっ]|聞|尋|感|問|疑|悩|呼|、)"
    r"|[てで]も|とも|[うよ]うと|[うよ]うが|にせよ|にしろ"
)
_GUESS = re.compile(r"(?:だろう?|でしょう?)(?:ね|よ)?$")
_ASKING_END = re.compile(r"(?:の|なの|んだ|のだ|んです|のです|んだい)$")
_COPULA = re.compile(r"(?:です|だ|だった|でした|なの|なんだ|なんです)?$")
_EXCLAIMS = re.compile(
    r"(?:なんて|何て|なんと|何と)|(?:どれほど|どんなに|いかに|どれだけ|どんな).*こと(?:だろう|でしょう)"
)


def open_interrogative(text: str, morphemes: list[Morpheme]) -> str | None:
    """Says which interrogative makes a sentence without か a question; None if none does.

    >>> from filters.morphology import tag
    >>> open_interrogative("これは何の料理だろう", tag("これは何の料理だろう"))
    '何の with a guess (料理/名詞-普通名詞 だろう/助動詞)'
    >>> open_interrogative("誰でも楽しめるでしょう", tag("誰でも楽しめるでしょう"))
    """
    if _EXCLAIMS.search(text):
        return None
    for match in _WORD.finditer(text):
        rest = text[match.end() :]
        starts = {morpheme.start for morpheme in morphemes}
        if match.start() not in starts or _BINDS.search(rest):
            continue
        after = [morpheme for morpheme in morphemes if morpheme.start >= match.end()]
        if any(m.surface == "か" and m.pos == "助詞" for m in after):
            continue
        if any(m.surface in ("も", "でも") and m.pos == "助詞" for m in after[:3]):
            continue
        shown = " ".join(map(str, morphemes[-2:]))
        if _GUESS.search(text):
            return f"{match.group()} with a guess ({shown})"
        if _ASKING_END.search(rest):
            return f"{match.group()} with an asking end ({shown})"
        if match.group("word") and _COPULA.fullmatch(rest):
            return f"{match.group()} at the end of the sentence ({shown})"
    return None
