"""The report as a page."""

from pathlib import Path

import yaml

from datagen.inspection import labels
from datagen.inspection.page import COLOURS, PAGES
from datagen.inspection.report import Report, make_report
from datagen.inspection.samples import draw_rows, take_cards
from datagen.inspection.stored_rows import StoredRows
from datagen.pages import write_page


def write_report_page(run: Path, page: Path, seed: int = 0) -> Report:
    """Write the report of a run as one HTML file, and return it.

    Args:
        run: a run, or what `datagen filter` wrote.
        page: the file.
        seed: of the draw of samples.

    Raises:
        DatagenError: there is no finished run.
    """
    with StoredRows(run) as stored:
        report = make_report(stored.summed())
        cards = take_cards(stored, draw_rows(stored, seed))
        text = PAGES.render(
            "report.html.jinja",
            ("common.js", "report.js"),
            report=report,
            cards=cards,
            colours=colours_of(stored),
            purposes={
                hits.rule: labels.purpose_of(hits.rule, stored.docstrings.get(hits.rule, "")) for hits in report.rules
            },
            provenance=yaml.safe_dump(report.provenance, allow_unicode=True, sort_keys=False, width=100),
            states=labels.STATES,
            groups=labels.GROUPS,
            turns=labels.TURNS,
            distributions={found.name: labels.distribution(found.name) for found in report.distributions},
            scripts=labels.SCRIPTS,
            parts=labels.PARTS,
            questions=labels.QUESTIONS,
            actions=labels.ACTIONS,
        )
    write_page(page, text)
    return report


def colours_of(stored: StoredRows) -> dict[str, int]:
    """Return a colour for every rule that the policy or a finding names."""
    found = [rule for (rule,) in stored.ask("SELECT DISTINCT rule FROM found ORDER BY rule")]
    return {rule: number % COLOURS for number, rule in enumerate(dict.fromkeys([*stored.rules, *found]))}
