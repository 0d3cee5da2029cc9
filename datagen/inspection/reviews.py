"""Sheets for people who check what a rule found: a CSV file, and a page on which the same sheet is marked by keys."""

import csv
import hashlib
import io
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from datagen.errors import DatagenError
from datagen.files.writing import write_text
from datagen.inspection import labels
from datagen.inspection.marks import COLUMNS, REVIEWS, guarded, id_cell, read_marks
from datagen.inspection.page import PAGES
from datagen.inspection.samples import Card, Findings, take_cards
from datagen.inspection.stored_rows import StoredRows
from datagen.pages import write_page
from filters.errors import nearest


@dataclass(frozen=True)
class Sheet:
    """A sheet that was written.

    Attributes:
        csv: the file for a spreadsheet; `page` for a browser.
        rule: whose hits it has.
        hits: rows in which the rule found something, in all.
        drawn: how many of them are in the sheet.
    """

    csv: Path
    page: Path
    rule: str
    hits: int
    drawn: int


# One hit is one row. Rows with the same task, model, prompt and turn stand together, and every n-th is drawn: each
# stratum gets its share, and the precision of the sample needs no weights.
_HITS = """
WITH first AS (
    SELECT row, arg_min(struct_pack(model, prompt, digest), message) AS call, arg_min(turn, message) AS turn
    FROM found WHERE rule = $rule AND state <> 'failed' GROUP BY row
)
SELECT row,
    concat_ws(' · ', task, call.model, call.prompt,
        if(first.turn IN ('caption', 'system', 'row'), first.turn, 'turn ' || first.turn))
FROM first JOIN rows USING (row) ORDER BY 2, md5(concat($seed, '/', row))
"""


def write_sheet(run: Path, rule: str, count: int, seed: int, folder: Path | None = None) -> Sheet:
    """Draw hits of a rule and write the sheet.

    Args:
        run: a run, or what `datagen filter` wrote.
        rule: whose hits are to be checked.
        count: how many.
        seed: of the draw.
        folder: where the two files go; the run's folder `reviews/` if not given.

    Raises:
        DatagenError: the rule found nothing, or the sheet is there and has marks.
    """
    with StoredRows(run) as stored:
        hits = stored.summed().ask(_HITS, rule=rule, seed=seed)
        if not hits:
            known = [name for (name,) in stored.ask("SELECT DISTINCT rule FROM found")]
            raise DatagenError(f"{run} has no hit of the rule '{rule}': {nearest(rule, known)}.")
        drawn = systematic(hits, count, seed)
        strata = dict(drawn)
        cards = {card.row: card for card in take_cards(stored, list(strata), partial(_findings_of, rule))}
    order = random.Random(f"{seed}/order").sample(sorted(cards), len(cards))
    folder = folder or run / REVIEWS
    name = f"{re.sub(r'[^A-Za-z0-9_.-]', '_', rule)}-{count}-{seed}"
    sheet = Sheet(folder / f"{name}.csv", folder / f"{name}.html", rule, len(hits), len(cards))
    if sheet.csv.exists() and read_marks(sheet.csv):
        raise DatagenError(
            f"{sheet.csv} has marks, which a new sheet would throw away; move it, or use another --seed."
        )
    lines = [_line(cards[row], rule, strata[row]) for row in order]
    folder.mkdir(parents=True, exist_ok=True)
    text = io.StringIO(newline="")
    csv.writer(text).writerows([COLUMNS, *lines])
    write_text(sheet.csv, "\ufeff" + text.getvalue())  # by the mark spreadsheets know UTF-8
    digest = hashlib.sha256("\n".join(map("\t".join, lines)).encode()).hexdigest()[:16]
    page = PAGES.render(
        "review.html.jinja",
        ("common.js", "review.js"),
        task=stored.manifest["task"],
        sheet=sheet,
        cards=[cards[row] for row in order],
        purpose=labels.purpose_of(rule, stored.docstrings.get(rule, "")),
        document={"key": f"datagen.review.{digest}", "file": sheet.csv.name, "columns": COLUMNS, "lines": lines},
        colours={rule: 0},
        states=labels.STATES,
    )
    write_page(sheet.page, page)
    return sheet


def systematic(hits: Sequence[tuple[int, str]], count: int, seed: int) -> list[tuple[int, str]]:
    """Draw every n-th of the hits from a random start; all of them when there are no more than `count`.

    >>> [row for row, _ in systematic([(row, "") for row in range(10)], 5, seed=0)]
    [1, 3, 5, 7, 9]
    """
    if len(hits) <= count:
        return list(hits)
    start = random.Random(seed).random()
    return [hits[int((number + start) * len(hits) / count)] for number in range(count)]


def _findings_of(rule: str, row: Mapping[str, Any]) -> Findings:
    return [finding for finding in row["findings"] if finding["rule"] == rule]


def _line(card: Card, rule: str, stratum: str) -> list[str]:
    findings = card.findings
    turns = sorted({-2 if finding["message"] is None else finding["message"] for finding in findings})
    texts = {-1: card.caption, **{turn: message.pieces for turn, message in enumerate(card.messages)}}
    content = "\n".join("".join(piece.text for piece in texts.get(turn, ())) for turn in turns)
    found = " / ".join(finding["text"] for finding in findings)
    evidence = " / ".join(dict.fromkeys(finding["evidence"] for finding in findings))
    cells = (id_cell(card.id), rule, "", "", card.key, " ".join(map(str, turns)), found, evidence, content, stratum)
    return [guarded(cell) for cell in cells]
