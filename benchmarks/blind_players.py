"""What players without a picture earn on JIC-VQA tables of many shapes and seeds, also when they are told answers.

    python -m benchmarks.blind_players [--seeds 5]

One table has the real shape (7,654 rows, the shipped classes, uneven counts); the others have so many classes with so
many pictures each. Beside the build's own dealing stands the one that suggests itself, with the answers exactly even
over the four positions, which `even cells, solved` solves. Nothing is downloaded, no model is asked.
"""

import argparse
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from benchmarks.jicvqa import rows_of, uneven_counts
from datagen.jicvqa.audit.players.combined import combined_player
from datagen.jicvqa.audit.players.fixed import fixed_players
from datagen.jicvqa.audit.players.learning import learning_players
from datagen.jicvqa.audit.players.told import told_players
from datagen.jicvqa.audit.players.whole_table import whole_table_players
from datagen.jicvqa.audit.table import Table, credit, table_of
from datagen.jicvqa.benchmark.build import make_questions
from datagen.jicvqa.benchmark.placing import place_rows
from datagen.jicvqa.benchmark.questions import Question
from datagen.jicvqa.classes.lists import ClassLists, load_classes, parse_classes
from datagen.jicvqa.classes.similarity import lexical_similarity
from datagen.jicvqa.distractors.document import lexical_matrices, lexical_ranker, make_distractors
from datagen.jicvqa.shares import share_of

SHAPES = ((4, 8), (8, 8), (12, 20), (20, 10), (40, 4), (40, 20))


def built(lists: ClassLists, counts: dict[str, dict[str, int]], seed: int) -> list[Question]:
    """Build a table with so many pictures of each class."""
    distractors = make_distractors(lists, lexical_matrices(lists), lexical_ranker(), "mutual")
    rows = rows_of(counts, np.random.default_rng(seed))
    return make_questions(place_rows(rows, distractors.lists, "the table").rows, distractors, seed)[0]


def with_even_positions(questions: Sequence[Question], seed: int) -> list[Question]:
    """Deal the answers of every option set and member evenly over the four positions."""
    draw = random.Random(seed)
    cells = Counter((frozenset(question.choices), question.category) for question in questions)
    positions = {
        cell: draw.sample([number % 4 for number in range(count)], count) for cell, count in sorted_cells(cells)
    }
    dealt = []
    for question in questions:
        choices = draw.sample([choice for choice in question.choices if choice != question.category], 3)
        choices.insert(positions[frozenset(question.choices), question.category].pop(), question.category)
        dealt.append(replace(question, choices=tuple(choices)))
    return dealt


def sorted_cells(cells: Counter[tuple[frozenset[str], str]]) -> list[tuple[tuple[frozenset[str], str], int]]:
    """Return the cells in an order that is the same in every process."""
    return sorted(cells.items(), key=lambda item: (sorted(item[0][0]), item[0][1]))


def tables(questions: Sequence[Question]) -> Iterator[Table]:
    """List the subsets as tables."""
    for subset in dict.fromkeys(question.subset for question in questions):
        yield table_of([question for question in questions if question.subset == subset])


def players_of(table: Table) -> dict[str, float]:
    """Return the points of all players who are not told answers of this table, and those who learn by folds."""
    names = {"lexical": lexical_similarity(table.names)}
    players = {
        **fixed_players(table, names),
        **whole_table_players(table),
        **learning_players(table),
        "all hints combined": combined_player(table, names),
    }
    return {name: credit(scores, table.answers) for name, scores in players.items()}


def shapes(seeds: int) -> Iterator[tuple[str, list[list[Question]]]]:
    """List the shapes with a build for every seed."""
    lists = load_classes()
    real = [built(lists, uneven_counts(lists, np.random.default_rng(seed)), seed) for seed in range(seeds)]
    yield "real shape", real
    for classes, pictures in SHAPES:
        names = [chr(ord("一") + 37 * number) for number in range(classes)]
        own = parse_classes({"s": names}, "the lists")
        repeats = max(seeds, 4000 // (classes * pictures))
        yield (
            f"{classes} × {pictures}",
            [built(own, {"s": dict.fromkeys(names, pictures)}, seed) for seed in range(repeats)],
        )


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description="Blind players on tables of many shapes.")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    earned: dict[str, dict[str, float]] = defaultdict(dict)
    told: dict[str, dict[str, float]] = defaultdict(dict)
    asked: dict[str, int] = {}
    for shape, builds in shapes(options.seeds):
        asked[shape] = sum(map(len, builds))
        points: dict[str, float] = defaultdict(float)
        cards: dict[str, float] = defaultdict(float)
        for seed, questions in enumerate(builds):
            for table in tables(questions):
                for name, value in players_of(table).items():
                    points[name] += value
                for name, share in told_players(table).items():
                    cards[name] += share * len(table.answers)
            for table in tables(with_even_positions(questions, seed)):
                even = whole_table_players(table)["even cells, solved"]
                cards["even positions: even cells, solved"] += credit(even, table.answers)
                counted = told_players(table)["told four fifths, counts cells"]
                cards["even positions: told four fifths, counts cells"] += counted * len(table.answers)
        for name, value in points.items():
            earned[name][shape] = value
        for name, value in cards.items():
            told[name][shape] = value
    _print("Told nothing of this table, or other folds of it", earned, asked)
    _print("Told answers of this table; and where positions are exactly even", told, asked)


def _print(title: str, rows: dict[str, dict[str, float]], asked: dict[str, int]) -> None:
    print(f"\n## {title}\n\n| player | {' | '.join(asked)} |\n| --- |{' ---: |' * len(asked)}")
    print(f"| questions | {' | '.join(f'{count:,}' for count in asked.values())} |")
    allowing = 1 - 0.05 / (len(rows) * len(asked))
    for name, own in rows.items():
        shares = [share_of(own[shape], count, allowing) for shape, count in asked.items()]
        cells = [f"{share.value:.3f}{'' if share.low <= 0.25 <= share.high else ' *'}" for share in shares]
        print(f"| {name} | {' | '.join(cells)} |")
    print(f"\n`*`: 0.25 is outside the interval that allows for {len(rows) * len(asked)} players ({allowing:.3%})")


if __name__ == "__main__":
    main()
