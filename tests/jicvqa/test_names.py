"""Promise: no question has two options of which one contains, spells or sounds like the other."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagen.errors import DatagenError
from datagen.jicvqa.classes.lists import load_classes, parse_classes
from datagen.jicvqa.classes.names import conflict_of
from datagen.jicvqa.classes.similarity import forbidden_pairs
from datagen.jicvqa.distractors.design import mutual_design


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
        for first, second, kind in subset.conflicts()
        if kind != "apart"
    }
    known = ["ラン スズラン", "豆腐 麻婆豆腐", "寿司 ちらし寿司", "寿司 いなり寿司", "エビ エビフライ", "エビ エビチリ"]
    known += ["そば 焼きそば", "カレー カツカレー"]
    assert pairs == {frozenset(pair.split()) for pair in known}


@given(st.text(max_size=12), st.text(max_size=12))
def test_any_text_is_judged_alike_in_both_directions(first: str, second: str) -> None:
    assert conflict_of(first, second) == conflict_of(second, first)


@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [
        ("バイオリン", "ヴァイオリン", "same_name"),
        ("ヴェネツィア", "ベネツィア", "same_name"),
        ("ｳｸﾚﾚ", "ウクレレ", "same_name"),
        ("ヱビス", "エビス", "same_name"),
        ("スパゲッティ", "スパゲティ", "like_spelling"),
        ("ビル", "ビール", ""),
        ("カード", "カド", ""),
        ("いか", "いっか", ""),
    ],
)
def test_spellings_of_one_name_never_share_a_question(first: str, second: str, kind: str) -> None:
    assert conflict_of(first, second) == conflict_of(second, first) == kind


def test_names_that_are_to_stand_apart_never_share_a_question() -> None:
    names = ["パスタ", "デパート", "豆腐", "公園", "橋", "駅", "病院", "学校", "空港", "工場", "市場", "湖"]
    document = {"s": {"word": "もの", "classes": names, "apart": [["パスタ", "豆腐", "橋"], ["駅", "デパート"]]}}
    subset = parse_classes(document, "lists").subsets["s"]
    forbidden = forbidden_pairs(subset)
    design = mutual_design(np.ones((12, 12)), forbidden, np.full(12, 8))
    assert design.surplus == 0
    for row in design.members.tolist():
        shown = {names[member] for member in row}
        assert len(shown & {"パスタ", "豆腐", "橋"}) <= 1
        assert len(shown & {"駅", "デパート"}) <= 1


@pytest.mark.parametrize(
    ("apart", "says"),
    [
        ([["パスタ", "とうふ"]], "'とうふ' is no class of the list"),
        ([["パスタ"]], "a group needs two different names"),
    ],
)
def test_a_wrong_group_is_a_sentence(apart: list[list[str]], says: str) -> None:
    document = {"s": {"classes": ["パスタ", "豆腐", "橋", "駅"], "apart": apart}}
    with pytest.raises(DatagenError, match=says):
        parse_classes(document, "lists")


def test_the_shipped_lists_keep_apart_what_is_right_for_one_picture() -> None:
    pairs = {frozenset(pair[:2]) for subset in load_classes().subsets.values() for pair in subset.conflicts()}
    for pair in ("寿司 刺身", "豆腐 味噌汁", "とんかつ カツ丼", "駅 駐車場", "唐揚げ フライドチキン"):
        assert frozenset(pair.split()) in pairs


def test_labels_are_read_by_alias_reading_and_width() -> None:
    subset = load_classes().subsets["jaflower30"]
    assert [subset.class_of(label) for label in ("椿", "サクラ", "ﾊﾞﾗ", "薔薇 ", "さくらんぼ")] == [
        "つばき",
        "桜",
        "バラ",
        "バラ",
        None,
    ]
