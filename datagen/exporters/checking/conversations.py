"""Faults of conversations: roles, texts, tags, and what a tokenizer takes for more than text."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from datagen.exporters.writing.conversation import TAG

ROLES = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}
_CONTROL = {
    "control_qwen": re.compile(
        r"<\|(?:im_start|im_end|endoftext|vision_start|vision_end|vision_pad|image_pad|video_pad|object_ref_start"
        r"|object_ref_end|box_start|box_end)\|>"
    ),
    "control_harmony": re.compile(r"<\|(?:start|end|channel|message|return|constrain|call)\|>"),
    "control_llama": re.compile(r"</?s>|<EOD\|LLM-jp>|<\|(?:begin_of_text|eot_id|start_header_id|end_header_id)\|>"),
    "control_vila_jp": re.compile(r"###\s*(?:指示|応答|入力)\s*[:：]"),
    "control_vicuna": re.compile(r"\b(?:USER|ASSISTANT):"),
    "control_internvl": re.compile(r"</?img>|<IMG_CONTEXT>"),
    "word_assistant": re.compile(r"(?<![A-Za-z])assistant(?![A-Za-z])"),
    "tag_of_media": re.compile(r"<(?:video|audio)>"),
    "character_bad": re.compile("[\x00\ud800-\udfff\ufffd]"),
}
_SCREEN = re.compile("[<#\x00\ud800-\udfff\ufffd]|assistant|ASSISTANT:|USER:")
_WITHOUT_SYSTEM = ("llava", "internvl", "finevision")
_READS_WORDS = ("llava", "messages", "sharegpt")


class Message(NamedTuple):
    """A message as a file has it.

    Attributes:
        role: as it is called there.
        text: without the pictures of blocks; anything that is no string is a fault.
        pictures: how many blocks of it are pictures.
    """

    role: object
    text: object
    pictures: int = 0


def faults_of(messages: Sequence[Message], pictures: int, shape: str) -> Iterator[tuple[str, str]]:
    """Yield the faults of a conversation, each with what stands there.

    Args:
        messages: in their order.
        pictures: how many the row has.
        shape: of the data; where texts stand for themselves (`messages`, `finevision`) they have no tags.

    >>> said = [Message("human", "何色？"), Message("gpt", "赤です。<|im_end|>")]
    >>> [fault for fault, _ in faults_of(said, 1, "llava")]
    ['control_qwen', 'tag_missing']
    """
    if not messages:
        yield "no_conversation", ""
        return
    roles = [ROLES.get(message.role) if isinstance(message.role, str) else None for message in messages]
    yield from _faults_of_roles(messages, roles, shape)
    for number, message in enumerate(messages):
        if not isinstance(message.text, str):
            yield "text_not_string", f"message {number}: {message.text!r}"
        elif not message.text.replace(TAG, "").strip():
            yield "text_empty", f"message {number}"
        elif _SCREEN.search(message.text):
            yield from _faults_of_text(number, message.text, shape)
    yield from _faults_of_tags(messages, roles, pictures, shape)


def _faults_of_roles(messages: Sequence[Message], roles: Sequence[str | None], shape: str) -> Iterator[tuple[str, str]]:
    if unknown := [repr(message.role) for message, role in zip(messages, roles, strict=True) if role is None]:
        yield "role_unknown", unknown[0]
        return
    turns = roles[1:] if roles[0] == "system" else roles
    if roles[0] == "system" and shape in _WITHOUT_SYSTEM:
        yield "system_not_taken", ""
    if "system" in turns:
        yield "system_not_first", f"message {list(roles).index('system', 1)}"
        return
    if not turns:
        yield "no_conversation", "a system message alone"
    elif turns[0] == "assistant":
        yield "starts_with_answer", ""
    elif same := [number for number, pair in enumerate(pairwise(turns)) if pair[0] == pair[1]]:
        yield "role_order", f"two of {turns[same[0]]} in a row"
    elif len(turns) % 2:
        yield "ends_with_question", ""


def _faults_of_text(number: int, text: str, shape: str) -> Iterator[tuple[str, str]]:
    for fault, pattern in _CONTROL.items():
        if (found := pattern.search(text)) and (fault != "word_assistant" or shape in _READS_WORDS):
            yield fault, f"message {number}: {found[0]!r}"


def _faults_of_tags(
    messages: Sequence[Message], roles: Sequence[str | None], pictures: int, shape: str
) -> Iterator[tuple[str, str]]:
    counts = [message.text.count(TAG) if isinstance(message.text, str) else 0 for message in messages]
    if shape in ("messages", "finevision"):
        if any(counts):
            yield "tag_in_blocks", f"message {next(number for number, count in enumerate(counts) if count)}"
        counts = [message.pictures for message in messages]
        if shape == "finevision":
            return
    wrong = [number for number, (count, role) in enumerate(zip(counts, roles, strict=True)) if count and role != "user"]
    if wrong:
        yield "tag_in_answer", f"message {wrong[0]}"
    elif sum(counts) < pictures:
        yield "tag_missing", f"{sum(counts)} for {pictures} pictures"
    elif sum(counts) > pictures:
        yield "tag_surplus", f"{sum(counts)} for {pictures} pictures"
    elif any(counts) and sum(counts) != counts[list(roles).index("user")]:
        yield "tag_not_first", ""
