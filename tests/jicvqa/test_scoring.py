"""Promise: an answer counts when it names exactly one option; the official score stands beside the strict one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagen.jicvqa.evaluation.items import Item
from datagen.jicvqa.evaluation.results import results_markdown, summarise
from datagen.jicvqa.evaluation.scoring import OUTCOMES, Outcome, official, outcome_of, read_answer

CHOICES = ("ラン", "スズラン", "つばき", "寺・神社")


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ("スズラン", "correct"),
        ("「スズラン」", "correct"),
        ("この花はスズランです。", "correct"),
        ("正解はスズランです", "correct"),
        ("すずらん", "correct"),
        ("B", "correct"),
        ("b.", "correct"),
        ("(B)", "correct"),
        ("（Ｂ）", "correct"),
        ("答えはBです。", "correct"),
        ("回答: B", "correct"),
        ("B. スズラン", "correct"),
        ("B: スズラン", "correct"),
        ("ラン", "wrong"),
        ("ツバキ", "wrong"),
        ("A", "wrong"),
        ("寺・神社", "wrong"),
        ("", "none"),
        ("わかりません", "none"),
        ("椿の花", "none"),
        ("E", "none"),
        ("AB", "none"),
        ("['ラン', 'スズラン', 'つばき', '寺・神社']", "several"),
        ("ランかスズラン", "several"),
        ("A. スズランまたはつばき", "several"),
    ],
)
def test_answers_are_read_strictly(answer: str, outcome: Outcome) -> None:
    assert outcome_of(read_answer(answer, CHOICES), 1) == outcome


@pytest.mark.parametrize(
    "answer",
    [
        "**B**",
        "**B**.",
        "**答え：B**",
        "The answer is B.",
        "Answer: B",
        "The correct answer is (B).",
        "選択肢B",
        "選択肢Bです。",
        r"\boxed{B}",
        r"答えは $\boxed{\text{B}}$ です。",
        "答えは、B",
        "答えは「B」です。",
        "B\n花が鈴のように下を向いているからです。つばきではありません。",
        "B. スズラン\n理由: Aのランとは花の形が違います。",
        "写真には白い花が写っています。Aのランではありません。したがって、答えはBです。",
        "Bです",
        "B、スズランです。",
        "[B]",
        "スズラン（B）",
    ],
)
def test_letters_are_read_however_models_dress_them(answer: str) -> None:
    assert outcome_of(read_answer(answer, CHOICES), 1) == "correct"


@pytest.mark.parametrize("answer", ["A. スズラン", "B. ラン", "AまたはB", "A、B", "答えはA。いや、答えはB。"])
def test_a_letter_that_contradicts_its_text_names_several(answer: str) -> None:
    assert outcome_of(read_answer(answer, CHOICES), 1) == "several"


@pytest.mark.parametrize("answer", ["bridge", "Daisy", "cherry blossom", "a flower", "beautiful"])
def test_a_word_is_no_letter(answer: str) -> None:
    assert read_answer(answer, CHOICES).choice is None


def test_aliases_and_readings_of_a_class_count_as_its_name() -> None:
    forms = {"つばき": ("椿", "カメリア"), "スズラン": ("鈴蘭",)}
    assert read_answer("椿です", CHOICES, forms).choice == 2
    assert read_answer("鈴蘭", CHOICES, forms).choice == 1
    assert read_answer("椿と鈴蘭", CHOICES, forms).several
    assert read_answer("椿", CHOICES).choice is None


@pytest.mark.parametrize(
    ("text", "finish_reason", "outcome"),
    [
        ("", "stop", "empty"),
        ("  \n", "", "empty"),
        ("", "length", "cut"),
        ("この写真に写っているのは、白い", "length", "cut"),
        ("B. スズランです。なぜなら", "length", "correct"),
        ("", "content_filter", "refused"),
        ("申し訳ありませんが、お答えできません。", "stop", "refused"),
        ("画像が添付されていないようです。", "stop", "refused"),
        ("わかりません", "stop", "none"),
    ],
)
def test_what_is_no_answer_is_not_a_wrong_one(text: str, finish_reason: str, outcome: Outcome) -> None:
    assert outcome_of(read_answer(text, CHOICES), 1, text, finish_reason) == outcome


def test_a_letter_that_is_itself_an_option_names_that_option() -> None:
    assert read_answer("B", ("B", "A", "D", "C")).choice == 0


@given(st.text(max_size=40))
def test_any_answer_gets_one_outcome(answer: str) -> None:
    assert outcome_of(read_answer(answer, CHOICES), 1) in {"correct", "wrong", "none", "several"}


@given(st.permutations(list(CHOICES)), st.integers(0, 3))
def test_every_option_is_read_in_every_place(choices: list[str], place: int) -> None:
    assert read_answer(choices[place], choices).choice == place


def item(identity: str, turn: int, outcome: Outcome, subset: str = "s", response: str = "") -> Item:
    chosen = "ラン" if outcome == "wrong" else ""
    found = "スズラン" in response
    return Item(identity, turn, subset, "スズラン", CHOICES, response, outcome, chosen, found, "stop", 1, 1, "rules")


def test_circular_counts_a_question_only_when_all_rotations_are_right() -> None:
    items = [item("1", turn, "correct") for turn in range(4)]
    items += [item("2", turn, "correct" if turn else "wrong") for turn in range(4)]
    results = summarise("m", items)
    assert results.micro.circular is not None
    assert results.micro.circular.value == 0.5
    assert results.micro.strict.value == 7 / 8
    assert results.micro.questions == 2
    assert results.confusions == [("s", "スズラン", "ラン", 1)]


def test_macro_is_the_mean_of_the_subsets_and_micro_that_of_the_questions() -> None:
    items = [item("1", 0, "correct", "a"), *(item(str(n), 0, "none", "b") for n in range(2, 5))]
    results = summarise("m", items)
    assert results.macro.value == 0.5
    assert results.micro.strict.value == 0.25
    assert results.micro.outcomes == {**dict.fromkeys(OUTCOMES, 0), "correct": 1, "none": 3}


@pytest.mark.parametrize("outcome", ["correct", "none"])
def test_intervals_have_a_width_at_nought_and_one(outcome: Outcome) -> None:
    results = summarise("m", [item(str(n), 0, outcome, subset) for subset in "ab" for n in range(20)])
    assert results.macro.value in {0.0, 1.0}
    assert 0.05 < results.macro.high - results.macro.low < 0.3


def test_the_papers_rows_stand_beside_the_published_subsets_alone() -> None:
    names = ("jaflower30", "jafood101", "jalandmark10", "jafacility20")
    table = results_markdown(summarise("m", [item(name, 0, "correct", name) for name in names]))
    assert "| Qwen2.5-VL-7B | published | 0.87 | 0.91 | 0.79 | 0.92 | 0.93 |" in table
    assert "NLP2025" in table
    assert "published" not in results_markdown(summarise("m", [item("1", 0, "correct", "mine")]))


def test_official_is_a_substring_with_all_its_faults() -> None:
    assert official("ラン", "スズランです")
    assert not official("桜", "サクラ")
