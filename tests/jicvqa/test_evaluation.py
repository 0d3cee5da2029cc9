"""Promise: a model is asked every question once with its picture; answers are kept, and what failed is asked again."""

import base64
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from datagen.jicvqa.benchmark.questions import read_question
from datagen.jicvqa.benchmark.stored import load_benchmark
from tests.conftest import TinyServer
from tests.jicvqa.conftest import command, model_server

MINIATURE = Path(__file__).parents[2] / "examples" / "jic_miniature"


def text_of(document: dict[str, Any]) -> str:
    text: str = document["messages"][0]["content"][1]["text"]
    return text


def first_option(document: dict[str, Any]) -> str:
    return read_question(text_of(document))[1][0]


def results_of(folder: Path) -> dict[str, Any]:
    results: dict[str, Any] = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    return results


def test_the_published_sentence_and_the_picture_are_sent(small_build: Path, tmp_path: Path) -> None:
    with model_server(first_option) as served:
        outcome = command(
            "evaluate", small_build, "--model", "told", "--endpoint", served.endpoint, "--out", tmp_path / "e"
        )
    assert outcome.code == 0, outcome.error
    benchmark = load_benchmark(small_build)
    assert {text_of(request) for request in served.requests} == {question.text for question in benchmark.questions}
    assert len(served.requests) == 48
    url = served.requests[0]["messages"][0]["content"][0]["image_url"]["url"]
    assert base64.b64decode(url.removeprefix("data:image/jpeg;base64,")).startswith(b"\xff\xd8")


def test_a_model_that_always_says_the_first_earns_a_quarter_and_nothing_circularly(
    small_build: Path, tmp_path: Path
) -> None:
    with model_server(first_option) as served:
        arguments = ("--model", "told", "--endpoint", served.endpoint, "--out", tmp_path / "e", "--circular")
        assert command("evaluate", small_build, *arguments).code == 0
        assert len(served.requests) == 4 * 48
    results = results_of(tmp_path / "e")
    assert results["micro"]["strict"]["value"] == 0.25
    assert results["micro"]["circular"]["value"] == 0
    assert results["micro"]["questions"] == 48
    items = pq.read_table(tmp_path / "e" / "items.parquet").to_pylist()
    assert len(items) == 192
    assert {item["outcome"] for item in items} == {"correct", "wrong"}


def test_thinking_aloud_is_not_read_as_the_answer(small_build: Path, tmp_path: Path) -> None:
    def thinking(document: dict[str, Any]) -> str:
        return f"<think>{'か'.join(read_question(text_of(document))[1])}。</think>\n{first_option(document)}"

    with model_server(thinking) as served:
        arguments = ("--model", "told", "--endpoint", served.endpoint, "--out", tmp_path / "e")
        assert command("evaluate", small_build, *arguments).code == 0
    assert results_of(tmp_path / "e")["micro"]["strict"]["value"] == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize("endpoint", ["http://user:pa55@127.0.0.1:9/v1", "http://127.0.0.1:9/v1?key=pa55"])
def test_a_secret_in_an_endpoint_is_refused_and_not_shown(endpoint: str, small_build: Path, tmp_path: Path) -> None:
    outcome = command("evaluate", small_build, "--model", "m", "--endpoint", endpoint, "--out", tmp_path / "e")
    assert outcome.code == 2
    assert "the URL of an endpoint carries a" in outcome.error
    assert "pa55" not in outcome.output + outcome.error


