"""Finding questions in Japanese text.

Sentence by sentence: a marker of a message that leaked in, a question mark, a final particle, an interrogative that
nothing binds, a noun that is only named (お名前は。). Endings that leave no doubt are decided by expressions alone; one
that may as well be the end of a word, an indefinite or a clause goes to the tagger. docs/rules.md says what is decided
how.
"""

import re
from enum import Enum
from functools import lru_cache
from operator import attrgetter
from typing import NamedTuple

from filters.questions.endings import asks_inside, ending_asks, is_softened
from filters.questions.interrogatives import open_interrogative
from filters.questions.marks import is_spoken_of, mark_asks
from filters.questions.morphology import Morpheme, shown, tag
from filters.questions.sentences import ASIDE, OPAQUE, QUESTION_MARKS, QUOTED, Sentence, split_sentences
from filters.screens import screen


class Kind(Enum):
    """What sort of question it is, for policies to tell apart."""

    DIRECT = "direct"
    QUOTED = "quoted"
    SOFTENED = "softened"
    BARE = "bare"


class Question(NamedTuple):
    """A question: where it is, its sort, and the evidence."""

    start: int
    end: int
    kind: Kind
    evidence: str


_LETTERS = "ぁ-ゖァ-ヺ一-鿿々"
_END = rf"(?:[ぁあァアっッーー〜~笑草wｗ]|\s)*(?:[^{_LETTERS}0-9A-Za-z０-９、，,・]|$)"
# What binds an interrogative for certain, up to the end of the sentence or the next quotation.
_FREE = (
    r"(?![^。！？!?\n「」『』“”\"（）()]{0,60}"
    r"(?:[のるいたうんだ]か[はがをも、]|か(?:どうか|分か|わか|不明|知り|知ら|判断|判別|特定|推測|確認|読み取)|[てで]も))"
)
SCREEN = screen(
    {
        QUESTION_MARKS: "",
        "かカｶ": rf"(?:な[ぁあーアァ]*|ね[ぇえーェエ]*|い|しら(?:ね[ぇえー]?)?|のう?)?{_END}"
        r"|[いねな]、|(?<=のか)、|(?<=[^たく]ますか)、",
        "か": r"(?:(?<=すか)|(?<=せんか)|(?<=したか)|(?<=ょうか)|(?<=ろうか))"
        rf"(?:はい|、|(?![らもなねよいはがをにでとっのわしどやけ、]))|(?<=いか)[がなに]{_FREE}",
        "け": rf"(?<=っけ){_END}",
        "。｡": r"(?<=は.)",
        "は": r"\s*$",
        "つ": rf"(?<=いつ)(?![もつの]|か(?!ら)){_FREE}",
        "く": rf"(?<=いく)[つら](?![かもで]){_FREE}",
        "何": rf"(?![もら十百千]|か(?!ら)){_FREE}",
        "な": r"(?:に(?!も|か(?!ら))|ん(?:[のでだに人個時歳色度回年月日]|て[名言書読呼い]|という)"
        rf"|ぜ(?!か(?![。\s]|$)|な)){_FREE}",
        "誰幾": rf"(?!も|か(?!ら)){_FREE}",
        "だ": rf"い{_END}|れ(?![かもるたて]){_FREE}",
        "ど": rf"(?:こ|れ|の|ちら|っち|う|んな|なた)(?![もぞせ]|や(?!って)|か(?!ら)){_FREE}",
        "質設": "問",
        "QＱqｑ問": r"(?=[\s\d０-９*\]】]{0,8}[:：.．])|(?<=問)い|uestion",
        "ユ": "ーザ",
        "UuＵ": "ser|SER",
        "Hh": "uman|UMAN",
    },
    re.MULTILINE,
)
"""Finds something in every text that holds a question, and in few others; for original texts, not keys."""

