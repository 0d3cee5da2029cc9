"""Reading a model's answer: JSON first, and 「質問：…回答：…」 text for servers that do not hold to a schema.

What comes out is what was asked for, without the frame that models put around it; an answer that can be read in two
ways is not read at all, and is asked for again.
"""

import re
from collections.abc import Sequence
from typing import Any, Literal

from datagen.failures import Failure
from datagen.stages.frames import BrokenFrameError, json_documents, unfenced, without_thinking
from datagen.stages.sample import Turn
from filters.rules.refusal import Refusal
from filters.rules.repetition import Repetition
from filters.rules.template_tag import TemplateTag

_CAPTION, _QUESTION, _ANSWER = ("caption", "キャプション", "説明"), ("question", "質問"), ("answer", "回答", "答え")

_WORDS = "質問|問い|問|Question|[QＱ]|回答|解答|答え|答|Answer|[AＡ]"
_QUESTION_WORDS = frozenset({"質問", "問い", "問", "Question", "Q", "Ｑ"})
_DIGITS = "[0-9０-９]{1,3}"
_LABEL = re.compile(
    rf"(?P<bracket>[【\[［〈《<])?(?P<word>{_WORDS})[ \t]{{0,3}}[（(]?(?:{_DIGITS}|[①-⑳])?[)）]?[ \t]{{0,3}}\*{{0,3}}"
    r"(?:[：:．.]\*{0,3}|(?(bracket)[】\]］〉》>]\*{0,3}[：:]?|(?P<line>)[ \t]{0,3}(?=\n)))"
)
# A label opens a line or follows a sentence (疑問： and U.S.A. are none). What stands between the text before and the
# label, numbers, bullets, headings and rules, belongs to neither.
_OPENS = re.compile(
    r"(?P<end>\A|(?=\n)|[。．？！?!）」』])"
    rf"(?P<frame>(?:\n[ \t]*+{_DIGITS}(?![0-9０-９.])"
    rf"|[（(【\[]?(?:第?{_DIGITS}|[①-⑳])(?:[問組つ]目?)?[.．)）、:：】\]]"
    rf"|[①-⑳]|第?{_DIGITS}[問組つ]目?|[\s#>*・•●■◆=_|-])*+)\Z"
)
_LONGEST_FRAME = 80
_OWN_LABEL = re.compile(rf"\A\*{{0,3}}(?:質問|問い|回答|解答|答え)(?:{_DIGITS})?\*{{0,3}}[：:]\*{{0,3}}")
_PREFACE = re.compile(
    r"\A(?:(?:はい、)?(?:承知(?:いた)?しました|かしこまりました|了解(?:いた)?しました|わかりました|分かりました)[。！!、]\s*"
    r"|\*{0,3}(?:キャプション|(?:画像の)?説明文?|[Cc]aption)\*{0,3}[：:]\*{0,3}\s*)+"
)
_SENTENCE_END = re.compile(r"[。．！？!?\n]")
_REFUSAL = Refusal()
_BREAKS = (TemplateTag(), Repetition())
"""What in a caption no stage should build on; whatever else rules find in it, the policy decides."""

ONLY_THOUGHT = "the answer is thinking alone; raise max_tokens, or switch the model's thinking off"
"""How an answer without a text is told whose model spent its tokens on thinking."""


def read_caption(text: str) -> str:
    """Return the caption in an answer; text that has no frame at all is the caption itself.

    >>> read_caption('{"caption": "桜が咲いています。"}')
    '桜が咲いています。'
    >>> read_caption("承知しました。桜が咲いています。")
    '桜が咲いています。'

    Raises:
        Failure: `empty_answer`, `unparsable_answer`, `refused_caption` or `unusable_caption`.
    """
    said = _said(text)
    try:
        documents = json_documents(said)
        if documents is None:
            captions = [_PREFACE.sub("", unfenced(said))]
        else:
            found = (_field(document, _CAPTION) for document in documents)
            captions = list(dict.fromkeys(caption for caption in found if caption is not None))
    except BrokenFrameError as error:
        raise _unparsable(text) from error
    if len(captions) != 1:
        raise _unparsable(text)
    caption = _filled(captions[0])
    # What follows builds on it: the policy, which sees it at the end, would drop the dialogue as well.
    if refused := _REFUSAL.texts(_SENTENCE_END.split(caption, maxsplit=1)[0]):
        raise Failure("refused_caption", f"the caption is a refusal ({refused[0]}): {caption[:200]!r}")
    if broken := [found for rule in _BREAKS for found in rule.texts(caption)]:
        raise Failure("unusable_caption", f"the caption is broken ({broken[0][:80]}): {caption[:200]!r}")
    return caption


