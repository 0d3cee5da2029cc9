"""`datagen jicvqa distractors`."""

from collections import Counter
from pathlib import Path

from datagen.console import pasteable
from datagen.files.writing import write_text
from datagen.jicvqa.benchmark.labelled import Labels, read_labelled
from datagen.jicvqa.benchmark.placing import place_rows
from datagen.jicvqa.classes.lists import ClassLists, load_classes
from datagen.jicvqa.distractors import document as distractors_file
from datagen.jicvqa.distractors.document import Distractors, Method
from datagen.jicvqa.distractors.ranking import Ranking, RankingChoice, rank_classes
from datagen.jicvqa.models import ModelServer
from datagen.jicvqa.runs.places import CONSOLE, serving
from datagen.progress import counted


def make_distractors(
    out: Path,
    classes: Path | None,
    method: Method,
    counts: str | None,
    ranking: RankingChoice | None,
    server: ModelServer,
) -> None:
    """Rank (by names where no model is to rank), design, and write the distractors file."""
    lists = load_classes(classes)
    table_counts = _counts(counts, lists) if counts else None
    by_names = distractors_file.lexical_matrices(lists), distractors_file.lexical_ranker()
    # Also when a model is to rank: lists that have no design are found before a call is paid.
    made = distractors_file.make_distractors(lists, *by_names, method, table_counts)
    if ranking:
        with serving(server, out.parent) as served:
            journal = out.with_suffix(".answers.jsonl")
            ranked = rank_classes(lists, ranking, served, journal, counted, CONSOLE.print)
        made = distractors_file.make_distractors(
            lists, ranked.matrices, ranked.ranker, method, table_counts, ranked.both_true
        )
        _say_ranked(ranked, made)
    write_text(out, made.text())
    for name, part in made.subsets.items():
        CONSOLE.print(f"{name}: {len(part.subset.classes)} classes, {len(part.option_sets)} option sets")
    CONSOLE.print(f"Distractors ({method}, {made.ranker.kind}) are in {out}.")
    CONSOLE.print(f"Next: datagen jicvqa build --images TABLE --distractors {pasteable(out)} --out DIR")


def _say_ranked(ranked: Ranking, made: Distractors) -> None:
    """Say what the ranking took, and what in it did not go as it should."""
    CONSOLE.print(f"The ranking took {ranked.spent}.")
    for name, orders in ranked.outside.items():
        CONSOLE.print(
            f"{name}: {orders} of {made.ranker.orders} orders ended in a name outside the list; the rest counts"
        )
    pairs = [f"{first}/{second}" for own in ranked.both_true.values() for first, second in own]
    if pairs:
        shown = ", ".join(pairs[:8]) + (f" and {len(pairs) - 8} more" if len(pairs) > 8 else "")
        CONSOLE.print(f"Kept apart, as both can be right for one picture: {shown}.")


def _counts(table: str, lists: ClassLists) -> dict[str, Counter[str]]:
    """Count the classes of a table, by subset."""
    placed = place_rows(read_labelled(table, Labels("all")).rows, lists, table).rows
    return {name: Counter(row.category for row in placed.get(name, ())) for name in lists.subsets}
