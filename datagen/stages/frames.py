"""What models put around an answer: thinking, fences, talk before and after JSON."""

import json
import re
from typing import Any

import orjson

_THINKING = re.compile(r"[<◁](/?)(?:think|thinking|thought|reasoning)[>▷]", re.IGNORECASE)
_JSON_OPENS = re.compile(r"[{\[]\s*[\"'“”{\[]")
_JSON_KEY = re.compile(r"[\"“”]\w{1,20}[\"“”]\s*[:：]")
_FENCE = "```"
_LANGUAGE = re.compile(r"[\w+-]{0,20}[ \t]*(?:\n|\Z)")
_DECODER = json.JSONDecoder()


class BrokenFrameError(Exception):
    """A frame that was begun and not ended: a fence without its other end, JSON that breaks off."""


def without_thinking(text: str) -> str:
    r"""Return what was said after thinking; chat templates may have opened the block before the answer began.

    >>> without_thinking("<think>花だ。</think>\n桜です。"), without_thinking("花だ。</think>桜です。")
    ('桜です。', '桜です。')
    >>> without_thinking("<think>花だ。桜か、それとも")
    ''
    """
    text = text.strip()
    marks = list(_THINKING.finditer(text))
    if closed := [mark for mark in marks if mark[1]]:
        return text[closed[-1].end() :].strip()
    return "" if marks and marks[0].start() == 0 else text


def json_documents(text: str) -> list[Any] | None:
    r"""Return the JSON documents in a text, in order, and None when there is nothing of JSON in it.

    >>> json_documents('承知しました。```json\n{"a": 1}\n```')
    [{'a': 1}]
    >>> json_documents("桜です。") is None
    True

    Raises:
        BrokenFrameError: JSON begins, and does not end.
    """
    try:
        return [orjson.loads(text)]
    except orjson.JSONDecodeError:
        pass
    documents = []
    end = 0
    try:
        while opening := _JSON_OPENS.search(text, end):
            # The one says where a document ends, the other takes nothing that is no Unicode.
            _, end = _DECODER.raw_decode(text, opening.start())
            documents.append(orjson.loads(text[opening.start() : end]))
    except (ValueError, RecursionError) as error:
        raise BrokenFrameError("JSON that breaks off, or is none") from error
    if not documents and (text.lstrip().startswith(("{", "[")) or _JSON_KEY.search(text)):
        raise BrokenFrameError("something like JSON")
    return documents or None


def unfenced(text: str) -> str:
    r"""Return what a fence holds, or the text when it has none.

    >>> unfenced("こちらです。\n```text\n桜です。\n```")
    '桜です。'

    Raises:
        BrokenFrameError: a fence has no other end, or there are several.
    """
    parts = text.split(_FENCE)
    if len(parts) == 1:
        return text.strip()
    if len(parts) != 3:
        raise BrokenFrameError("not exactly one fence")
    language = _LANGUAGE.match(parts[1])
    return parts[1][language.end() if language else 0 :].strip()
