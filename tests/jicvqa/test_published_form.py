"""Promise: questions stand character by character as JIC-VQA publishes them, and are read back from there."""

import contextlib
import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagen.jicvqa.benchmark.questions import Question, UnreadableQuestionError, question_text, read_question
from datagen.jicvqa.benchmark.stored import load_benchmark
from tests.jicvqa.conftest import command

PUBLISHED = (
    "この画像にはどの施設が映っていますか？次の四つの選択肢から正しいものを選んでください: "
    "['スーパーマーケット', 'コンビニ', '駐車場', 'ガソリンスタンド']"
)
CHOICES = ("スーパーマーケット", "コンビニ", "駐車場", "ガソリンスタンド")

NAME = st.text(min_size=1, max_size=20)


def test_the_public_row_is_written_and_read() -> None:
    assert question_text("施設", CHOICES) == PUBLISHED
    assert read_question(PUBLISHED) == ("施設", CHOICES)


@given(st.lists(NAME, min_size=4, max_size=4, unique=True))
def test_any_names_survive_the_python_list(names: list[str]) -> None:
    assert read_question(question_text("花", tuple(names))) == ("花", tuple(names))


@given(st.text(max_size=80))
def test_no_text_breaks_the_reader(text: str) -> None:
    for made in (text, PUBLISHED.split("[")[0] + text, PUBLISHED.split("[")[0] + f"[{text}]"):
        with contextlib.suppress(UnreadableQuestionError):
            assert len(read_question(made)[1]) == 4


def test_a_list_that_would_run_code_is_only_read() -> None:
    with pytest.raises(UnreadableQuestionError):
        read_question(PUBLISHED.split("[")[0] + "[__import__('os').getcwd(), 'b', 'c', 'd']")


def test_rotations_keep_the_answer() -> None:
    question = Question("1", "jafacility20", "施設", CHOICES, "コンビニ")
    turned = [question.rotated(steps) for steps in range(4)]
    assert [own.answer_index for own in turned] == [1, 0, 3, 2]
    assert {own.choices[own.answer_index] for own in turned} == {"コンビニ"}


def test_a_build_has_the_published_columns_and_sentence(small_build: Path) -> None:
    with (small_build / "jafacility20.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["id", "question", "category", "url"]
    for identity, question, category, url in rows[1:]:
        assert identity.isdigit()
        assert question.startswith(
            "この画像にはどの施設が映っていますか？次の四つの選択肢から正しいものを選んでください: ['"
        )
        assert category in read_question(question)[1]
        assert url.startswith("https://example.org/")


def test_published_csvs_are_audited_without_anything_else(small_build: Path, tmp_path: Path) -> None:
    published = tmp_path / "published"
    published.mkdir()
    for name, new in (("jaflower30", "flower"), ("jafacility20", "facility")):
        (published / f"{new}.csv").write_bytes((small_build / f"{name}.csv").read_bytes())
    outcome = command("audit", published)
    assert outcome.code == 0, outcome.error
    assert "report" in outcome.output
    assert load_benchmark(published).subsets == ["jafacility20", "jaflower30"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("id,question,category\n1,q,駅\n", "no column url"),
        (f'id,question,category,url\n1,"{PUBLISHED}",学校,u\n', "is not among its choices"),
        (f'id,question,category,url\n1,"{PUBLISHED}",コンビニ,u\n1,"{PUBLISHED}",駐車場,u\n', "two questions"),
        ("id,question,category,url\n1,何ですか,駅,u\n", "not of the form"),
        ("id,question,category,url\n", "holds no question"),
    ],
)
def test_broken_csvs_end_in_a_sentence(tmp_path: Path, content: str, says: str) -> None:
    (tmp_path / "a.csv").write_text(content, encoding="utf-8")
    outcome = command("audit", tmp_path)
    assert outcome.code == 2
    assert says in outcome.error
