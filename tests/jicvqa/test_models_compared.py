"""Promise: models are compared question by question, with intervals that hold and a test that is exact."""

import base64
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datagen.errors import DatagenError
from datagen.jicvqa.benchmark.questions import read_question
from datagen.jicvqa.benchmark.stored import load_benchmark
from datagen.jicvqa.evaluation.items import Item, read_items, write_items
from datagen.jicvqa.evaluation.models_compared import Evaluated, compare_models, confusions_of
from tests.jicvqa.conftest import command, model_server
from tests.jicvqa.test_evaluation import text_of

CHOICES = ("桜", "梅", "桃", "梨")


def answers(right: Sequence[bool], subset: str = "s", turn: int = 0, start: int = 0) -> list[Item]:
    return [
        Item(
            str(start + number),
            turn,
            subset,
            "桜",
            CHOICES,
            "",
            "correct" if own else "wrong",
            "桜" if own else "梅",
            own,
            "stop",
            1,
            1,
            "rules",
        )
        for number, own in enumerate(right)
    ]


def test_the_difference_and_mcnemars_exact_test_are_those_of_the_questions() -> None:
    first = Evaluated("A", answers([True] * 10 + [False] * 10))
    second = Evaluated("B", answers([True] * 8 + [False] * 2 + [True] * 9 + [False]))
    found = compare_models([first, second]).differences["s"][0]
    assert (found.only_first, found.only_second) == (2, 9)
    assert found.value == pytest.approx(7 / 20)
    assert found.p == pytest.approx(2 * sum(math.comb(11, k) for k in range(3)) / 2**11)
    assert found.low < 7 / 20 < found.high


def test_models_that_agree_on_every_question_do_not_differ() -> None:
    right = [True, False] * 20
    found = compare_models([Evaluated("A", answers(right)), Evaluated("B", answers(right))]).differences["macro"][0]
    assert (found.value, found.low, found.high, found.p) == (0, 0, 0, 1)


def test_intervals_of_differences_hold_the_truth_as_often_as_they_say() -> None:
    draw = np.random.default_rng(1)
    held = 0
    for seed in range(200):
        hard = draw.random((2, 150))
        first, second = hard[0] < 0.6, hard.mean(axis=0) < 0.55
        # The truth: P(U < 0.6) = 0.6, and P((U + V) / 2 < 0.55) = 1 - 0.9² / 2.
        models = [Evaluated("A", answers(first.tolist())), Evaluated("B", answers(second.tolist()))]
        found = compare_models(models, seed).differences["s"][0]
        held += found.low <= (1 - 0.9**2 / 2) - 0.6 <= found.high
    assert 176 <= held <= 199  # 190 are expected; four standard deviations are 12


def test_the_macro_mean_weighs_subsets_alike() -> None:
    first = answers([True] * 10, "a") + answers([False] * 90, "b", start=10)
    second = answers([False] * 10, "a") + answers([False] * 90, "b", start=10)
    compared = compare_models([Evaluated("A", first), Evaluated("B", second)])
    assert compared.shares["A"]["macro"].value == 0.5
    assert compared.differences["macro"][0].value == -0.5


def test_what_not_all_were_asked_is_left_out_and_counted() -> None:
    compared = compare_models([Evaluated("A", answers([True] * 10)), Evaluated("B", answers([False] * 6))])
    assert (compared.questions, compared.left_out) == (6, 4)
    circular = [*answers([True] * 4), *answers([False] * 4, turn=1)]
    compared = compare_models([Evaluated("A", circular), Evaluated("B", answers([True] * 4))])
    assert (compared.questions, compared.rotations) == (4, 1)
    both = compare_models(
        [Evaluated("A", circular), Evaluated("B", [*answers([True] * 4), *answers([True] * 4, turn=1)])]
    )
    assert both.rotations == 2
    assert both.differences["s"][0].value == 0.5


def test_difficulty_and_discrimination_of_questions() -> None:
    strong, weak = answers([True, True, False]), answers([True, False, False])
    worth = {one.name: one for one in compare_models([Evaluated("W", weak), Evaluated("S", strong)]).of_questions}
    assert [worth[name].difficulty for name in "012"] == [1.0, 0.5, 0.0]
    assert [worth[name].discrimination for name in "012"] == [0.0, 1.0, 0.0]


def test_confusions_count_what_was_chosen_for_what() -> None:
    names, counts = confusions_of(Evaluated("A", answers([True, False, False])), "s")
    assert names == ["桜", "梅"]
    assert counts.tolist() == [[1, 2], [0, 0]]


@pytest.mark.parametrize("evaluated", [[], [Evaluated("A", answers([True]))], [Evaluated("A", answers([True]))] * 2])
def test_fewer_than_two_models_are_refused(evaluated: list[Evaluated]) -> None:
    with pytest.raises(DatagenError, match="two models or more"):
        compare_models(evaluated)


def test_items_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    items = answers([True, False])
    write_items(tmp_path / "items.parquet", items)
    assert read_items(tmp_path / "items.parquet") == items


def test_the_page_shows_both_languages_pictures_and_who_was_wrong(small_build: Path, tmp_path: Path) -> None:
    benchmark = load_benchmark(small_build)
    assert benchmark.pictures is not None
    answer_of = {base64.b64encode(benchmark.pictures(q.id)).decode(): q.category for q in benchmark.questions}

    def by_picture(document: dict[str, Any]) -> str:
        url: str = document["messages"][0]["content"][0]["image_url"]["url"]
        return answer_of[url.partition("base64,")[2]]

    with model_server(by_picture) as strong:
        out = ("--model", "told", "--endpoint", strong.endpoint, "--out", tmp_path / "strong")
        assert command("evaluate", small_build, *out).code == 0
    with model_server(lambda document: read_question(text_of(document))[1][0]) as weak:
        out = ("--model", "told", "--endpoint", weak.endpoint, "--out", tmp_path / "weak")
        assert command("evaluate", small_build, *out).code == 0
    outcome = command("compare-models", tmp_path / "strong", tmp_path / "weak", "--out", tmp_path / "c")
    assert outcome.code == 0, outcome.error
    assert "| macro | told (strong) → told (weak) | -0." in outcome.output
    page = (tmp_path / "c" / "models.html").read_text(encoding="utf-8")
    for shown in ("正答率", "Share right", "McNemar", "data:image/webp;base64,", 'class="confusion"', "told (weak)"):
        assert shown in page
    assert "<script" not in page
    document = json.loads((tmp_path / "c" / "models.json").read_text(encoding="utf-8"))
    assert document["questions"] == len(document["questions_by_id"]) == 48
    assert document["shares"]["told (strong)"]["macro"]["value"] == 1


def test_evaluations_of_other_questions_are_not_compared(small_build: Path, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for name in ("a", "b"):
        write_items(tmp_path / name / "items.parquet", answers([True]))
        settings = {"model": name, "questions_digest": name, "form": "list"}
        (tmp_path / name / "evaluation.json").write_text(json.dumps(settings), encoding="utf-8")
    outcome = command("compare-models", tmp_path / "a", tmp_path / "b")
    assert (outcome.code, "evaluations of different questions" in outcome.error) == (2, True)
    outcome = command("compare-models", tmp_path / "a", small_build)
    assert (outcome.code, "holds no evaluation" in outcome.error) == (2, True)
