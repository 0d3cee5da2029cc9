"""Rows to look at: a seeded draw for every rule, of kept rows, and for every class of failure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from datagen.inspection.evidence import Piece, pieces
from datagen.inspection.stored_rows import StoredRows
from datagen.pictures.thumbnails import stored_bytes, thumbnail

Findings = list[dict[str, Any]]
MOST_CARDS = 240
_A_RULE = 16
_KEPT = 32
_A_FAILURE = 4
_ORDER = ("dropped", "kept", "failed")
# Shards of a run are sorted by a hash, so that neighbours have nothing in common: to draw whole neighbourhoods is as
# good as to draw rows, and far fewer pictures have to be read.
_NEIGHBOURS = 256


@dataclass(frozen=True)
class ShownMessage:
    """One message with its evidence."""

    role: str
    pieces: tuple[Piece, ...]


@dataclass(frozen=True)
class Card:
    """One row, for a person to look at.

    Attributes:
        row: its number in the run.
        id: of the row.
        key: the picture's name in its source.
        state: kept, dropped or failed.
        rules: those that found something.
        caption: with its evidence.
        messages: with their evidence.
        findings: as they are stored.
        repairs: what was taken out, likewise.
        error: class and message of a failed row.
        pictures: data URLs.
        facts: what else is known, by name.
        shard: its path in the run, and `number` the row in it.
    """

    row: int
    id: str
    key: str
    state: str
    rules: tuple[str, ...]
    caption: tuple[Piece, ...]
    messages: tuple[ShownMessage, ...]
    findings: tuple[dict[str, Any], ...]
    repairs: tuple[dict[str, Any], ...]
    error: dict[str, str] | None
    pictures: tuple[str, ...]
    facts: dict[str, str]
    shard: str
    number: int


_DRAW = """
WITH each AS (
    SELECT row, unnest(rules) AS class, len(rules) = 1 AS alone, $a_rule // 2 AS most FROM rows WHERE state <> 'failed'
    UNION ALL SELECT row, '', true, $kept FROM rows WHERE state = 'kept'
    UNION ALL SELECT row, 'repaired', true, $a_rule FROM rows WHERE repaired
    UNION ALL SELECT row, failure, true, $a_failure FROM rows WHERE state = 'failed'
), placed AS (
    SELECT row, most, row_number() OVER (
        PARTITION BY class, alone ORDER BY md5(concat($seed, '/', row // $neighbours)), md5(concat($seed, '/', row))
    ) AS rank
    FROM each
)
SELECT DISTINCT row FROM placed WHERE rank <= most ORDER BY row
"""


def _all_findings(row: Mapping[str, Any]) -> Findings:
    return row["findings"] or []


def draw_rows(stored: StoredRows, seed: int = 0) -> list[int]:
    """Draw rows of every kind: half of a rule's rows are its alone, where there are enough.

    The same seed draws the same rows.
    """
    kinds = len(stored.rules) + len(stored.manifest["failures"])
    a_rule = max(2, min(_A_RULE, (MOST_CARDS - _KEPT) // max(kinds, 1)))
    settings = {
        "a_rule": a_rule,
        "kept": _KEPT,
        "a_failure": min(_A_FAILURE, a_rule),
        "seed": seed,
        "neighbours": _NEIGHBOURS if "recipe" in stored.manifest else 1,
    }
    return [row for (row,) in stored.ask(_DRAW, **settings)] if stored.files else []


def take_cards(
    stored: StoredRows, rows: Sequence[int], shown: Callable[[Mapping[str, Any]], Findings] = _all_findings
) -> list[Card]:
    """Return rows as cards: the dropped ones first, then kept and failed ones, in the order of the shards.

    Args:
        stored: the run.
        rows: the numbers of the rows.
        shown: returns the findings that the card of a row shows.
    """
    cards = [_card(row, shown(row), stored) for row in stored.take(rows, pictures=True)]
    return sorted(cards, key=lambda card: _ORDER.index(card.state))


def _card(row: Mapping[str, Any], findings: Findings, stored: StoredRows) -> Card:
    shard, number = stored.location(row["row"])

    def marked(text: str | None, message: int) -> tuple[Piece, ...]:
        return tuple(pieces(text or "", [finding for finding in findings if finding["message"] == message]))

    facts = {name: str(row[name]) for name in ("source", "license", "url") if row[name]}
    if row["pictures"]:
        facts["sha256"] = ", ".join(picture["sha256"] for picture in row["pictures"])
    facts |= {score["name"]: _score(score) for score in row["scores"] or ()}
    if row["calls"]:
        facts["calls"] = ", ".join(dict.fromkeys(f"{call['model']} · {call['prompt']}" for call in row["calls"]))
    return Card(
        row=row["row"],
        id=str(row["id"] or ""),
        key=row["key"] or "",
        state=row["state"],
        rules=tuple(sorted({finding["rule"] for finding in findings})),
        caption=marked(row["caption"], -1),
        messages=tuple(
            ShownMessage(message["role"], marked(message["content"], turn))
            for turn, message in enumerate(row["messages"])
        ),
        findings=tuple(findings),
        repairs=tuple(row["repairs"] or ()),
        error=row["error"],
        pictures=tuple(thumbnail(data) for image in row["images"] or () if image and (data := stored_bytes(image))),
        facts=facts,
        shard=str(shard.relative_to(stored.run)),
        number=number,
    )


def _score(score: Mapping[str, Any]) -> str:
    return f"{score['value']:g}" + (f" ({score['reason']})" if score["reason"] else "")