def test_a_key_that_no_header_can_carry_is_a_sentence(
    small_build: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUR_KEY", "two\nlines")
    arguments = ("--model", "m", "--endpoint", "http://127.0.0.1:9/v1", "--api-key-env", "OUR_KEY")
    outcome = command("evaluate", small_build, *arguments, "--out", tmp_path / "e")
    assert outcome.code == 2
    assert "OUR_KEY (--api-key-env) holds more than an API key" in outcome.error


def test_letters_are_asked_for_and_read(small_build: Path, tmp_path: Path) -> None:
    with model_server(lambda _: "C") as served:
        arguments = ("--model", "told", "--endpoint", served.endpoint, "--out", tmp_path / "e", "--form", "letters")
        assert command("evaluate", small_build, *arguments).code == 0
    text = text_of(served.requests[0])
    assert text.startswith("この画像にはどの")
    assert "\nA. " in text
    assert "\nD. " in text
    assert text.endswith("与えられた選択肢の中から最も適切な回答のアルファベットを直接記入してください。")
    results = results_of(tmp_path / "e")
    third = sum(question.answer_index == 2 for question in load_benchmark(small_build).questions)
    assert results["micro"]["strict"]["value"] == pytest.approx(third / 48)
    assert results["macro_official"] is None


def test_what_failed_is_asked_again_and_nothing_else(small_build: Path, tmp_path: Path) -> None:
    refused = {question.text for question in load_benchmark(small_build).questions[:5]}

    def answer(document: dict[str, Any]) -> str | int:
        return 400 if text_of(document) in refused else first_option(document)

    with model_server(answer) as served:
        arguments = ("--model", "told", "--endpoint", served.endpoint, "--out", tmp_path / "e")
        outcome = command("evaluate", small_build, *arguments)
        assert outcome.code == 1
        assert "questions failed" in outcome.output
        failed = results_of(tmp_path / "e")["micro"]["outcomes"]["failed"]
        assert failed >= 5
        refused.clear()
        served.requests.clear()
        assert command("evaluate", small_build, *arguments).code == 0
        assert len(served.requests) == failed
    assert results_of(tmp_path / "e")["micro"]["outcomes"]["failed"] == 0


def cut(_: dict[str, Any]) -> dict[str, Any]:
    return {"message": {"content": None, "reasoning_content": "花びらを数えると"}, "finish_reason": "length"}


def test_answers_that_are_cut_are_no_wrong_ones_warn_and_are_asked_again_with_more_tokens(
    small_build: Path, tmp_path: Path
) -> None:
    def thinking(document: dict[str, Any]) -> str | dict[str, Any]:
        return first_option(document) if document["max_tokens"] > 1000 else cut(document)

    with model_server(thinking) as served:
        arguments = ("--model", "told", "--endpoint", served.endpoint, "--out", tmp_path / "e")
        outcome = command("evaluate", small_build, *arguments)
        assert outcome.code == 1
        assert "48 answers are broken off or empty at 256 tokens" in outcome.output
        results = results_of(tmp_path / "e")
        assert results["micro"]["outcomes"]["cut"] == 48
        assert results["micro"]["outcomes"]["wrong"] == results["micro"]["outcomes"]["none"] == 0
        assert "100.0% of the answers are none" in (tmp_path / "e" / "results.md").read_text(encoding="utf-8")
        assert command("evaluate", small_build, *arguments, "--max-tokens", 4096).code == 0
        assert len(served.requests) == 96
        assert command("evaluate", small_build, *arguments, "--max-tokens", 4096).code == 0
        assert len(served.requests) == 96
    assert results_of(tmp_path / "e")["micro"]["unanswered"] == 0


def test_the_answer_of_a_reasoning_model_is_its_content(small_build: Path, tmp_path: Path) -> None:
    def reasoning(document: dict[str, Any]) -> dict[str, Any]:
        options = read_question(text_of(document))[1]
        message = {"content": options[0], "reasoning_content": f"{options[1]}ではない。"}
        return {"message": message, "finish_reason": "stop"}

    with model_server(reasoning) as served:
        arguments = ("--model", "told", "--endpoint", served.endpoint, "--out", tmp_path / "e")
        assert command("evaluate", small_build, *arguments).code == 0
    questions = load_benchmark(small_build).questions
    first = sum(question.answer_index == 0 for question in questions)
    assert results_of(tmp_path / "e")["micro"]["outcomes"]["correct"] == first


def test_refusals_are_a_column_of_their_own(small_build: Path, tmp_path: Path) -> None:
    with model_server(lambda _: "申し訳ありませんが、お答えできません。") as served:
        arguments = ("--model", "told", "--endpoint", served.endpoint, "--out", tmp_path / "e")
        outcome = command("evaluate", small_build, *arguments)
    assert outcome.code == 1
    assert "48 answers are refusals" in outcome.output
    assert results_of(tmp_path / "e")["micro"]["outcomes"]["refused"] == 48


def test_further_fields_are_sent_and_belong_to_the_evaluation(small_build: Path, tmp_path: Path) -> None:
    with model_server(first_option) as served:
        arguments = ("--model", "told", "--endpoint", served.endpoint, "--out", tmp_path / "e")
        body = json.dumps({"chat_template_kwargs": {"enable_thinking": False}})
        assert command("evaluate", small_build, *arguments, "--extra-body", body).code == 0
        assert {json.dumps(request["chat_template_kwargs"]) for request in served.requests} == {
            '{"enable_thinking": false}'
        }
        outcome = command("evaluate", small_build, *arguments)
        assert (outcome.code, "request was" in outcome.error) == (2, True)
        outcome = command("evaluate", small_build, *arguments, "--extra-body", "[1]")
        assert (outcome.code, "must be a JSON object" in outcome.error) == (2, True)


def test_a_part_of_the_questions_is_said_to_be_one(small_build: Path, tmp_path: Path) -> None:
    with model_server(first_option) as served:
        arguments = ("--model", "told", "--endpoint", served.endpoint, "--out", tmp_path / "e", "--limit", 5)
        assert command("evaluate", small_build, *arguments).code == 0
    assert "Partial: 10 of 48 questions were asked." in (tmp_path / "e" / "results.md").read_text(encoding="utf-8")
    assert results_of(tmp_path / "e")["partial"] is True


def test_a_judge_reads_what_the_rules_cannot_and_is_told_neither_picture_nor_answer(
    small_build: Path, tmp_path: Path
) -> None:
    def vague(document: dict[str, Any]) -> str:
        return "一番目に書かれているもの"

    def judge(document: dict[str, Any]) -> str:
        assert "image_url" not in json.dumps(document)
        return str(document["structured_outputs"]["choice"][0])

    with model_server(vague) as served, model_server(judge) as second:
        arguments = ("--model", "told", "--endpoint", served.endpoint, "--out", tmp_path / "e")
        assert command("evaluate", small_build, *arguments).code == 0
        assert results_of(tmp_path / "e")["micro"]["outcomes"]["none"] == 48
        assert command("evaluate", small_build, *arguments, "--judge-endpoint", second.endpoint).code == 0
        asked = len(second.requests)
        assert command("evaluate", small_build, *arguments, "--judge-endpoint", second.endpoint).code == 0
        assert len(second.requests) == asked
        assert len(served.requests) == 48
    results = results_of(tmp_path / "e")
    assert results["read_by_a_judge"] == 48
    first = sum(question.answer_index == 0 for question in load_benchmark(small_build).questions)
    assert results["micro"]["outcomes"]["correct"] == first


def test_another_model_or_form_does_not_mix_into_a_folder(small_build: Path, tmp_path: Path) -> None:
    with model_server(first_option) as served:
        arguments = ("--model", "told", "--endpoint", served.endpoint, "--out", tmp_path / "e")
        assert command("evaluate", small_build, *arguments).code == 0
        outcome = command("evaluate", small_build, *arguments, "--form", "letters")
    assert outcome.code == 2
    assert "form was list, is letters" in outcome.error


def test_a_build_without_pictures_is_refused(small_build: Path, tmp_path: Path) -> None:
    published = tmp_path / "published"
    published.mkdir()
    (published / "a.csv").write_bytes((small_build / "jaflower30.csv").read_bytes())
    outcome = command("evaluate", published, "--model", "told", "--endpoint", "http://127.0.0.1:9/v1")
    assert outcome.code == 2
    assert "has no pictures" in outcome.error


def test_a_dead_endpoint_ends_in_a_sentence(small_build: Path, tmp_path: Path) -> None:
    outcome = command(
        "evaluate", small_build, "--model", "m", "--endpoint", "http://127.0.0.1:9/v1", "--out", tmp_path / "e"
    )
    assert outcome.code == 2
    assert "does not answer" in outcome.error


def test_the_tiny_model_beats_chance_on_the_miniature(tiny_server: TinyServer, tmp_path: Path) -> None:
    distractors, build, out = tmp_path / "d.json", tmp_path / "miniature", tmp_path / "e"
    assert command("distractors", "--classes", MINIATURE / "classes.json", "--out", distractors).code == 0
    images = MINIATURE / "images.csv"
    assert command("build", "--images", images, "--distractors", distractors, "--out", build).code == 0
    assert command("audit", build).code == 0
    arguments = ("--model", tiny_server.model, "--endpoint", tiny_server.url, "--out", out)
    outcome = command("evaluate", build, *arguments)
    assert outcome.code == 0, outcome.error
    results = results_of(out)
    assert list(results["subsets"]) == ["flower", "food", "landmark", "facility"]
    assert results["macro"]["low"] > 0.25
    assert "| tiny-vlm | strict |" in (out / "results.md").read_text(encoding="utf-8")
