"""Finding questions in Japanese text.

Sentence by sentence. Endings that leave no doubt are decided by expressions alone; an ending that may as well be the
end of a word (静か), an indefinite (何か) or a clause inside a statement goes to the tagger, in its context.
docs/rules.md says what is decided how, and how well that works.
"""

import re
from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

from filters.interrogatives import open_interrogative
from filters.morphology import Morpheme, tag
from filters.sentences import ASIDE, OPAQUE, QUESTION_MARKS, QUOTED, Sentence, split_sentences


class Kind(Enum):
    """What sort of question it is, for policies to tell apart."""

    DIRECT = "direct"
    QUOTED = "quoted"
    SOFTENED = "softened"


class Question(NamedTuple):
    """A question: its place, its sort, and the evidence."""

    start: int
    end: int
    kind: Kind
    evidence: str


_MARK = f"[{QUESTION_MARKS}]"
_TAIL = r"(?:[ぁあァアーー〜~っッ]|\s)*(?:笑|w+|草)?"
_POLITE = r"(?:です|ます|ません|でした|ました|でしょう|ましょう|だろう|デス|マス|マセン|デシタ|マシタ|デショウ)"

SCREEN = re.compile(
    rf"{_MARK}"
    r"|[かカｶ](?:な[ぁあーアァ]*|ね[ぇえーェエ]*|い|しら)?(?:[ぁあァアーー〜~っッ]|\s)*(?=[^ぁ-ゖァ-ヺ一-鿿々0-9A-Za-z０-９]|[笑草wｗ]|$)"
    r"|か(?<=[すんたう]か)(?![らもなねよいはがをにでとっのわしどやけ、])"
    r"|か(?<=[すんたう]か)はい"
    r"|っけ(?=[^ぁ-ゖァ-ヺ一-鿿]|$)"
    r"|何(?![かも十百千])|なに(?![かも])|なん[のでだに]|誰(?![かも])|だれ(?![かも])|ど(?:こ|れ|の|ちら|っち|う|んな|なた)(?![かもやぞせ])"
    r"|なぜ|いつ(?![かもつ])|いく[つら]|いかが|幾"
    r"|質問|Q|Ｑ|問|ユーザ|[Uu]ser|USER|[Hh]uman",
    re.MULTILINE,
)
"""Finds something in every text that holds a question, and in few others; for original texts, not keys."""

