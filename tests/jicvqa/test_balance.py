"""Promise: within every option set each member is the answer equally often, for any class counts that allow it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datagen.jicvqa.classes.lists import load_classes
from datagen.jicvqa.classes.similarity import forbidden_pairs, lexical_similarity
from datagen.jicvqa.distractors.design import mutual_design, mutual_shares, nearest_design
from datagen.jicvqa.distractors.document import counts_of
from tests.jicvqa.conftest import uneven_counts

pytestmark = pytest.mark.slow

COUNTS = st.lists(st.integers(0, 15), min_size=4, max_size=9).filter(lambda own: sum(n > 0 for n in own) >= 4)


@given(COUNTS, st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_any_counts_are_met_exactly_and_the_ceiling_is_the_best_possible(own: list[int], seed: int) -> None:
    counts = np.array(own)
    similarity = np.random.default_rng(seed).random((len(own), len(own)))
    np.fill_diagonal(similarity, 0)
    design = mutual_design(similarity, np.zeros((len(own), len(own)), dtype=bool), counts)
    met = np.bincount(design.members.ravel(), weights=design.answers.ravel(), minlength=len(own))
    assert met.tolist() == own
    assert (np.diff(design.members, axis=1) > 0).all()
    # Every four questions of a balanced set have four answers, so that no table has a lower ceiling than one question
    # in four, and none in which one class has more than a quarter has a lower one than that class.
    lowest = max(-(-counts.sum() // 4), counts.max())
    assert design.ceiling * counts.sum() <= lowest + 3


def made_balanced(own: list[int]) -> list[int]:
    """Add classes until none has more than a quarter, and the sum is a multiple of four."""
    most, rest = max(own), max(4 * max(own) - sum(own), 0)
    own = own + [most] * (rest // most) + ([rest % most] if rest % most else [])
    return own + [1] * (-sum(own) % 4)


@given(COUNTS.map(made_balanced), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_counts_that_can_be_balanced_are_balanced(own: list[int], seed: int) -> None:
    similarity = np.random.default_rng(seed).random((len(own), len(own)))
    design = mutual_design(similarity, np.zeros((len(own), len(own)), dtype=bool), np.array(own))
    assert design.surplus == 0
    assert design.ceiling == 0.25


@pytest.mark.parametrize("subset", ["jaflower30", "jafood101", "jalandmark10", "jafacility20"])
def test_the_real_lists_are_balanced_without_nested_names(subset: str) -> None:
    classes = load_classes().subsets[subset]
    similarity, forbidden = lexical_similarity(classes.names), forbidden_pairs(classes)
    counts = counts_of(classes, uneven_counts()[subset])
    design = mutual_design(similarity, forbidden, counts)
    assert design.surplus == counts.sum() % 4
    assert design.similarity(similarity) >= 0.7 * nearest_design(similarity, counts).similarity(similarity)
    for first in range(4):
        for second in range(first):
            assert not forbidden[design.members[:, first], design.members[:, second]].any()


def test_a_class_with_more_than_a_quarter_leans_its_sets_and_no_more() -> None:
    counts = np.array([60, 10, 10, 10, 10, 10])
    design = mutual_design(np.ones((6, 6)), np.zeros((6, 6), dtype=bool), counts)
    assert design.ceiling * counts.sum() == pytest.approx(60)


def test_equal_counts_have_equal_shares_in_several_sets() -> None:
    classes = load_classes().subsets["jaflower30"]
    design = mutual_shares(lexical_similarity(classes.names), forbidden_pairs(classes))
    shares = np.bincount(design.members.ravel(), weights=design.answers.ravel())
    assert np.allclose(shares, 1)
    assert np.bincount(design.members.ravel()).min() >= 2


def test_nearest_is_the_rule_of_the_paper() -> None:
    similarity = np.array([[0, 9, 8, 7, 1], [9, 0, 1, 2, 3], [1, 2, 0, 3, 4], [4, 3, 2, 0, 1], [1, 2, 3, 4, 0]]) / 10
    design = nearest_design(similarity, np.array([5, 1, 1, 1, 1]))
    table = {tuple(row): own for row, own in zip(design.members.tolist(), design.answers.tolist(), strict=True)}
    assert table[0, 1, 2, 3] == [5, 0, 0, 1]
    assert table[0, 1, 3, 4] == [0, 1, 0, 0]
    assert table[1, 2, 3, 4] == [0, 1, 0, 1]
