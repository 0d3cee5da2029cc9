"""Promise: a question table tells nothing of its answers to who has no picture, whatever else of it they know."""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import permutations
from math import sqrt
from pathlib import Path

import numpy as np
import pytest

from benchmarks.blind_players import with_even_positions
from datagen.jicvqa.audit.players.whole_table import even_cells, whole_table_players
from datagen.jicvqa.audit.table import credit, table_of
from datagen.jicvqa.benchmark.arrangement import arrange, key_of_draws, place_of, secrecy
from datagen.jicvqa.benchmark.build import make_questions
from datagen.jicvqa.benchmark.labelled import ImageRow
from datagen.jicvqa.benchmark.placing import place_rows
from datagen.jicvqa.benchmark.questions import Question
from datagen.jicvqa.classes.lists import parse_classes
from datagen.jicvqa.distractors.design import Design, mutual_design
from datagen.jicvqa.distractors.document import lexical_matrices, lexical_ranker, make_distractors
from tests.jicvqa.conftest import command, rows_of, uneven_counts, write_csv

CHARACTERS = "山川田石火水木金土日月星雲雨雪風花草虫魚鳥犬馬牛羊米茶竹糸貝車門戸本字音声色手足"
SHAPES = ((4, 8), (8, 8), (12, 20), (40, 20))


def questions_of(classes: int, pictures: int, seed: int) -> list[Question]:
    """Build a table with so many classes and pictures a class."""
    lists = parse_classes({"s": list(CHARACTERS[:classes])}, "the lists")
    distractors = make_distractors(lists, lexical_matrices(lists), lexical_ranker(), "mutual")
    rows = rows_of({"s": dict.fromkeys(CHARACTERS[:classes], pictures)}, seed)
    return make_questions(place_rows(rows, distractors.lists, "the table").rows, distractors, seed)[0]


