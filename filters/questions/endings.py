"""Sentence-final particles that ask, and the many things that only look like them.

What an ending cannot mean is excluded first; polite forms with か are certain then; the rest is tagged, in its context,
because UniDic separates the particle from the ends of words (静か, すいか) well there.
"""

import re
from itertools import pairwise

from filters.questions.interrogatives import open_interrogative
from filters.questions.morphology import Morpheme, shown, tag

_POLITE = (
    r"(?:です|ます|ません|でした|ました|でしょう|ましょう|だろう|デス|マス|マセン|デシタ|マシタ|デショウ|マショウ)"
)
_STRETCH = r"(?:[ぁあァアっッ〜~]|ー)*"
_KA = re.compile(rf"[かカ]{_STRETCH}$")
_PARTICLE = re.compile(
    rf"(?:か(?P<after_ka>な[ぁあーアァ]*|ね[ぇえーェエ]*|い|しら(?:ね[ぇえー]?)?|のう?)|(?P<kke>っけ)|(?P<dai>だい)){_STRETCH}$"
)
_WORD = r"(?:何|なに|誰|だれ|どこ|いつ|どれ|どちら|どっち|いずれ|なぜ|いく[つら]|[何幾]\w)"
_ANY_WORD = re.compile(rf"{_WORD}|どう|どの|どんな|どなた")

# よう(では|じゃ)ない urges, じゃないか without の asserts; both stay out of the softened statements.
_SOFTENED = re.compile(
    r"(?<!よう)(?:(?<=[のん])じゃ|では)(?:ない(?:の?でしょう|の?だろう|の?です)?|ありません(?:でしょう)?)か$"
    r"|じゃ(?:ない(?:の?でしょう|の?だろう|です)|ありません(?:でしょう)?)か$"
    r"|(?:では|じゃ)なかろうか$"
)
_NEVER_ASKS = re.compile(
    r"(?:か(?:どう|否|いな)"
    r"|(?<!こ)と|せい|ため|から|おかげ|加減|ばかり|どころ|なん(?:だ|と)|何(?:だ|と)|どうだ|どうに|という|といおう|というべき"
    r"|(?:って|と)い(?:う|い|お)|(?:は|、)し|[てで]たまる|(?:^|、)知る|[そこ]ういうこと|じゃない|よう(?:では|じゃ)ない"
    r"|^(?:ああ、?|へえ、?|あっ、?|なるほど、?)?そ(?:う|っ|うです|うでした))か$"
)
_REALISED = re.compile(
    r"^(?:ああ|あー|ほう|ほほう|ほお|へえ|へー|おや|ふむ|なるほど|そうか|そうですか|やはり|やっぱり|とうとう|ついに|いよいよ|もう)"
    r"[、,]?[^はがを]+(?:(?<!ま)(?:です|でした)|(?<![すたるいうのせんくぬつぶむぐ]))か$|^(?:なるほど|そうか|ああ)、これ[はが][^、]*[^すたるいうのせん]か$"
)
_RHETORICAL = re.compile(r"(?<!ない)も[のん]か$")
_EXCLAIMS = re.compile(
    r"(?:どんなに|どれほど|どれだけ|いかに)[^は]*[たいるう]か$|"
    r"(?:どんなに|どれほど|どれだけ|いかに|なんと|何と|なんて|幾度|何[度回]|どんな|幾つ|いくつ).*ことか$|(?:かった|[いた])ことか$"
)
_ASKS_FOR = re.compile(_WORD)
_LONGEST_DOUBT = 12  # (父親だろうか), an aside of the writer
_INDEFINITE = re.compile(rf"{_WORD}か$")
_ASKED_WORD = re.compile(rf"(?:(?<!に)は|とは|って|正体が)(?:、|いったい|一体)?{_WORD}か$")
_CERTAIN = re.compile(rf"{_POLITE}[かカ]$|(?:[ただ]ら|[てで]は)どうか$|ないも[のん]か$|^(?:では、?|それは)?なぜか$")
_LISTED = re.compile(r"[^何誰こつれぜらちし]か[、\w]{1,10}か$")
_HEDGE = re.compile(r"おそらく|恐らく|たぶん|多分|きっと")
# Before a comma, でしょうか and だろうか insert a guess (祭りだろうか、人が多い); ですか and ますか ask there too.
_INSIDE = re.compile(
    r"(?:(?<!そう)です|ます|ません|でした|ました|ましょう)か(?=、(?!と|って|が|は|など|の|を|に|も))"
    rf"|{_POLITE}か(?:(?=はい|いいえ)|(?=\s+(?!と|って|どう))"
    r"|(?![らもなねよいはがをにでとっのわしどや、,\s]|否|$))"
    r"|のか\s+(?!と|って|どう)|の?か:\*{0,2}(?=\s|$)"
)


_EXCLAMATION = re.compile(r"^[^、]{0,8}(?:なんて|なんと|何て|何と)(?!い|言|読|書|呼|名)")
# What a poem ends in is no question: 静けさの心に染みる古寺かな.
_VERSE = re.compile(
    r"^(?:(?!は|も|って|が|誰|何|どこ).)*[のにをてへや](?:(?!は|も|って|が).)+[のにをてきる](?:(?!は|も|って|が).)*かな$|(?:ける|たる)かな$"
)
_NOUNS = ("名詞", "接尾辞", "動詞", "助動詞")
_FILLERS = ("と", "って", "っていう", "という")

