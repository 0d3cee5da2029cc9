"""Repairs of a conversation, and the way back: what was taken out, where, by which rule."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from filters.base import Finding
from filters.repairs import Taken
from filters.sample import CAPTION, Sample


class Repair(NamedTuple):
    """What was taken out of a conversation.

    Attributes:
        rule: That had objected.
        action: Of the policy: trim, drop_turn, or one of a user's own.
        message: Index into the messages as they were before any repair; -1 for the caption.
        start: Offset of what was taken in the content of that message, in code points.
        role: Of a message that went as a whole; empty where a piece of one went.
        text: What was taken.
    """

    rule: str
    action: str
    message: int
    start: int
    role: str
    text: str


def repair_of(findings: Sequence[Finding], action: str, taken: Taken, sample: Sample) -> Repair:
    """Returns the record of what is taken out of a sample; its rule is that of the first finding in it."""
    message = sample.caption if taken.message == CAPTION and sample.caption else sample.messages[taken.message]
    start = 0 if taken.whole else taken.start
    inside = (each.rule for each in findings if each.message == message.index and (taken.whole or each.end > start))
    rule = next(inside, findings[0].rule)
    return Repair(rule, action, message.index, start, message.role if taken.whole else "", message.content[start:])


def repaired(sample: Mapping[str, Any], repairs: Sequence[Repair]) -> dict[str, Any]:
    """Returns a sample without what the repairs take out; further fields stay.

    Scores of a message that goes keep their message, as -2 minus its index, and are judged by no bound.

    >>> said = {"messages": [{"role": "assistant", "content": "桜です。何か？"}]}
    >>> cut = Repair("question_in_answer", "trim", 0, 4, "", "何か？")
    >>> repaired(said, [cut])["messages"]
    [{'role': 'assistant', 'content': '桜です。'}]
    >>> restored(repaired(said, [cut]), [cut])["messages"] == said["messages"]
    True
    """
    gone = {repair.message for repair in repairs if repair.role}
    cuts = {repair.message: repair.start for repair in repairs if not repair.role}
    messages = [
        {**message, "content": message["content"][: cuts[index]]} if index in cuts else message
        for index, message in enumerate(sample["messages"])
        if index not in gone
    ]
    left = [index for index in range(len(sample["messages"])) if index not in gone]
    renumbered = {old: new for new, old in enumerate(left)} | {index: -2 - index for index in gone}
    mended = _with(sample, messages, renumbered)
    return {**mended, "caption": sample["caption"][: cuts[CAPTION]]} if CAPTION in cuts else mended


def beside_original(sample: Mapping[str, Any], repairs: Sequence[Repair]) -> dict[str, Any]:
    """Returns a repaired sample as rules read it: with the messages alone of its original that it still has."""
    gone = {repair.message for repair in repairs if repair.role}
    original = [message for index, message in enumerate(sample.get("original") or ()) if index not in gone]
    return {**repaired(sample, repairs), "original": original}


def restored(sample: Mapping[str, Any], repairs: Sequence[Repair]) -> dict[str, Any]:
    """Returns a sample as it was before its repairs."""
    gone = {repair.message: {"role": repair.role, "content": repair.text} for repair in repairs if repair.role}
    total = len(sample["messages"]) + len(gone)
    left = [index for index in range(total) if index not in gone]
    messages: list[Any] = [gone.get(index) for index in range(total)]
    for index, message in zip(left, sample["messages"], strict=True):
        messages[index] = message
    said: dict[str, Any] = {}
    for repair in repairs:
        if repair.message == CAPTION:
            said = {"caption": sample["caption"] + repair.text}
        elif not repair.role:
            message = messages[repair.message]
            messages[repair.message] = {**message, "content": message["content"] + repair.text}
    renumbered = dict(enumerate(left)) | {-2 - index: index for index in gone}
    return {**_with(sample, messages, renumbered), **said}


def _with(sample: Mapping[str, Any], messages: list[Any], renumbered: Mapping[int, int]) -> dict[str, Any]:
    """Returns a sample with other messages, its scores speaking of the same ones as before."""
    mended = {**sample, "messages": messages}
    if sample.get("scores"):
        mended["scores"] = [
            {**score, "message": renumbered.get(score.get("message"), score.get("message"))}
            for score in sample["scores"]
        ]
    return mended
