"""The report and the difference for a terminal: the essentials in one screen."""

from collections import Counter
from collections.abc import Iterator
from operator import attrgetter

from rich.console import Console
from rich.table import Table
from rich.text import Text

from datagen.console import on_one_line, styled
from datagen.inspection.costs import Costs
from datagen.inspection.difference import Difference
from datagen.inspection.marks import UnusedMarks
from datagen.inspection.report import Report
from datagen.progress import duration

_BAR = 10
_EXAMPLES = 3
_MUCH = 0.1
_FEW = 20
_KINDS_SHOWN = 8
_COLOURS = {"kept": "green", "dropped": "yellow", "failed": "red"}


def print_report(report: Report, console: Console) -> None:
    """Print counts, rules, failures and tokens."""
    names = f"  policy {report.policy}  {report.run}"
    console.print(styled((on_one_line(report.task), "bold"), on_one_line(names)), soft_wrap=True)
    _print_counts(report, console)
    console.print(_rules(report))
    if quiet := [hits.rule for hits in report.rules if not hits.rows]:
        console.print(styled((f"No hits: {', '.join(quiet)}", "dim")), soft_wrap=True)
    if together := _together(report):
        console.print(f"Most often together: {together}", soft_wrap=True)
    for line in _saved(report):
        console.print(styled((on_one_line(line), "green")), soft_wrap=True)
    for line in unused_lines(report.unused_marks):
        console.print(styled((on_one_line(line), "red")), soft_wrap=True)
    for failure in report.failures:
        example = on_one_line(failure.examples[0][:90])
        console.print(styled(("failed", "red"), f", {failure.name}: {failure.rows:,}   ", (example, "dim")))
    for line in (*_mix(report), *_alike(report)):
        console.print(styled((on_one_line(line), "dim")), soft_wrap=True)
    if report.costs.answers:
        console.print(_cost_line(report.costs), soft_wrap=True)


def _alike(report: Report) -> Iterator[str]:
    """Yield what rows have in common, where it is much of them: a tenth, and more than a few texts."""
    for opening in report.openings:
        if opening.share >= _MUCH and opening.texts > _FEW:
            yield f"{opening.share:.0%} of the {opening.part}s begin with 「{opening.text}」 ({opening.texts:,})"
    for found in report.repeated:
        if found.share >= _MUCH and found.repeated > _FEW:
            told = f"「{found.example[:40]}」 {found.most:,} times"
            yield f"{found.share:.0%} of the {found.part}s are said more than once, {told}"


def _saved(report: Report) -> Iterator[str]:
    for found in report.saved:
        yield f"Saved by {found.action}: {found.saved:,} of {found.tried:,} rows that {found.rule} objected to"


def _mix(report: Report) -> Iterator[str]:
    """Yield the mix of kept rows, where there is one."""
    found = report.mix
    if len(found.purposes) > 1:
        purposes = ", ".join(f"{each.task} {each.kept:,} ({each.share:.1%})" for each in found.purposes)
        yield f"Kept by purpose: {purposes}"
    if found.questions:
        yield "Questions: " + ", ".join(f"{each.name} {each.share:.0%}" for each in found.questions[:_KINDS_SHOWN])
    if found.yes_share is not None and found.yes + found.no > _FEW:
        yield f"Yes or no: {found.yes_share:.0%} of {found.yes + found.no:,} answers say yes"
    if sum(texts for _, texts in found.numbers) > _FEW:
        yield "Numbers: " + ", ".join(f"{number} × {texts:,}" for number, texts in found.numbers[:_KINDS_SHOWN])


def unused_lines(unused: UnusedMarks) -> Iterator[str]:
    """Yield what there is to say of marks in review sheets that do not count."""
    if unused.gone:
        yield f"{unused.gone:,} marks in reviews/ are of hits that the present policy no longer makes."
    if unused.unknown:
        ids = ", ".join(f"'{row_id}'" for row_id in unused.examples)
        yield (
            f"{unused.unknown:,} marks in reviews/ have ids that no row has ({ids}). Their sheet is of another run, or "
            "a spreadsheet rewrote the ids as numbers or dates; datagen review writes a new sheet, whose ids stay."
        )


