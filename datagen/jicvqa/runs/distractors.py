"""`datagen jicvqa distractors`."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

from datagen.console import pasteable
from datagen.errors import DatagenError
from datagen.files.writing import digest_of, write_text
from datagen.jicvqa.benchmark.labelled import ImageRow, read_labelled
from datagen.jicvqa.benchmark.pictures import reader_of
from datagen.jicvqa.benchmark.placing import place_rows
from datagen.jicvqa.benchmark.splits import Labels
from datagen.jicvqa.classes.lists import ClassLists, lists_of_labels, load_classes
from datagen.jicvqa.classes.similarity import Matrix
from datagen.jicvqa.distractors import document as distractors_file
from datagen.jicvqa.distractors.document import Distractors, Method, Ranker
from datagen.jicvqa.distractors.looks import COLOURS_AND_SHAPES, similarity_of_pictures
from datagen.jicvqa.distractors.ranking import Ranking, RankingChoice, rank_classes
from datagen.jicvqa.distractors.similarity_file import read_similarity
from datagen.jicvqa.models import ModelServer, checked
from datagen.jicvqa.runs.places import CONSOLE, say_if_long, serving
from datagen.progress import counted

_PICTURES_A_CLASS = 50

RankerKind = Literal["lexical", "llm", "images", "file"]


class DistractorsChoice(NamedTuple):
    """What distractors are made from, and how.

    Attributes:
        method: of the design.
        kind: who ranks.
        classes: the file of class lists; the shipped ones by default.
        classes_from: a table whose labels are the classes.
        word: what the questions ask for, with `classes_from`.
        counts: a table to design for its class counts.
        ranking: how a language model is asked.
        images: the table whose pictures rank the classes.
        similarity: the file with similarities.
    """

    method: Method
    kind: RankerKind
    classes: Path | None = None
    classes_from: str | None = None
    word: str = ""
    counts: str | None = None
    ranking: RankingChoice = RankingChoice()
    images: str | None = None
    similarity: Path | None = None


def make_distractors(out: Path, choice: DistractorsChoice, server: ModelServer) -> None:
    """Rank (by names where nothing else is to rank), design, and write the distractors file.

    Raises:
        DatagenError: lists or tables are wrong, or a model fails.
    """
    lists = _lists_from(choice.classes_from, choice.word) if choice.classes_from else load_classes(choice.classes)
    table_counts = _counts(choice.counts, lists) if choice.counts else None
    say_if_long(lists)
    by_names = distractors_file.lexical_matrices(lists), distractors_file.lexical_ranker()
    # Also when something else is to rank: lists that have no design are found before a call is paid.
    made = distractors_file.make_distractors(lists, *by_names, choice.method, table_counts)
    if choice.kind == "llm":
        with serving(server, out.parent) as served:
            journal = out.with_suffix(".answers.jsonl")
            ranked = rank_classes(lists, choice.ranking, served, journal, counted, CONSOLE.print)
        made = distractors_file.make_distractors(
            lists, ranked.matrices, ranked.ranker, choice.method, table_counts, ranked.both_true
        )
        _say_ranked(ranked, made)
    elif choice.kind != "lexical":
        ranked_so = _by_pictures(lists, choice, server) if choice.kind == "images" else _by_file(lists, choice)
        made = distractors_file.make_distractors(lists, *ranked_so, choice.method, table_counts)
    write_text(out, made.text())
    for name, part in made.subsets.items():
        CONSOLE.print(f"{name}: {len(part.subset.classes)} classes, {len(part.option_sets)} option sets")
    CONSOLE.print(f"Distractors ({choice.method}, {made.ranker.kind}) are in {out}.")
    table = pasteable(Path(choice.classes_from)) if choice.classes_from else "TABLE"
    CONSOLE.print(f"Next: datagen jicvqa build --images {table} --distractors {pasteable(out)} --out DIR")


def _by_pictures(lists: ClassLists, choice: DistractorsChoice, server: ModelServer) -> tuple[dict[str, Matrix], Ranker]:
    """Rank by the pictures of a table, the first 50 of each class in an order that does not hang on the table's."""
    table = choice.images or choice.classes_from
    if not table:
        raise DatagenError("Name the table whose pictures are to be compared with --images.")
    labelled = read_labelled(table, Labels("all"))
    if not labelled.pictures:
        raise DatagenError(f"{table} has no column with pictures, paths or URLs; they cannot be compared.")
    read = reader_of(labelled, None)
    served = checked(server) if server.endpoints else None
    matrices = {}
    for name, rows in place_rows(labelled.rows, lists, table).rows.items():
        number_of = {own: number for number, own in enumerate(lists.subsets[name].names)}
        chosen = [row for own in _first_of_each(rows).values() for row in own]
        pictures = [(number_of[row.category], partial(read, row)) for row in chosen]
        matrices[name] = similarity_of_pictures(pictures, len(number_of), served, counted)
    if missing := lists.subsets.keys() - matrices.keys():
        raise DatagenError(
            f"{table} has no picture of {', '.join(sorted(missing))}; give the class lists of its pictures."
        )
    return matrices, Ranker(kind="images", model=served.model if served else COLOURS_AND_SHAPES)


def _first_of_each(rows: list[ImageRow]) -> dict[str, list[ImageRow]]:
    found: dict[str, list[ImageRow]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: digest_of(row.id.encode())):
        if len(found[row.category]) < _PICTURES_A_CLASS:
            found[row.category].append(row)
    return found


def _by_file(lists: ClassLists, choice: DistractorsChoice) -> tuple[dict[str, Matrix], Ranker]:
    if choice.similarity is None:
        raise DatagenError("Name the file with similarities with --similarity.")
    matrices = read_similarity(choice.similarity, lists)
    digest = digest_of(choice.similarity.read_bytes())[:16]
    return matrices, Ranker(kind="file", model=choice.similarity.name, prompt_digest=digest)


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


def _lists_from(table: str, word: str) -> ClassLists:
    """Return class lists of the labels of a table: one a subset that it names, and one for the rest."""
    counts: Mapping[str, Counter[str]] = defaultdict(Counter)
    rest = Path(table).stem or "images"
    for row in read_labelled(table, Labels("all")).rows:
        counts[row.subset or rest][row.category] += 1
    lists = lists_of_labels(counts)
    if not word:
        return lists
    named = {name: subset.model_copy(update={"word": word}) for name, subset in lists.subsets.items()}
    return lists.model_copy(update={"subsets": named})


def _counts(table: str, lists: ClassLists) -> dict[str, Counter[str]]:
    """Count the classes of a table, by subset."""
    placed = place_rows(read_labelled(table, Labels("all")).rows, lists, table).rows
    return {name: Counter(row.category for row in placed.get(name, ())) for name in lists.subsets}
