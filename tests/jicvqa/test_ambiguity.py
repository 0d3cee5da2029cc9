"""Promise: a model that sees the pictures finds questions with two right options, and `build` keeps them out."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from datagen.jicvqa.benchmark.ambiguity import OptionScore, read_ambiguous, write_scores
from datagen.jicvqa.benchmark.stored import load_benchmark
from datagen.jicvqa.classes.lists import load_classes
from tests.conftest import TinyServer
from tests.jicvqa.conftest import command, model_server, rows_of, write_parquet

FLOWERS = [name for name in load_classes().subsets["jaflower30"].names if name != "ラン"]
COUNTS = {"jaflower30": dict.fromkeys(FLOWERS, 4)}


def text_of(document: dict[str, Any]) -> str:
    return "".join(part.get("text", "") for part in document["messages"][0]["content"])


def plum_is_cherry_too(document: dict[str, Any]) -> str:
    return "5" if "「桜」" in text_of(document) else "1"


@pytest.fixture
def flower_build(tmp_path: Path, distractors_file: Path) -> tuple[Path, tuple[object, ...]]:
    table = write_parquet(tmp_path / "t.parquet", rows_of(COUNTS))
    arguments = ("build", "--images", table, "--distractors", distractors_file)
    assert command(*arguments, "--out", tmp_path / "build").code == 0
    return tmp_path / "build", arguments


def test_every_wrong_option_is_put_to_the_model_once_with_the_picture(
    flower_build: tuple[Path, tuple[object, ...]],
) -> None:
    folder, _ = flower_build
    with model_server(plum_is_cherry_too) as served:
        arguments = ("ambiguity", folder, "--model", "told", "--endpoint", served.endpoint)
        outcome = command(*arguments)
        assert outcome.code == 0, outcome.error
        assert len(served.requests) == len(FLOWERS) * 4 * 3
        assert all("image_url" in json.dumps(document) for document in served.requests)
        assert command(*arguments).code == 0
        assert len(served.requests) == len(FLOWERS) * 4 * 3
    questions = load_benchmark(folder).questions
    with_cherry = {q.id for q in questions if "桜" in q.choices and q.category != "桜"}
    assert f"{len(with_cherry)} of 116 questions have a wrong option that is true too" in outcome.output
    found = read_ambiguous(folder.with_name("build-ambiguity") / "ambiguity.parquet", 4)
    assert found == dict.fromkeys(with_cherry, frozenset({"桜"}))


def test_build_moves_such_pictures_to_sets_without_the_option_and_keeps_the_balance(
    flower_build: tuple[Path, tuple[object, ...]], tmp_path: Path
) -> None:
    folder, arguments = flower_build
    questions = load_benchmark(folder).questions
    free = {name: {q.category for q in questions if name not in q.choices} for name in FLOWERS}
    also = next(n for n in FLOWERS if any(n in q.choices and q.category in free[n] for q in questions))
    some = {q.id for q in [q for q in questions if also in q.choices and q.category != also][::2]}
    write_scores(tmp_path / "s.parquet", [OptionScore(i, "jaflower30", "", also, 5) for i in some])
    outcome = command(*arguments, "--ambiguity", tmp_path / "s.parquet", "--out", tmp_path / "second")
    assert outcome.code == 0, outcome.error
    after = load_benchmark(tmp_path / "second").questions
    left = [q for q in after if q.id in some and also in q.choices]
    # Classes with places in sets without the option have them filled with these pictures as far as they go.
    places = Counter(q.category for q in questions if also not in q.choices)
    wanted = Counter(q.category for q in questions if q.id in some)
    assert len(left) == sum(max(count - places[name], 0) for name, count in wanted.items())
    assert len(left) < len(some)
    assert {q.id for q in after if q.ambiguous} == {q.id for q in left}
    assert all(q.ambiguous == (also,) for q in left)
    assert (tmp_path / "second" / "design.json").read_bytes() == (folder / "design.json").read_bytes()
    document = json.loads((tmp_path / "second" / "build.json").read_text(encoding="utf-8"))
    assert document["ambiguous_questions"] == len(left)


def test_the_audit_counts_what_is_left_and_a_gate_may_stand_on_it(
    flower_build: tuple[Path, tuple[object, ...]], tmp_path: Path
) -> None:
    folder, arguments = flower_build
    ids = [q.id for q in load_benchmark(folder).questions]
    write_scores(tmp_path / "s.parquet", [OptionScore(i, "jaflower30", "", o, 4) for i in ids for o in ("桜", "梅")])
    assert command(*arguments, "--ambiguity", tmp_path / "s.parquet", "--out", tmp_path / "b").code == 0
    (tmp_path / "gates.yaml").write_text("ambiguous: 0\n", encoding="utf-8")
    assert command("audit", tmp_path / "b", "--gates", tmp_path / "gates.yaml", "--out", tmp_path / "r").code == 1
    document = json.loads((tmp_path / "r" / "audit.json").read_text(encoding="utf-8"))
    left = sum(bool(q.ambiguous) for q in load_benchmark(tmp_path / "b").questions)
    assert document["scopes"]["overall"]["ambiguous"] == left > 0


def test_answers_that_are_no_score_are_counted_and_asked_again(flower_build: tuple[Path, tuple[object, ...]]) -> None:
    folder, _ = flower_build
    with model_server(lambda document: "わからない" if "「梅」" in text_of(document) else "1") as served:
        outcome = command("ambiguity", folder, "--model", "told", "--endpoint", served.endpoint)
    assert outcome.code == 1
    assert "options got no score; run the same command again" in outcome.output
    with model_server(lambda _: "2") as served:
        assert command("ambiguity", folder, "--model", "told", "--endpoint", served.endpoint).code == 0
        assert 0 < len(served.requests) < 116


@pytest.mark.parametrize("content", [b"id,option\n", b""])
def test_a_file_of_something_else_is_a_sentence(
    flower_build: tuple[Path, tuple[object, ...]], tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "s.parquet").write_bytes(content)
    outcome = command(*flower_build[1], "--ambiguity", tmp_path / "s.parquet", "--out", tmp_path / "b")
    assert (outcome.code, "--ambiguity" in outcome.error) == (2, True)


def test_a_real_server_scores_every_option(tiny_server: TinyServer, distractors_file: Path, tmp_path: Path) -> None:
    table = write_parquet(
        tmp_path / "t.parquet", rows_of({"jaflower30": dict.fromkeys(["桜", "梅", "バラ", "ユリ"], 2)})
    )
    arguments = ("build", "--images", table, "--distractors", distractors_file, "--out", tmp_path / "b")
    assert command(*arguments).code == 0
    outcome = command("ambiguity", tmp_path / "b", "--model", tiny_server.model, "--endpoint", tiny_server.url)
    assert outcome.code == 0, outcome.error
