"""Promise: no question has two options of which one contains, spells or sounds like the other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagen.jicvqa.classes.lists import load_classes
from datagen.jicvqa.classes.names import conflict_of


@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [
        ("ラン", "スズラン", "nested"),
        ("エビ", "エビフライ", "nested"),
        ("カレー", "カツカレー", "nested"),
        ("そば", "焼きそば", "nested"),
        ("桜", "サクラ", "spelling"),
        ("つばき", "椿", "spelling"),
        ("キク", "菊", "spelling"),
        ("ｺﾝﾋﾞﾆ", "コンビニ", "same_name"),
        ("柿", "牡蠣", "same_reading"),
        ("ウニ", "雑煮", ""),
        ("牛丼", "うどん", ""),
        ("駅", "橋", ""),
    ],
)
def test_conflicts_are_seen_and_chance_syllables_are_not(first: str, second: str, kind: str) -> None:
    assert conflict_of(first, second) == conflict_of(second, first) == kind


def test_aliases_count_as_names() -> None:
    assert conflict_of("ひまわり", "向日葵の花束", first_forms=["向日葵"]) == "nested"
    assert conflict_of("じゃがいも", "ポテト", first_forms=["ポテト"]) == "alias"


def test_the_nested_names_of_the_real_lists_are_all_known() -> None:
    pairs = {
        frozenset((first, second))
        for subset in load_classes().subsets.values()
        for first, second, _ in subset.conflicts()
    }
    known = ["ラン スズラン", "豆腐 麻婆豆腐", "寿司 ちらし寿司", "寿司 いなり寿司", "エビ エビフライ", "エビ エビチリ"]
    known += ["そば 焼きそば", "カレー カツカレー"]
    assert pairs == {frozenset(pair.split()) for pair in known}


@given(st.text(max_size=12), st.text(max_size=12))
def test_any_text_is_judged_alike_in_both_directions(first: str, second: str) -> None:
    assert conflict_of(first, second) == conflict_of(second, first)