_KANA_ONLY = re.compile(r"[ぁ-ゖァ-ヺー・]+")
_KANJI = re.compile(r"[一-鿿々]")
_LONGEST = 300  # No sentence is longer; of a run of text without any end, the end is what can ask.
_INTERROGATIVE = re.compile(r"何|なに|なん|誰|だれ|ど[これのちっうんな]|なぜ|いつ|いく[つら]|いか[がなに]")
_HAS_LETTER = re.compile(r"[^\W\d_]")
_MARKER = re.compile(
    r"(?:^|(?<=[\s#*「【\[]))(?:次の|追加の?)?(?:質問|設問|問い?|ユーザー?|Q|question|user|human)"
    r"\s{0,2}\d{0,3}(?:\*\*|】|\])?\s?:(?!と[書い])"
    r"|^[#*\s]*Q\d*(?:\.\s?(?=[^\x00-\x7f])|$)",
    re.IGNORECASE,
)
_WORDS = r"(?:いつ|どこ|だれ|誰|何|なに|なぜ|どう|いくつ|いくら|どれ|どちら|どのように)"
_WORD_EXPLAINED = re.compile(rf"\W*{_WORDS}\W*:")  # **いつ**: 時を表します
_WORDS_LISTED = re.compile(rf"(?:{_WORDS}[でがをはにと]?[、・]){{2,}}{_WORDS}|{_WORDS}[、・]{_WORDS}です$")
_OPENED = (("「", "」"), ("『", "』"), ("“", "”"))
_LABEL = re.compile(r"[-・•*+]\s+(?:ユーザ|user|human)", re.IGNORECASE)  # an item of a list: - ユーザー: admin
_DECORATION = re.compile(
    rf"(?:[\s*_」』”’\"'\])}}>]|(?<=か):|(?<=か\*\*):|(?<=か):(?=\*\*)|[(\[【]{ASIDE}*[)\]】]|笑|(?<=[ぁ-ん])w+|草)+$"
)
_MAY_GO_ON = re.compile(
    r"(?<!です)(?<!ます)(?<!でした)(?<!ました)(?<!ません)(?<!でしょう)(?<!ましょう)か$|[をがにはのでと]$"
)
_POINT = re.compile(
    r"(?<!の)(?<!何)(?<!誰)(?<!どこ)(?<!いつ)(?<!です)(?<!ます)(?<!でした)(?<!ました)(?<!ません)(?<!でしょう)(?<!ましょう)か$"
)
_ITEM = re.compile(r"[ \t]*(?:[-・•*●◦]|\(?\d+[.)、])\s*")
_NAMED_ONLY = re.compile(r"[^でに]は$")  # お名前は。
_NAMED_ALONE = re.compile(r"(?:の|^[おご])[^、の]{0,6}[^でに]は$|とは$")  # 花の名前は, with nothing behind it


def find_questions(text: str) -> list[Question]:
    """Finds the questions in a text, which should be a matching key.

    Where nothing but an interrogative, or a noun that is named, makes the question, it is `bare`: it seldom is one.

    >>> [(q.kind.value, q.evidence) for q in find_questions("犬です。何歳ですか。")]
    [('direct', 'か ends the sentence (です/助動詞 か/助詞-終助詞)')]
    >>> find_questions("誰が描いたかは分かりません。")
    []
    """
    return list(_found(text))


@lru_cache(maxsize=8192)  # several rules read the same messages of a batch
def _found(text: str) -> tuple[Question, ...]:
    sentences = split_sentences(text)
    found: list[Question] = []
    for sentence in sentences:
        if not sentence.marks.strip("。\n") and not SCREEN.search(sentence.body + sentence.marks[:1]):
            continue
        # Where full stops were used before, a last sentence without one may have been cut off by a token limit.
        unfinished = not sentence.marks and sentence.end == len(text) and "。" in text
        if _is_reading(text, sentence):
            continue
        decided = _decide(sentence, text[sentence.end : sentence.end + 8], unfinished=unfinished)
        if decided is not None and not _is_point_of_list(text, sentence):
            kind, evidence = decided
            if any(sentence.body.count(opener) > sentence.body.count(closer) for opener, closer in _OPENED):
                kind = Kind.QUOTED
            if sentence.quoted:
                kind = Kind.DIRECT if _is_only_a_quotation(sentences) else Kind.QUOTED
            end = sentence.start + len(text[sentence.start : sentence.end].rstrip())
            found.append(Question(sentence.start, end, kind, evidence))
    return tuple(_with_chains(text, sorted(found, key=attrgetter("start"))))  # quotations came after what is around


