"""Kinds of sentences that the question rule got wrong on real answers, each with ten sentences of its own."""

from collections import Counter

import pytest
from golden_set import judge, read

ROWS = read("kinds")
OPEN = {"inside_word": 1, "word_named": 1, "verse": 3, "echo_start": 4}
"""How many sentences of a kind are still judged wrongly; see docs/rules.md."""


def test_there_are_ten_sentences_of_every_kind():
    assert set(Counter(row.category for row in ROWS).values()) == {10}


@pytest.mark.parametrize("kind", sorted({row.category for row in ROWS}))
def test_a_kind_is_judged_rightly_but_for_what_is_named_as_open(kind):
    wrong = [row.text for row, said in judge([row for row in ROWS if row.category == kind]) if said != row.asks]
    assert len(wrong) <= OPEN.get(kind, 0), wrong