_STATES = re.compile(r"^、.*(?:です|ます|ました|でした|ません|でしょう|ください|である|だ|た)$")
_KAI_INSIDE = re.compile(r"[るたいなうす]かい(?=、(?!と|って))")
# 覚えているかい、あの坂道を: what is asked stands first, and what it is asked of behind it.
_INVERTED = re.compile(
    r"(?P<asked>[^、]+?(?:(?P<ka>(?:[るたいなのうすん]|ます|です)か[いね]?|[るたいなのう]?かな|っけ)|の|んだよ?))、"
    r"(?P<of>(?:[このそあ][の]?[^、か]{1,12}[をはがにも]?|[^、か]{1,14}(?<!で)(?<!と)[をはが]|[^、か]{1,12}[一-鿿ァ-ヺー]|[^、か]{1,14}ことに))$"
)


def is_softened(text: str) -> bool:
    """Whether a sentence is a statement put as a question: …ではないでしょうか, …んじゃないか.

    >>> is_softened("秋ではないでしょうか"), is_softened("さあ行こうじゃないか"), is_softened("来ないのでしょうか")
    (True, False, False)
    """
    return _SOFTENED.search(text) is not None


def ending_asks(text: str, *, aside: bool = False) -> str | None:
    """Says whether a sentence without a question mark ends in a particle that asks.

    Args:
        text: The sentence without its marks.
        aside: Whether it stands in parentheses, where plain か is a reservation: (祭りの日か).

    Returns:
        The evidence, or None.
    """
    match = _KA.search(text)
    if match:
        return _ka_asks(text[: match.start() + 1], aside=aside)
    match = _PARTICLE.search(text)
    doubt = aside and len(text) <= _LONGEST_DOUBT and not _ASKS_FOR.search(text)
    return _particle_asks(text[: match.end()], match) if match and not doubt else None


def asks_inside(text: str) -> str | None:
    """Says whether a polite question runs on into the next sentence: どこですか京都です."""
    match = _INVERTED.search(text)
    if match and (match["ka"] or _ANY_WORD.search(match["asked"])):
        return f"{match['asked'][-8:]} is asked, and {match['of'][-8:]} is what it is asked of"
    match = _INSIDE.search(text) or _KAI_INSIDE.search(text)
    if match is None or (match.group() == "ですか" and _is_echo(text, match)):
        return None
    return f"{match.group().strip()} runs on into another sentence"


def _is_echo(text: str, match: re.Match[str]) -> bool:
    """Whether the words of the one who asked are only taken up: 屋根の色ですか、青です."""
    before, behind = text[: match.start()], text[match.end() :]
    return not _ASKS_FOR.search(before) and not re.search("[はが]", before) and _STATES.search(behind) is not None


def _ka_asks(text: str, *, aside: bool) -> str | None:
    if is_softened(text):
        return f"softened statement ({shown(tag(text[-20:])[-3:])})"
    if _NEVER_ASKS.search(text) or _EXCLAIMS.search(text) or (_REALISED.search(text) and not _ASKS_FOR.search(text)):
        return None
    if aside and len(text) <= _LONGEST_DOUBT and not _ASKS_FOR.search(text):
        return None
    if _CERTAIN.search(text) or _ASKED_WORD.search(text):
        return f"か ends the sentence ({shown(tag(text[-20:])[-2:])})"
    if _INDEFINITE.search(text) or aside:
        return None
    morphemes = tag(text)
    if len(morphemes) < 2 or not morphemes[-1].is_particle("か", "カ"):
        return None
    if _RHETORICAL.search(text) and not open_interrogative(text[:-1]):
        return None
    before = morphemes[-2]
    if before.pos == "副詞" and before.surface not in ("まだ", "もう", "そう", "こう"):
        return None
    if before.pos in ("名詞", "代名詞", "接尾辞") and not _noun_asks(text, morphemes[:-1]):
        return None
    return f"か ends the sentence ({shown(morphemes[-2:])})"


def _noun_asks(text: str, morphemes: list[Morpheme]) -> bool:
    """犬か and 賛成か反対か ask of a topic; おそらく犬か and 生か死か do not."""
    has_topic = any(morpheme.is_particle("は", "って") for morpheme in morphemes)
    is_alternative = _LISTED.search(text) is not None or any(
        word.pos == "名詞" and particle.is_particle("か") for word, particle in pairwise(morphemes)
    )
    return _HEDGE.search(text) is None and (has_topic or not is_alternative)


def _particle_asks(text: str, match: re.Match[str]) -> str | None:
    morphemes = tag(text)
    last = morphemes[-1]
    if match.group("dai"):
        asks = last.is_particle("い") and open_interrogative(text) is not None
    elif match.group("kke"):
        asks = last.pos == "助詞" and len(morphemes) > 1 and morphemes[-2].pos in ("助動詞", "動詞", "形容詞")
    elif (
        match.group("after_ka")
        and match.group("after_ka")[0] == "な"
        and _VERSE.search(text)
        and morphemes[-3:][0].pos in _NOUNS
    ) or (
        _EXCLAMATION.search(text)
        or re.search(r"(?:と|って)か[ねさ]", match.group())
        or text[: match.start()].endswith(_FILLERS)
    ):
        asks = False
    elif (match.group("after_ka") or "").startswith("の"):
        asks = open_interrogative(text[: match.start()] + "の") is not None
    elif (match.group("after_ka") or "").startswith("しら"):
        asks = last.pos == "助詞"
    else:
        index = next((n for n in range(len(morphemes) - 1, 0, -1) if morphemes[n].start == match.start()), 0)
        rhetorical = match.group("after_ka") == "い" and morphemes[index - 1].surface in ("もの", "もん")
        asks = index > 0 and morphemes[index].is_particle("か") and not rhetorical
    return f"{match.group()} ends the sentence ({shown(morphemes[-3:])})" if asks else None