def _with_chains(text: str, found: list[Question]) -> list[Question]:
    """Takes questions right before one that the text goes on to speak of for spoken of as well: 夢か?現実か?と迷う."""
    for number in range(len(found) - 2, -1, -1):
        this, following = found[number], found[number + 1]
        adjoins = this.end <= following.start and not text[this.end : following.start].strip()
        if following.kind is Kind.QUOTED and this.kind is Kind.DIRECT and adjoins:
            found[number] = this._replace(kind=Kind.QUOTED)
    return found


def _is_only_a_quotation(sentences: tuple[Sentence, ...]) -> bool:
    outer = [sentence.body for sentence in sentences if not sentence.quoted]
    return len(outer) == 1 and re.fullmatch(rf"[「『“\"]{QUOTED}+[」』”\"]", outer[0]) is not None


def _decide(sentence: Sentence, following: str, *, unfinished: bool) -> tuple[Kind, str] | None:
    marker = _MARKER.search(sentence.body[:_LONGEST])
    if marker and (":" in marker.group() or "." in sentence.marks + marker.group()) and not _LABEL.match(sentence.body):
        return Kind.DIRECT, f"{marker.group().strip()} opens the message of a questioner"
    if not _HAS_LETTER.search(sentence.body.replace(OPAQUE, "")) or _WORD_EXPLAINED.match(sentence.body):
        return None
    text = _DECORATION.sub("", _joined(sentence.body[-_LONGEST:]))
    if any(mark in QUESTION_MARKS for mark in sentence.marks):
        evidence = mark_asks(sentence, following)
        if evidence and is_spoken_of(sentence, following):
            return Kind.QUOTED, evidence
    elif (sentence.marks and is_spoken_of(sentence, following)) or (unfinished and _may_go_on(text)):
        return None
    else:
        evidence = ending_asks(text, aside=sentence.aside) or asks_inside(text)
        if evidence is None:
            return _asks_without_particle(text, sentence, following)
    if evidence is None:
        return None
    return (Kind.SOFTENED if is_softened(text) else Kind.DIRECT), evidence


def _is_reading(text: str, sentence: Sentence) -> bool:
    """Whether it is the reading of the kanji before it: 柔道(じゅうどう)."""
    return (
        sentence.aside
        and _KANA_ONLY.fullmatch(sentence.body) is not None
        and _KANJI.fullmatch(text[sentence.start - 2 : sentence.start - 1]) is not None
    )


def _is_point_of_list(text: str, sentence: Sentence) -> bool:
    """Whether it is an item such as "- 影が長いか", which names a point to look at and asks nobody."""
    if sentence.marks.strip("。 \n\t") or not _POINT.search(_DECORATION.sub("", sentence.body)):
        return False
    return _ITEM.match(text, text.rfind("\n", 0, sentence.start) + 1) is not None


def _may_go_on(text: str) -> bool:
    """Whether more may have been meant to follow: …しているのか(もしれません), その紙には何(か)が."""
    return _MAY_GO_ON.search(text) is not None and not (text.endswith("か") and _INTERROGATIVE.search(text))


def _asks_without_particle(text: str, sentence: Sentence, following: str) -> tuple[Kind, str] | None:
    if _INTERROGATIVE.search(text):
        found = None if _WORDS_LISTED.search(text) else open_interrogative(text)
        if found is None:
            return None
        kind = Kind.SOFTENED if is_softened(text) else Kind.BARE if found.bare else Kind.DIRECT
        return kind, found.evidence
    if "\n" in sentence.marks and following:
        return None  # 面積は, and the formula on the next line
    if (_NAMED_ONLY if sentence.marks.startswith("。") else _NAMED_ALONE).search(text):
        morphemes = tag(text)
        if morphemes[-1].is_particle("は") and _last_content(morphemes[:-1]) == "名詞":
            return Kind.BARE, f"only names what it asks about ({shown(morphemes[-2:])})"
    return None


def _last_content(morphemes: list[Morpheme]) -> str:
    """The part of speech of the last morpheme, or of what stands before と: 量子計算とは."""
    if len(morphemes) > 1 and morphemes[-1].is_particle("と"):
        morphemes = morphemes[:-1]
    return morphemes[-1].pos if morphemes else ""


def _joined(text: str) -> str:
    """Takes the spaces out of text that was tokenised with spaces."""
    return text.replace(" ", "") if text.count(" ") * 4 > len(text) else text
