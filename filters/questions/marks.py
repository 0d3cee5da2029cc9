"""Question marks: which of them end a question, and which stand for something else."""

import re

from filters.questions.interrogatives import open_interrogative
from filters.questions.morphology import shown, tag
from filters.questions.sentences import QUESTION_MARKS, Sentence

# 大丈夫？と声をかけている, ？マーク: the mark, or the sentence before it, is what the text speaks of.
_SPOKEN_OF = re.compile(
    r"と(?!こ|て|ても|り|お|な|に|も)|って|なんて|など|みたい|的な|です|でした|マーク|記号|印|アイコン|が[付つ入]"
    r"|の(?:文字|マーク|記号|印|部分|表示|形|アイコン)"
)
_SAID = re.compile(
    r"と(?:いう(?!こと)|の(?:文字|見出し)|あり|ある|書|言|聞|尋|問|驚|呼|つぶや|返|話|確か|戸惑|自問|[^、。]{1,6}が(?:聞|言|尋|確か|話))|の(?:文字|見出し)が"
)
_UNIT = re.compile(r"[月日年歳才円個人回枚本時分秒点位番号冊匹頭台階%]|cm|mm|kg|km|[mg]\b")
_BEFORE_UNIT = re.compile(r"(?:[はがに、,:=(第約\d〜~年月日時]|^)$")
_DOUBT = re.compile(r"(?:[一-鿿々ァ-ヺー\d]|[^すせたう]か|かな|かも|でしょうか|だろうか)$")
# 7 × ? = 42, 2 - ?, ??:12: the sign stands for a number that is not known.
_OPERATOR_BEFORE = re.compile(r"[=×÷+*/<>≤≥-]\s*$")
_OPERATOR_BEHIND = re.compile(r"\s*(?:[=×÷+*/]|:\d)")
_BEFORE_UNKNOWN = re.compile(r"(?:[をがはに]\s*|[A-Za-z\d]\s)$")
_BEHIND_UNKNOWN = re.compile(r"\s*(?:で表|と書|とす|を入|に入|が入|\d)")
_PARTICLE = re.compile(r"[はがをにの](?!い)")
_BEFORE_BLANK = re.compile(r"(?:の|[=+\-×÷:、\d])$")
_TERNARY = re.compile(r"\s*[^\s:]+ : ")
_YEAR = re.compile(r"\d$")


def mark_asks(sentence: Sentence, following: str) -> str | None:
    """Says whether the question mark that ends a sentence makes it a question.

    Args:
        sentence: A sentence whose marks have a question mark among them.
        following: The text behind it.

    Returns:
        The evidence, or None for an unknown (年齢：？歳), a doubt (父親？) or a piece of an address.
    """
    body = sentence.body
    attached = not sentence.marks[-1:].isspace()
    if body.endswith(":") or _OPERATOR_BEFORE.search(body) or _OPERATOR_BEHIND.match(following):
        return None
    if sentence.marks.strip() == "??" and body[-1:].isascii() and re.match("[A-Za-z0-9]", following.lstrip()):
        return None
    if _BEFORE_UNKNOWN.search(body) and _BEHIND_UNKNOWN.match(following):
        return None
    if attached and _UNIT.match(following) and (_BEFORE_UNIT.search(body) or _UNIT.fullmatch(body)):
        return None
    if attached and body[-1:].isascii() and re.match(r"[A-Za-z0-9=&._/]", following):
        return None
    if attached and _PARTICLE.match(following) and _BEFORE_BLANK.search(body):
        return None
    if body.rstrip()[-1:].isascii() and _TERNARY.match(following):
        return None
    if _YEAR.search(body) and re.match(r"\s*[-–—〜~]|$", following) and (sentence.aside or following):
        return None
    if sentence.aside and len(body) <= 12 and _DOUBT.search(body) and not open_interrogative(body):
        return None
    mark = next(sign for sign in sentence.marks if sign in QUESTION_MARKS)
    return f"{mark} ends the sentence ({shown(tag(body[-20:])[-2:])})"


def is_spoken_of(sentence: Sentence, following: str) -> bool:
    """Whether the text goes on to speak of what it just said: 来るの？と聞いた."""
    if _SAID.match(following.lstrip()) or following.lstrip().startswith("、"):
        return True
    spaced = sentence.marks[-1:].isspace()
    return not spaced and _SPOKEN_OF.match(following.lstrip("*_」』”’\"' ")) is not None