_HAS_LETTER = re.compile(r"[^\W\d_]")
_MARKER = re.compile(
    r"(?:^|(?<=[\s#*「【\[]))(?:次の|追加の?)?(?:質問|設問|問い?|ユーザー?|Q|Question|User|Human|USER|HUMAN|QUESTION)"
    r"\s*\d*(?:\*\*|】|\])?\s*[:：]"
    r"|^Q\d*[.．]\s?(?=[^\x00-\x7f])"
)
_REPORTED = re.compile(
    r"と(?!こ|て|ても|り|お)|って|なんて|など|みたい|的な|の(?:文字|マーク|記号|印|部分|表示|形)|マーク|記号|が[付つ入]"
)
_UNIT = re.compile(r"[月日年歳才円個人回枚本時分秒点位番号冊匹頭台階%％]")
_BEFORE_UNIT = re.compile(r"(?:[はがに、,:=(第約\d〜~年月日時]|^)$")
_DOUBT_ASIDE = re.compile(r"[一-鿿々ァ-ヺー\d]$")
_KA = re.compile(rf"[かカ]{_TAIL}$")
_OTHER_PARTICLE = re.compile(
    rf"(?:か(?P<kana>な[ぁあーアァ]*|ね[ぇえーェエ]*|い|しら)|(?P<kke>っけ)|(?P<dai>だい)){_TAIL}$"
)
_SOFTENED = re.compile(
    r"(?:では|じゃ)(?:ない(?:の?でしょう|の?だろう|です)?|ありません(?:でしょう)?)か$|(?:では|じゃ)なかろうか$"
)
_NO_QUESTION = re.compile(
    r"(?:か(?:どう|否|いな)"
    r"|(?<!こ)と|せい|ため|から|おかげ|加減|ばかり|どころ|なん(?:だ|と)|何(?:だ|と)|どうだ|どうに|という|といおう|というべき"
    r"|[ものん]のか(?<=もの)|もん|[てで]たまる|知る|そういうこと|こういうこと|よう(?:では|じゃ)ない"
    r"|^(?:ああ、?|へえ、?|あっ、?|なるほど、?)?そ(?:う|っ|うです|うでした))か$"
)
_EXCLAMATION = re.compile(
    r"(?:どんなに|どれほど|どれだけ|いかに|なんと|何と|なんて|幾度|何[度回]|どんな).*ことか$|(?:かった|[いた])ことか$"
)
_INDEFINITE = re.compile(r"(?:何|なに|誰|だれ|どこ|いつ|どれ|どちら|どっち|なぜ|いく[つら]|[何幾]\w)か$")
_ASKED_INDEFINITE = re.compile(
    r"(?:は|とは|って)(?:、|いったい|一体)?(?:何|なに|誰|だれ|どこ|いつ|どれ|どちら|どっち|なぜ|いく[つら]|[何幾]\w)か$"
)
_PLAIN_POLITE = re.compile(rf"{_POLITE}か$|{_POLITE}カ$")
_POLITE_INSIDE = re.compile(
    r"(?:です|ます|ません|でした|ました|でしょう|ましょう)か"
    r"(?:(?=はい|いいえ)|(?=、(?!と|って|が|は|など|の))|(?![らもなねよいはがをにでとっのわしどや、,\s]|否|$))"
)


def find_questions(text: str) -> list[Question]:
    """Finds the questions in a text, which should be a matching key.

    >>> [(q.kind.value, q.evidence) for q in find_questions("犬です。何歳ですか。")]
    [('direct', 'か at the end of the sentence (です/助動詞 か/助詞-終助詞)')]
    >>> find_questions("誰が描いたかは分かりません。")
    []
    """
    sentences = split_sentences(text)
    alone = _is_only_a_quotation(sentences)
    found: list[Question] = []
    for sentence in sentences:
        decided = _decide(sentence, text[sentence.end : sentence.end + 8])
        if decided is not None:
            kind, evidence = decided
            if sentence.quoted:
                kind = Kind.DIRECT if alone else Kind.QUOTED
            end = sentence.start + len(text[sentence.start : sentence.end].rstrip())
            found.append(Question(sentence.start, end, kind, evidence))
    return found


def _is_only_a_quotation(sentences: tuple[Sentence, ...]) -> bool:
    outer = [sentence.body for sentence in sentences if not sentence.quoted]
    return len(outer) == 1 and re.fullmatch(rf"[「『“\"]{QUOTED}+[」』”\"]", outer[0]) is not None


def _decide(sentence: Sentence, following: str) -> tuple[Kind, str] | None:
    body, marks = sentence.body, sentence.marks
    marker = _MARKER.search(body)
    if marker:
        return Kind.DIRECT, f"marker of a question turn ({marker.group().strip()})"
    if not _HAS_LETTER.search(body.replace(OPAQUE, "")):
        return None
    if any(mark in QUESTION_MARKS for mark in marks):
        return _decide_mark(sentence, following)
    if marks.rstrip() == marks and _REPORTED.match(following):
        return None
    return _decide_ending(sentence)