def read_turns(text: str, reads_as: Literal["turn", "dialogue"]) -> list[Turn]:
    r"""Return the question-answer pairs in an answer, exactly one for `turn`.

    >>> read_turns('{"question": "何の花ですか？", "answer": "桜です。"}', "turn")
    [Turn(question='何の花ですか？', answer='桜です。')]
    >>> read_turns("1. 質問：何の花ですか？\n 回答：桜です。\n2. 質問：", "turn")
    [Turn(question='何の花ですか？', answer='桜です。')]

    Raises:
        Failure: `empty_answer` or `unparsable_answer`.
    """
    said = _said(text)
    try:
        documents = json_documents(said)
        pairs = _labelled_pairs(unfenced(said)) if documents is None else _pairs(documents, reads_as)
    except BrokenFrameError as error:
        raise _unparsable(text) from error
    if not pairs or (reads_as == "turn" and len(pairs) > 1):
        raise _unparsable(text)
    return [Turn(_filled(question), _filled(answer)) for question, answer in pairs]


def documents_in(text: str) -> list[Any]:
    """Return the JSON documents in an answer; none where it is no JSON.

    >>> documents_in('採点します。{"score": 0.8, "reason": "色が合う"}')
    [{'score': 0.8, 'reason': '色が合う'}]

    Raises:
        Failure: `empty_answer` or `unparsable_answer`.
    """
    try:
        return json_documents(_said(text)) or []
    except BrokenFrameError as error:
        raise _unparsable(text) from error


def _pairs(documents: Sequence[Any], reads_as: Literal["turn", "dialogue"]) -> list[tuple[str, str]]:
    """Return the pairs of a list of turns, or of objects that are a pair each."""
    alone = [pair for document in documents if (pair := _pair(document)) is not None]
    if reads_as == "turn":
        return list(dict.fromkeys(alone))
    candidates = (document.get("turns") if isinstance(document, dict) else document for document in documents)
    lists = [turns for turns in candidates if isinstance(turns, list)]
    if not lists:
        return alone if len(alone) > 1 else []
    pairs = [_pair(turn) for turn in lists[0]]
    if len(lists) > 1 or alone or None in pairs:
        raise BrokenFrameError("not exactly one list of turns")
    return [pair for pair in pairs if pair is not None]


def _pair(document: object) -> tuple[str, str] | None:
    question, answer = _field(document, _QUESTION), _field(document, _ANSWER)
    if question is None or answer is None:
        return None
    return _OWN_LABEL.sub("", question.strip()), _OWN_LABEL.sub("", answer.strip())


def _labelled_pairs(text: str) -> list[tuple[str, str]]:
    """Return the texts after the labels; a last question without an answer is left out.

    Raises:
        BrokenFrameError: the labels are not question and answer in turn, or a text keeps a piece of another frame.
    """
    labels: list[re.Match[str]] = []
    ends: list[int] = []
    for label in _LABEL.finditer(text):
        start = labels[-1].end() if labels else 0
        before = _OPENS.search(text, max(start, label.start() - _LONGEST_FRAME), label.start())
        adjoins = label.start() == start
        if before is None and not adjoins:
            continue
        if label["line"] is not None and not (adjoins or before is None or _at_line(text, before)):
            continue
        if (label["word"] in _QUESTION_WORDS) != (len(labels) % 2 == 0):
            raise BrokenFrameError("labels that are not question and answer in turn")
        ends.append(before.end("end") if before else start)
        labels.append(label)
    if not labels:
        return []
    last = _OPENS.search(text, max(labels[-1].end(), len(text) - _LONGEST_FRAME))
    ends.append(last.end("end") if last else len(text))
    texts = [_unframed(text[label.end() : end]) for label, end in zip(labels, ends[1:], strict=True)]
    return list(zip(texts[::2], texts[1::2], strict=False))


def _at_line(text: str, before: re.Match[str]) -> bool:
    return "\n" in before["frame"] or before.end("end") == 0


def _unframed(text: str) -> str:
    """Return a text without the bold marks and the quotes around it.

    Raises:
        BrokenFrameError: it ends in punctuation that belongs to JSON, in half of a pair of quotes, or is nothing else.
    """
    text = text.strip()
    if text.count("**") % 2:
        text = text.removeprefix("**").removesuffix("**").strip()
    for opening, closing in ('""', "“”", "''"):
        if len(text) > 1 and text[0] == opening and text[-1] == closing and not {opening, closing} & set(text[1:-1]):
            text = text[1:-1].strip()
    half = text.count('"') % 2 and text.startswith('"') | text.endswith('"')
    unbalanced = any(text.count(pair[0]) != text.count(pair[1]) for pair in ("{}", "[]", "“”"))
    if half or unbalanced or text.endswith(",") or (text and _OPENS.match(text)):
        raise BrokenFrameError("a piece of another frame")
    return text


def _said(text: str) -> str:
    said = without_thinking(text)
    if not said and text.strip():
        raise Failure("empty_answer", ONLY_THOUGHT)
    return _filled(said)


def _field(document: object, names: Sequence[str]) -> str | None:
    """Return the text of the one field of these names."""
    values = [document[name] for name in names if name in document] if isinstance(document, dict) else []
    return values[0] if len(values) == 1 and isinstance(values[0], str) else None


def _filled(text: str) -> str:
    stripped = text.strip()
    if not stripped:
        raise Failure("empty_answer", "the answer has no text")
    return stripped


def _unparsable(text: str) -> Failure:
    return Failure("unparsable_answer", f"neither the JSON that was asked for nor 「質問：…回答：…」: {text[:200]!r}")
