"""Kinds of sentences that the question rule got wrong on real answers have ten sentences each."""

from collections import Counter

from golden_set import read


def test_there_are_ten_sentences_of_every_kind():
    kinds = Counter(row.category for row in read("kinds"))
    kinds.update(row.category for row in read("open") if row.category in kinds)
    assert set(kinds.values()) == {10}
