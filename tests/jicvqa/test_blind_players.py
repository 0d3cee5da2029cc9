"""Promise: on a build by `mutual` no blind player earns more than chance; on one by `nearest` they are found out."""

import random
from pathlib import Path

import numpy as np
import pytest

from datagen.jicvqa.audit.gates import Gates
from datagen.jicvqa.audit.players.combined import combined_player
from datagen.jicvqa.audit.players.fixed import fixed_players
from datagen.jicvqa.audit.players.learning import learning_players
from datagen.jicvqa.audit.scopes import OVERALL, Audit, audit
from datagen.jicvqa.audit.table import ceiling, credit, table_of
from datagen.jicvqa.benchmark.build import make_questions
from datagen.jicvqa.benchmark.placing import place_rows
from datagen.jicvqa.benchmark.questions import Question
from datagen.jicvqa.benchmark.stored import Benchmark
from datagen.jicvqa.classes.lists import load_classes
from datagen.jicvqa.classes.similarity import Matrix
from datagen.jicvqa.distractors.document import Method, Ranker, make_distractors
from datagen.jicvqa.shares import share_of
from tests.jicvqa.conftest import rows_of, uneven_counts

pytestmark = pytest.mark.slow


def vectors(seed: int) -> dict[str, Matrix]:
    """Return the similarity of random vectors, by subset, as a language model's ranking might be."""
    draw = np.random.default_rng(seed)
    matrices = {}
    for name, subset in load_classes().subsets.items():
        own = draw.normal(size=(len(subset.names), 8))
        own /= np.linalg.norm(own, axis=1, keepdims=True)
        matrices[name] = (own @ own.T + 1) / 2
        np.fill_diagonal(matrices[name], 0)
    return matrices


def audited(method: Method) -> Audit:
    """Audit a build of the real shape whose ranking the players know, with another similarity beside it."""
    distractors = make_distractors(load_classes(), vectors(1), Ranker(kind="llm", model="vectors"), method)
    questions, _ = make_questions(
        place_rows(rows_of(uneven_counts()), distractors.lists, "the table").rows, distractors, seed=3
    )
    assert len(questions) == 7654
    return audit(Benchmark(Path("build"), questions, distractors, None), Gates(), {"other": vectors(2)})


@pytest.fixture(scope="module")
def balanced() -> Audit:
    return audited("mutual")


def test_no_blind_player_beats_chance_on_a_balanced_build_overall_and_in_each_subset(balanced: Audit) -> None:
    assert len(balanced.scopes) == 5
    for scope in balanced.scopes.values():
        assert len(scope.players) >= 20
        for player, share in scope.players.items():
            share = share_of(share.value * share.questions, share.questions, 0.9999)  # a hundred players guess
            assert share.low <= 0.25 <= share.high, player
        assert scope.ceiling <= 0.25 + 4 / scope.questions
        assert scope.one_answer_sets == 0
        assert scope.position_p > 1e-4
        assert not scope.never_answer
        assert not scope.always_answer
    assert not balanced.names
    assert balanced.passed


def test_the_rule_of_the_paper_is_found_out_and_fails_the_gates() -> None:
    found = audited("nearest")
    players = found.scopes[OVERALL].players
    assert players["neighbourhood, ranker's ranking"].value > 0.8
    assert players["option-set memory"].value > 0.8
    assert players["all hints combined"].value > 0.8
    assert {verdict.gate for verdict in found.verdicts if not verdict.passed} >= {"blind_excess", "ceiling_excess"}


def question(number: int, choices: str, answer: str) -> Question:
    return Question(str(number), "s", "花", tuple(choices), answer)


def test_every_player_can_win() -> None:
    """A player that never earns anything would pass any benchmark."""
    always_second = [question(n, "あいうえ", "い") for n in range(40)]
    table = table_of(always_second)
    for player in ("position majority", "class prior", "answers per offer", "option-set memory"):
        assert credit(learning_players(table)[player], table.answers) == 40, player
    longest = [question(n, "あいうえ", "あ") for n in range(3)]
    widened = [Question(q.id, "s", "花", ("あああ", "い", "う", "え"), "あああ") for q in longest]
    table = table_of(widened)
    assert credit(fixed_players(table, {})["longest option"], table.answers) == 3


def test_the_ceiling_is_what_a_player_with_all_frequencies_earns() -> None:
    questions = [question(n, "あいうえ", "あ") for n in range(6)] + [
        question(6 + n, "えういあ", "う") for n in range(2)
    ]
    assert ceiling(table_of(questions)) == 6


def test_a_card_counter_is_reported_although_no_even_table_can_stop_it(balanced: Audit) -> None:
    told = balanced.scopes[OVERALL].told
    assert told["told four fifths, counts members"] > 0.3
    assert told["told each answer after its guess"] > 0.3
    assert told["told four fifths, counts cells"] < told["told four fifths, counts members"]


def test_learning_players_are_not_told_what_they_are_asked() -> None:
    """Among answers drawn at random there is nothing to learn, but much to remember by who has seen them."""
    draw = random.Random(0)
    letters = "あいうえおかきくけこ"
    asked = [draw.sample(letters, 4) for _ in range(400)]
    table = table_of([question(n, "".join(options), draw.choice(options)) for n, options in enumerate(asked)])
    players = learning_players(table) | {"combined": combined_player(table, {})}
    for name, scores in players.items():
        assert credit(scores, table.answers) / 400 < 0.33, name
