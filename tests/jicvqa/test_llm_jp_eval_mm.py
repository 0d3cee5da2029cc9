"""Promise: llm-jp-eval-mm reads our table as its own, and its scorer gives the numbers that we give."""

from collections import defaultdict
from pathlib import Path

import datasets
import pytest

from datagen.jicvqa.benchmark.stored import load_benchmark
from datagen.jicvqa.evaluation.asking import Item
from datagen.jicvqa.evaluation.results import summarise
from datagen.jicvqa.evaluation.scoring import official, outcome_of, read_answer
from tests.jicvqa.conftest import SMALL

DOMAINS = {"花": "jaflower30", "食べ物": "jafood101", "ランドマーク": "jalandmark10", "施設": "jafacility20"}


def read_as_its_task_does(build: Path, cache: Path) -> datasets.Dataset:
    table = str(build / "llm_jp_eval_mm" / "jic_vqa.parquet")
    return datasets.load_dataset("parquet", data_files=table, split="train", cache_dir=str(cache))


def test_its_fields_are_there_with_their_types(small_build: Path, tmp_path: Path) -> None:
    rows = read_as_its_task_does(small_build, tmp_path / "cache")
    assert set(rows.column_names) == {"question_id", "input_text", "answer", "image", "url", "domain"}
    assert len(rows) == 48
    by_id = {int(question.id): question for question in load_benchmark(small_build).questions}
    for row in rows:
        question = by_id[row["question_id"]]
        assert row["input_text"] == question.text
        assert row["answer"] == question.category
        assert row["image"].size == (224, 224)
        assert row["image"].mode == "RGB"
        # It finds the domain by the first keyword that stands in the question.
        assert row["domain"] == next(domain for word, domain in DOMAINS.items() if word in row["input_text"])


@pytest.mark.slow
@pytest.mark.parametrize("say", [lambda row: row["answer"], lambda row: row["input_text"], lambda row: "桜と駅です"])
def test_its_score_is_the_macro_mean_that_we_report(small_build: Path, tmp_path: Path, say: object) -> None:
    rows = read_as_its_task_does(small_build, tmp_path / "cache")
    scores: dict[str, list[int]] = defaultdict(list)
    items = []
    by_id = {int(question.id): question for question in load_benchmark(small_build).questions}
    for row in rows:
        response = say(row)  # type: ignore[operator]
        scores[row["domain"]].append(int(row["answer"] in response))
        question = by_id[row["question_id"]]
        reading = read_answer(response, question.choices)
        outcome = outcome_of(reading, question.answer_index)
        right = official(question.category, response)
        items.append(
            Item(
                question.id,
                0,
                row["domain"],
                question.category,
                question.choices,
                response,
                outcome,
                "",
                right,
                "stop",
                0,
                0,
            )
        )
    theirs = sum(sum(own) / len(own) for own in scores.values()) / len(scores)
    ours = summarise("m", items)
    assert set(scores) == set(SMALL)
    assert ours.macro_official is not None
    assert ours.macro_official.value == pytest.approx(theirs)


def test_an_echo_of_the_list_earns_everything_there_and_nothing_here(small_build: Path) -> None:
    for question in load_benchmark(small_build).questions:
        assert official(question.category, question.text)
        assert outcome_of(read_answer(question.text, question.choices), question.answer_index) == "several"