def _decide_mark(sentence: Sentence, following: str) -> tuple[Kind, str] | None:
    body, marks = sentence.body, sentence.marks
    mark = next(sign for sign in marks if sign in QUESTION_MARKS)
    spaced = marks[-1:].isspace()
    if body.endswith((":", "：")):
        return None
    if _UNIT.match(following) and not spaced and (_BEFORE_UNIT.search(body) or _UNIT.fullmatch(body)):
        return None
    if not spaced and re.match(r"[A-Za-z0-9=&]", following) and body[-1:].isascii():
        return None
    if sentence.aside and len(body) <= 12 and _DOUBT_ASIDE.search(body) and not open_interrogative(body, tag(body)):
        return None
    kind = Kind.SOFTENED if _SOFTENED.search(body) else Kind.DIRECT
    if not spaced and _REPORTED.match(following):
        kind = Kind.QUOTED
    last = tag(body[-20:])[-2:]
    return kind, f"{mark} ends the sentence ({_show(last)})"


def _decide_ending(sentence: Sentence) -> tuple[Kind, str] | None:
    body = sentence.body
    match = _KA.search(body)
    if match:
        return _decide_ka(body[: match.start() + 1], sentence)
    match = _OTHER_PARTICLE.search(body)
    if match:
        return _decide_particle(body[: match.end()], match)
    inside = _POLITE_INSIDE.search(body)
    if inside:
        return Kind.DIRECT, f"か after a polite form inside the sentence ({inside.group()})"
    if SCREEN.search(body):
        word = open_interrogative(body, tag(body))
        if word:
            return Kind.DIRECT, word
    return None


def _decide_ka(text: str, sentence: Sentence) -> tuple[Kind, str] | None:
    if _SOFTENED.search(text) and not re.search(r"よう(?:では|じゃ)ないか$|(?<![のん])じゃないか$", text):
        return Kind.SOFTENED, f"softened statement ({_show(tag(text[-20:])[-3:])})"
    if _NO_QUESTION.search(text) or _EXCLAMATION.search(text) or re.search(r"(?<!の)(?<!ん)じゃないか$", text):
        return None
    if _PLAIN_POLITE.search(text) or _ASKED_INDEFINITE.search(text):
        return Kind.DIRECT, f"か at the end of the sentence ({_show(tag(text[-20:])[-2:])})"
    if _INDEFINITE.search(text) or sentence.aside:
        return None
    morphemes = tag(text)
    if len(morphemes) < 2 or morphemes[-1].surface not in "かカ" or morphemes[-1].pos != "助詞":
        return None
    before = morphemes[-2]
    if before.pos in ("名詞", "代名詞", "接尾辞") and not any(
        m.surface in ("は", "が", "って", "も") and m.pos == "助詞" for m in morphemes[:-2]
    ):
        return None
    if before.pos in ("名詞", "代名詞") and any(m.surface == "か" and m.pos == "助詞" for m in morphemes[:-1]):
        return None
    return Kind.DIRECT, f"か at the end of the sentence ({_show(morphemes[-2:])})"


def _decide_particle(text: str, match: re.Match[str]) -> tuple[Kind, str] | None:
    morphemes = tag(text)
    last = morphemes[-1]
    if match.group("dai"):
        if last.surface == "い" and last.pos == "助詞" and open_interrogative(text, morphemes):
            return Kind.DIRECT, f"だい after an interrogative ({_show(morphemes[-2:])})"
        return None
    if match.group("kke") or match.group("kana") == "しら":
        is_particle = last.pos == "助詞"
    else:
        place = next((n for n in range(len(morphemes) - 1, -1, -1) if morphemes[n].surface == "か"), None)
        is_particle = (
            place is not None
            and place > 0
            and morphemes[place].pos == "助詞"
            and morphemes[place].start >= match.start()
            and morphemes[place - 1].surface not in ("もの", "もん")
        )
    return (Kind.DIRECT, f"final particle of a question ({_show(morphemes[-3:])})") if is_particle else None


def _show(morphemes: list[Morpheme]) -> str:
    return " ".join(str(morpheme) for morpheme in morphemes if morpheme.surface[0] not in QUOTED + ASIDE + OPAQUE)


def sentences_with_questions(text: str) -> Iterator[str]:
    """Yields the sentences that are questions, for a look at what the detector does."""
    for question in find_questions(text):
        yield text[question.start : question.end]
