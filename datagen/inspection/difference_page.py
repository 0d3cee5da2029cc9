"""The difference between two policies or two runs as a page."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from datagen.inspection import labels
from datagen.inspection.difference import Change, Difference, Example
from datagen.inspection.page import COLOURS, PAGES
from datagen.inspection.samples import Card, take_cards
from datagen.inspection.stored_rows import StoredRows
from datagen.pages import write_page


def write_difference_page(difference: Difference, page: Path, before: Path, after: Path) -> None:
    """Write a difference as one HTML file, with cards of its examples.

    Args:
        difference: what to show.
        page: the file.
        before: the run in which the newly kept rows stand with what was found in them then.
        after: the run in which the newly dropped rows stand; the same, where the verdicts are of another policy.
    """
    cards = [*_cards(difference, "newly_dropped", after), *_cards(difference, "newly_kept", before)]
    text = PAGES.render(
        "difference.html.jinja",
        ("common.js", "report.js"),
        difference=difference,
        cards=cards,
        run=str(before),
        colours={change.rule: number % COLOURS for number, change in enumerate(difference.rules)},
        states={**labels.STATES, **labels.CHANGES},
    )
    write_page(page, text)


def _cards(difference: Difference, change: Change, run: Path) -> Iterator[Card]:
    examples: dict[str, list[Example]] = {}
    for example in difference.examples:
        if example.change == change:
            examples.setdefault(example.id, []).append(example)
    if not examples:
        return
    with StoredRows(run) as stored:
        rows = dict(stored.ask("SELECT row, id FROM stored WHERE id IN (SELECT unnest($ids))", ids=list(examples)))
        findings = {row: [example.finding for example in examples[row_id]] for row, row_id in rows.items()}
        for card in take_cards(stored, list(rows), lambda row: findings[row["row"]]):
            yield replace(card, state=change)
