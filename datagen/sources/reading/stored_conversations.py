"""What a stored row says: its id, its messages, and what keeps it from being judged."""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from filters.mending import Repair

NEEDED = "id and messages, or id, question and answer (in JSON also conversations of from and value)"
FAULT = "datagen.fault"
"""A column that says why a row could not be read; it is in no shard."""
_NAMES = {str: "text", list: "list", dict: "object", int: "number", float: "number", bool: "truth value"}


def has_conversations(names: Any) -> bool:
    """Whether the columns of a table, or the fields of an object, are those of a conversation.

    >>> has_conversations(["id", "question", "answer"]), has_conversations(["id", "text"])
    (True, False)
    """
    return "id" in names and ("messages" in names or {"question", "answer"} <= set(names))


def id_of(row: Mapping[str, Any]) -> str | None:
    """Return the id of a row as text, or nothing when it has none that is a text or a whole number.

    >>> id_of({"id": "0001"}), id_of({"id": 7}), id_of({"id": 7.0}), id_of({"id": ""})
    ('0001', '7', None, None)
    """
    value = row.get("id")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value else None


def messages_of(row: Mapping[str, Any]) -> Any:
    """Return the row's `messages`, or its `question` and `answer` as messages; an empty list if it has neither."""
    if row.get("messages"):
        return row["messages"]
    if not row.get("question") or not row.get("answer"):
        return []
    return [{"role": "user", "content": row["question"]}, {"role": "assistant", "content": row["answer"]}]


def scores_of(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the row's `scores`, as far as they are such: a column of another table may have that name."""
    scores = row.get("scores")
    if not isinstance(scores, list) or not all(isinstance(score, dict) for score in scores):
        return []
    return [
        score for score in scores if isinstance(score.get("name"), str) and isinstance(score.get("value"), int | float)
    ]


def repairs_of(row: Mapping[str, Any]) -> list[Repair]:
    """Return the row's `repairs`, as far as they are such: a column of another table may have that name."""
    repairs = row.get("repairs")
    if not isinstance(repairs, list) or not all(
        isinstance(repair, dict) and repair.keys() >= set(Repair._fields) for repair in repairs
    ):
        return []
    return [Repair(**{name: repair[name] for name in Repair._fields}) for repair in repairs]


def original_of(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the row's `original`, as far as it is a conversation: a column of another table may have that name."""
    original = row.get("original")
    if not isinstance(original, list) or _fault_of_original(original):
        return []
    return original


def _fault_of_original(original: list[Any]) -> str:
    return next(filter(None, (_fault_of_message(index, message) for index, message in enumerate(original))), "")


def sample_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what rules read of a row, which has no fault."""
    caption = row.get("caption")
    return {
        "id": id_of(row),
        "messages": messages_of(row),
        "caption": caption if isinstance(caption, str) else "",
        "scores": scores_of(row),
        "repairs": row.get("repairs"),
        "original": original_of(row),
    }


def fault_of(row: Mapping[str, Any]) -> str:
    """Return what keeps a row from being judged, or nothing.

    >>> fault_of({"id": "a", "messages": [{"from": "human", "value": "何色？"}]})
    'message 0 has from, value; needed are role and content'
    """
    if row.get(FAULT):
        return str(row[FAULT])
    if id_of(row) is None:
        return "the row has no id, or one that is neither a text nor a whole number"
    messages = messages_of(row)
    if not isinstance(messages, list):
        return f"messages is a {_kind(messages)}; needed is a list of messages with role and content"
    if not messages:
        return "the row has no messages, and no question with an answer"
    return next(filter(None, (_fault_of_message(index, message) for index, message in enumerate(messages))), "") or (
        _fault_of_roles([message["role"] for message in messages])
    )


def _fault_of_message(index: int, message: object) -> str:
    if not isinstance(message, dict):
        return f"message {index} is a {_kind(message)}; needed is one with role and content"
    if not {"role", "content"} <= message.keys():
        return f"message {index} has {shown_names(message)}; needed are role and content"
    for name in ("role", "content"):
        if not isinstance(message[name], str):
            return f"the {name} of message {index} is a {_kind(message[name])}; needed is a text"
        try:
            message[name].encode()
        except UnicodeEncodeError:
            return f"the {name} of message {index} is no valid Unicode"
    return ""


def _fault_of_roles(roles: list[str]) -> str:
    if "assistant" in roles:
        return ""
    return (
        f"no message has the role assistant, whose answers are judged; the roles are {shown_names(sorted(set(roles)))}"
    )


def _kind(value: object) -> str:
    return "null" if value is None else _NAMES.get(type(value), type(value).__name__)


def shown_names(names: Iterable[object]) -> str:
    """Return names for a message: the first dozen, in one line.

    >>> shown_names(["from", "value"]), shown_names([])
    ('from, value', 'no fields')
    """
    shown = ", ".join(" ".join(str(name).split()) for name in islice(names, 12))
    return shown[:200].encode("utf-8", "backslashreplace").decode() or "no fields"
