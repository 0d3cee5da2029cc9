"""Taking what is wrong off the end of an answer."""

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from filters.questions.sentences import QUESTION_MARKS, split_sentences
from filters.repairs import RepairAction, Taken
from filters.sample import Message

if TYPE_CHECKING:
    from filters.base import Finding
    from filters.sample import Sample

_ENDS = re.compile(rf"[。．.！!）)」』\]】{re.escape(QUESTION_MARKS)}…♪☆★\U0001F300-\U0001FAFF]\Z|\n\Z")
_ACKNOWLEDGED = re.compile(
    r"(?:(?:はい|いいえ|ええ|うん|もちろん(?:です)?|承知(?:いた)?しました|承知です|かしこまりました|了解(?:です|(?:いた)?しました)"
    r"|[わ分]かりました|なるほど|そうですね|そうなんですね|ありがとうございます|どういたしまして|こんにちは|すみません|失礼しました"
    r"|申し訳(?:ありません|ございません)|ごめんなさい|(?:とても)?[い良]い(?:ご)?質問です(?:ね)?|素晴らしい(?:ご)?質問です(?:ね)?)"
    r"[、。！!．.\s]*)+"
)


class Trim(RepairAction):
    """Takes trailing sentences off an answer that stands without them: a question to the user, an offer, a request.

    Whole sentences go, and only from the end: what stands before them was written before them. An answer that would be
    empty, break off, or only acknowledge the question stays as it is.

    >>> from filters import load_policy
    >>> policy = load_policy({"rules": [{"rule": "question_in_answer", "action": "trim"}]})
    >>> def trimmed(answer):
    ...     verdict = policy.judge([{"messages": [{"role": "assistant", "content": answer}]}])[0]
    ...     return [repair.text for repair in verdict.repairs]
    >>> trimmed("桜の花です。ほかに知りたいことはありますか？")
    ['ほかに知りたいことはありますか？']
    >>> trimmed("何の花でしょうか？桜の花です。"), trimmed("わかりました。どの部分が気になりますか？")
    ([], [])
    """

    def propose(self, sample: "Sample", findings: "Sequence[Finding]") -> Iterator[Taken]:
        """Yields the cut of each answer that can be trimmed, of the caption too."""
        for message in (*((sample.caption,) if sample.caption else ()), *sample.answers):
            found = [finding for finding in findings if finding.message == message.index]
            cut = _cut(message, found) if found else None
            if cut is not None:
                yield Taken(message.index, cut)


def _cut(message: Message, findings: "Sequence[Finding]") -> int | None:
    """Returns the offset in the content from which the trailing sentences with findings go."""
    text = message.content
    cut = len(text)
    for sentence in reversed([each for each in split_sentences(text) if not each.quoted and not each.aside]):
        # A finding may begin before the sentence that it is about: some rules take in the words in front.
        if not any(sentence.start < finding.end <= sentence.end for finding in findings):
            break
        cut = sentence.start
    rest = text[:cut].rstrip(" \t\u3000")
    if cut == len(text) or any(finding.end <= cut for finding in findings):
        return None
    if not _ENDS.search(rest) or _ACKNOWLEDGED.fullmatch(rest.strip()):
        return None
    return len(text[:cut].rstrip())