@pytest.mark.parametrize("shape", SHAPES)
def test_who_sees_the_whole_table_earns_one_quarter_on_tables_of_every_size(shape: tuple[int, int]) -> None:
    earned: Counter[str] = Counter()
    asked = 0
    for seed in range(2400 // (shape[0] * shape[1]) + 1):
        questions = questions_of(*shape, seed)
        table = table_of(questions)
        asked += len(questions)
        for player, scores in whole_table_players(table).items():
            earned[player] += credit(scores, table.answers)
    for player, points in earned.items():
        # Within a set answers are drawn without replacement, so that this is wider than the spread of the points.
        assert abs(points / asked - 0.25) < 4.5 * sqrt(3 / 16 / asked), player


@pytest.mark.parametrize(("shape", "least"), [((4, 8), 0.3), ((12, 20), 0.3), ((40, 20), 0.3)])
def test_exactly_even_positions_would_be_solved(shape: tuple[int, int], least: float) -> None:
    earned = asked = 0.0
    for seed in range(4):
        table = table_of(with_even_positions(questions_of(*shape, seed), seed))
        earned += credit(even_cells(table), table.answers)
        asked += len(table.answers)
    assert earned / asked > least


@pytest.mark.parametrize("sorted_by", ["id", "URL", "row"])
def test_ids_urls_or_rows_that_follow_the_classes_are_found_out(sorted_by: str) -> None:
    questions = sorted(questions_of(40, 20, 0), key=lambda question: question.category)
    if sorted_by == "id":
        questions = [replace(question, id=f"picture{number}") for number, question in enumerate(questions)]
        random.Random(0).shuffle(questions)
    if sorted_by == "URL":
        questions = [replace(q, url=f"https://example.org/{number}.jpg") for number, q in enumerate(questions)]
        random.Random(0).shuffle(questions)
    table = table_of(questions)
    player = f"options of the neighbouring {sorted_by}s"
    assert credit(whole_table_players(table)[player], table.answers) / len(questions) > 0.6


def test_names_in_ids_and_urls_are_found_out() -> None:
    questions = [
        replace(q, url=f"https://example.org/{q.category}/{n}.jpg") for n, q in enumerate(questions_of(4, 8, 0))
    ]
    table = table_of(questions)
    assert credit(whole_table_players(table)["named in the id or URL"], table.answers) == len(questions)


def tiny(labels: Sequence[str], seed: int) -> tuple[dict[str, tuple[str, ...]], str]:
    """Arrange eight images of four classes."""
    ids: dict[str, list[str]] = {name: [] for name in "甲乙丙丁"}
    for number, label in enumerate(labels):
        ids[label].append(str(number))
    key = key_of_draws(seed, ((str(number), label) for number, label in enumerate(labels)))
    design = Design(np.array([[0, 1, 2, 3]]), np.array([[float(len(own)) for own in ids.values()]]))
    return arrange(design, "甲乙丙丁", ids, key), key


def test_draws_cannot_be_repeated_by_who_has_the_program_the_seed_and_all_labels_but_two() -> None:
    counts = uneven_counts()["jalandmark10"]
    labels = {row.id: row.category for row in rows_of({"jalandmark10": counts})}
    names = list(counts)
    design = mutual_design(np.ones((10, 10)), np.zeros((10, 10), dtype=bool), np.array(list(counts.values())))

    def arranged(own: dict[str, str]) -> tuple[dict[str, tuple[str, ...]], str]:
        ids = {name: [image for image, label in own.items() if label == name] for name in names}
        key = key_of_draws(0, own.items())
        return arrange(design, names, ids, key), key

    true, key = arranged(labels)
    assert arranged(dict(reversed(labels.items()))) == (true, key)
    first, second = next((a, b) for a, b in zip(labels, list(labels)[1:], strict=False) if labels[a] != labels[b])
    guessed, other = arranged({**labels, first: labels[second], second: labels[first]})
    assert sum(true[image] == guessed[image] for image in labels) < 896 / 24  # no more than by chance
    order, other_order = (sorted(labels, key=lambda image, own=own: place_of(image, own)) for own in (key, other))
    assert sum(a == b for a, b in zip(order, other_order, strict=True)) < 10


def labelings(counts: dict[str, int]) -> Iterator[tuple[str, ...]]:
    yield from sorted(set(permutations([name for name, count in counts.items() for _ in range(count)])))


def test_a_table_of_few_bits_is_solved_by_who_tries_all_labels_and_the_build_says_so(tmp_path: Path) -> None:
    """The limit of the guarantee, which is why `build` counts the bits."""
    true = ("甲", "丙", "丁", "乙", "乙", "甲", "丁", "丙")
    seen, _ = tiny(true, 5)
    found = [guess for guess in labelings(dict.fromkeys("甲乙丙丁", 2)) if tiny(guess, 5)[0] == seen]
    assert found == [true]
    bits = secrecy((seen[str(number)], label) for number, label in enumerate(true))
    assert round(2**bits) == 2520
    lists, table = tmp_path / "c.json", tmp_path / "t.csv"
    lists.write_text('{"s": ["甲", "乙", "丙", "丁"]}', encoding="utf-8")
    rows = [ImageRow(number=number, id=str(number), category=label) for number, label in enumerate(true)]
    distractors = ("--without-pictures", "--distractors", tmp_path / "d.json")
    assert command("distractors", "--classes", lists, "--out", tmp_path / "d.json").code == 0
    outcome = command("build", "--images", write_csv(table, rows), *distractors, "--out", tmp_path / "b")
    assert "leaves only 11 bits of its labels open" in outcome.output


def test_two_tables_of_the_same_pictures_tell_on_each_other_and_compare_says_so(tmp_path: Path) -> None:
    lists = tmp_path / "c.json"
    lists.write_text(f'{{"s": {list(CHARACTERS[:20])}}}'.replace("'", '"'), encoding="utf-8")
    rows = rows_of({"s": dict.fromkeys(CHARACTERS[:20], 10)})
    table = write_csv(tmp_path / "t.csv", rows)
    assert command("distractors", "--classes", lists, "--out", tmp_path / "d.json").code == 0
    for seed in (1, 2):
        arguments = (
            "--without-pictures",
            "--distractors",
            tmp_path / "d.json",
            "--out",
            tmp_path / str(seed),
            "--seed",
            seed,
        )
        assert command("build", "--images", table, *arguments).code == 0
    outcome = command("compare", tmp_path / "1", tmp_path / "2", "--out", tmp_path / "c.json")
    assert "who has both tables is right" in outcome.output