def _print_counts(report: Report, console: Console) -> None:
    counts = report.counts
    bar = Text()
    for state, colour in _COLOURS.items():
        bar.append("━" * round(60 * counts[state] / max(counts["inputs"], 1)), style=colour)
    console.print(bar)
    shares = Text("  ").join(
        styled((f"{counts[state]:,} {state}", colour), f" {counts[state] / max(counts['inputs'], 1):.1%}")
        for state, colour in _COLOURS.items()
    )
    console.print(Text.assemble(f"{counts['inputs']:,} inputs = ", shares))


def _rules(report: Report) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("rule", no_wrap=True)
    for name in ("rows", "rate", "only it", "decides"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("precision (95 %)" if report.precisions else "", no_wrap=True)
    most = max((hits.rows for hits in report.rules), default=0) or 1
    for hits in filter(attrgetter("rows"), report.rules):
        length = round(_BAR * hits.rows / most)
        alone = round(_BAR * hits.only / most)
        bar = Text("█" * alone + "▒" * (length - alone), style="yellow")
        table.add_row(
            f"{hits.rule}{' (flag)' if hits.action == 'flag' else ''}",
            f"{hits.rows:,}",
            f"{hits.rate:.2%}",
            f"{hits.only:,}",
            f"{hits.decided:,}",
            _precision(report, hits.rule) if report.precisions else bar,
        )
    return table


def _precision(report: Report, rule: str) -> str:
    found = report.precisions.get(rule)
    if found is None or found.precision is None:
        return ""
    low, high = found.interval
    return f"{found.precision:.0%} ({low:.0%}–{high:.0%}) n={found.true + found.false}"


def _together(report: Report) -> str:
    several = [combination for combination in report.overlap.combinations if len(combination.rules) > 1]
    return "; ".join(f"{' + '.join(combination.rules)} {combination.rows:,}" for combination in several[:3])


def _cost_line(costs: Costs) -> str:
    line = f"{costs.answers:,} answers, {costs.prompt_tokens:,} + {costs.completion_tokens:,} tokens"
    lost = sum(spent.completion_tokens for spent in costs.states if spent.name != "kept")
    if costs.completion_tokens:
        line += f", {lost / costs.completion_tokens:.0%} of what was written is in rows that were not kept"
    if costs.asked_again:
        line += f"; {costs.asked_again:,} asked again"
    if costs.making_seconds:
        line += (
            f"; {costs.made / costs.making_seconds:,.1f} images/s over {duration(costs.making_seconds)} "
            f"in {len(costs.sessions)} session{'s' if len(costs.sessions) > 1 else ''}"
        )
    return line


def print_difference(difference: Difference, console: Console) -> None:
    """Print what changes, by rule, with an example of each."""
    console.print(styled((on_one_line(f"{difference.before} → {difference.after}"), "bold")), soft_wrap=True)
    counted = styled(
        (f"{difference.newly_dropped:,} newly dropped", "yellow"),
        "  ",
        (f"{difference.newly_kept:,} newly kept", "green"),
        f"  {difference.unchanged:,} unchanged ({difference.other_rules:,} of them for other reasons than before)",
    )
    console.print(counted, soft_wrap=True)
    for found in difference.transitions:
        if found.before != found.after and {found.before, found.after} != {"kept", "dropped"}:
            console.print(f"{found.rows:,} {found.before} → {found.after}")
    if difference.rules:
        table = Table(box=None, header_style="bold", pad_edge=False)
        table.add_column("rule", no_wrap=True)
        for name in ("newly dropped", "only it", "newly kept", "was only it"):
            table.add_column(name, justify="right")
        for rule in difference.rules:
            numbers = (rule.newly_dropped, rule.newly_dropped_only, rule.newly_kept, rule.newly_kept_only)
            table.add_row(rule.rule, *(f"{number:,}" for number in numbers))
        console.print(table)
    shown = Counter[tuple[str, str]]()
    for example in difference.examples:
        shown[example.change, example.rule] += 1
        if shown[example.change, example.rule] > _EXAMPLES:
            continue
        sign = ("−", "yellow") if example.change == "newly_dropped" else ("+", "green")
        quoted = f"「{example.text[:80]}」 " if example.text else ""
        hit = on_one_line(f" {example.id[:8]} {example.rule} {quoted}")
        console.print(styled(sign, hit, (on_one_line(example.evidence[:80]), "dim")), soft_wrap=True)
