"""Reading a model's answer: JSON first, and 「質問：…回答：…」 text for servers that do not hold to a schema."""

import re
from typing import Any, Literal, NamedTuple

import orjson

from datagen.failures import Failure

# A short label (問, 答, Q, A) begins a line or follows a sentence or space: 疑問：and U.S.A. are none.
_APART = r"(?<![^\s。．？！?!）」』*])"
_LABEL = re.compile(
    rf"\*{{0,3}}(?:(?P<question>質問|問い|{_APART}[問QＱ])|回答|解答|答え|{_APART}[答AＡ])"
    r"\s{0,3}[0-9０-９]{0,3}\s{0,3}\*{0,3}[：:．.]\*{0,3}"
)
_FENCE = "```"


class Turn(NamedTuple):
    """One question with its answer."""

    question: str
    answer: str


def read_caption(text: str) -> str:
    """Return the caption in an answer; text that is no JSON at all is the caption itself.

    >>> read_caption('{"caption": "桜が咲いています。"}')
    '桜が咲いています。'
    >>> read_caption("桜が咲いています。")
    '桜が咲いています。'

    Raises:
        Failure: `empty_answer` or `unparsable_answer`.
    """
    document = _json(text)
    if document is None and not text.lstrip().startswith(("{", "[", _FENCE)):
        return _filled(text)
    return _filled(_field(document, "caption", text))


def read_turns(text: str, reads_as: Literal["turn", "dialogue"]) -> list[Turn]:
    r"""Return the question-answer pairs in an answer, exactly one for `turn`.

    >>> read_turns('{"question": "何の花ですか？", "answer": "桜です。"}', "turn")
    [Turn(question='何の花ですか？', answer='桜です。')]
    >>> read_turns("質問：何の花ですか？\n回答：桜です。", "turn")
    [Turn(question='何の花ですか？', answer='桜です。')]

    Raises:
        Failure: `empty_answer` or `unparsable_answer`.
    """
    document = _json(text)
    if document is None:
        turns = [Turn(_filled(question), _filled(answer)) for question, answer in _labelled_pairs(text)]
        if not turns or (reads_as == "turn" and len(turns) > 1):
            raise _unparsable(text)
        return turns
    pairs = [document] if reads_as == "turn" else document.get("turns") if isinstance(document, dict) else None
    if not isinstance(pairs, list) or not pairs:
        raise _unparsable(text)
    return [Turn(_filled(_field(pair, "question", text)), _filled(_field(pair, "answer", text))) for pair in pairs]


def _labelled_pairs(text: str) -> list[tuple[str, str]]:
    """Return the texts after the labels, question and answer in turn; a question without an answer is left out."""
    labels: list[re.Match[str]] = []
    for label in _LABEL.finditer(text):
        question_is_next = len(labels) % 2 == 0
        if bool(label["question"]) == question_is_next:
            labels.append(label)
    ends = [*(label.start() for label in labels[1:]), len(text)]
    texts = [text[label.end() : end] for label, end in zip(labels, ends, strict=False)]
    return list(zip(texts[::2], texts[1::2], strict=False))


def _json(text: str) -> Any:
    text = text.strip()
    if len(text) > 2 * len(_FENCE) and text.startswith(_FENCE) and text.endswith(_FENCE):
        text = text.removeprefix(_FENCE).removesuffix(_FENCE).removeprefix("json")
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _field(document: object, name: str, text: str) -> str:
    value = document.get(name) if isinstance(document, dict) else None
    if not isinstance(value, str):
        raise _unparsable(text)
    return value


def _filled(text: str) -> str:
    stripped = text.strip()
    if not stripped:
        raise Failure("empty_answer", "the answer has no text")
    return stripped


def _unparsable(text: str) -> Failure:
    return Failure("unparsable_answer", f"neither the JSON that was asked for nor 「質問：…回答：…」: {text[:200]!r}")
