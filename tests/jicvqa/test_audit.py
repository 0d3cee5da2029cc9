"""Promise: the audit writes one page and JSON, names what is wrong, and its exit code says whether a gate failed."""

import json
from pathlib import Path
from typing import Any

import pytest

from datagen.jicvqa.audit.collisions import name_pairs, substring_collisions, twins
from datagen.jicvqa.benchmark.questions import Question
from tests.jicvqa.conftest import SMALL, command, model_server, rows_of, write_csv, write_parquet

pytestmark = pytest.mark.slow


def nearest_build(tmp_path: Path) -> Path:
    assert command("distractors", "--method", "nearest", "--out", tmp_path / "n.json").code == 0
    counts = {name: {key: 5 * count for key, count in own.items()} for name, own in SMALL.items()}
    table = write_csv(tmp_path / "n.csv", rows_of(counts))
    out = tmp_path / "nearest"
    build = ("build", "--images", table, "--without-pictures", "--distractors", tmp_path / "n.json", "--out", out)
    assert command(*build).code == 0
    return out


def test_a_balanced_build_passes_and_the_report_says_so(small_build: Path, tmp_path: Path) -> None:
    outcome = command("audit", small_build, "--out", tmp_path / "report")
    assert outcome.code == 0
    document = json.loads((tmp_path / "report" / "audit.json").read_text(encoding="utf-8"))
    assert document["passed"]
    assert set(document["scopes"]) == {"overall", "jaflower30", "jafacility20"}
    assert document["scopes"]["overall"]["ceiling"] == 0.25
    page = (tmp_path / "report" / "audit.html").read_text(encoding="utf-8")
    assert "all gates passed" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "<script" not in page


def test_the_rule_of_the_paper_fails_with_exit_code_one(tmp_path: Path) -> None:
    build = nearest_build(tmp_path)
    outcome = command("audit", build, "--out", tmp_path / "report")
    assert outcome.code == 1
    assert "FAIL  blind_excess" in outcome.output
    document = json.loads((tmp_path / "report" / "audit.json").read_text(encoding="utf-8"))
    failed = {gate["gate"] for gate in document["gates"] if not gate["passed"]}
    assert {"blind_excess", "ceiling_excess", "conflicting_names"} <= failed
    assert {pair["kind"] for pair in document["conflicting_names"]} & {"nested", "apart"}


def test_gates_are_the_users(tmp_path: Path) -> None:
    build = nearest_build(tmp_path)
    gates = tmp_path / "gates.yaml"
    gates.write_text("blind_excess: null\nceiling_excess: null\nconflicting_names: null\n", encoding="utf-8")
    assert command("audit", build, "--gates", gates).code == 0
    gates.write_text("blind_exces: 0.1\n", encoding="utf-8")
    outcome = command("audit", build, "--gates", gates)
    assert outcome.code == 2
    assert "did you mean 'blind_excess'?" in outcome.error


def test_names_are_escaped_in_the_page(tmp_path: Path) -> None:
    lists = {"x": {"word": "花", "classes": ["<b>甲", "乙&", '丙"', "丁'", "<script>戊", "己"]}}
    (tmp_path / "c.json").write_text(json.dumps(lists, ensure_ascii=False), encoding="utf-8")
    assert command("distractors", "--classes", tmp_path / "c.json", "--out", tmp_path / "d.json").code == 0
    table = write_parquet(tmp_path / "t.parquet", rows_of({"x": dict.fromkeys(lists["x"]["classes"], 4)}))
    out = tmp_path / "b"
    assert command("build", "--images", table, "--distractors", tmp_path / "d.json", "--out", out).code == 0
    (tmp_path / "g.yaml").write_text("twins: 0\n", encoding="utf-8")
    command("audit", out, "--gates", tmp_path / "g.yaml", "--out", tmp_path / "r")
    assert "<script>" not in (tmp_path / "r" / "audit.html").read_text(encoding="utf-8")


def test_a_text_only_model_plays_too(small_build: Path, tmp_path: Path) -> None:
    def first(document: dict[str, Any]) -> str:
        choices: list[str] = document["structured_outputs"]["choice"]
        return choices[0]

    with model_server(first) as served:
        arguments = ("--endpoint", served.endpoint, "--questions", 8, "--out", tmp_path / "r")
        assert command("audit", small_build, *arguments).code in {0, 1}
        assert len(served.requests) == 16
        assert all("image_url" not in json.dumps(request) for request in served.requests)
    scopes = json.loads((tmp_path / "r" / "audit.json").read_text(encoding="utf-8"))["scopes"]
    assert scopes["overall"]["players"]["text-only told"]["questions"] == 16


def question(
    identity: str, category: str, choices: tuple[str, ...] = ("桜", "梅", "桃", "梨"), phash: str = ""
) -> Question:
    return Question(identity, "s", "花", choices, category, phash=phash)


def test_twins_are_pictures_of_different_classes_that_look_alike() -> None:
    questions = [
        question("1", "桜", phash="00000000000000ff"),
        question("2", "梅", phash="00000000000000f0"),
        question("3", "桜", phash="00000000000000ff"),
        question("4", "桃", phash="ffffffffffffff00"),
        question("5", "梨"),
    ]
    assert [(twin.first, twin.second, twin.bits) for twin in twins(questions, 4)] == [("1", "2", 4), ("2", "3", 4)]
    assert twins(questions, 3) == []


def test_substring_collisions_count_only_what_the_scorer_takes_for_right() -> None:
    choices = ("ラン", "スズラン", "桜", "梅")
    assert substring_collisions([question("1", "ラン", choices)]) == 1
    assert substring_collisions([question("1", "スズラン", choices)]) == 0
    assert [(pair.kind, pair.questions) for pair in name_pairs([question("1", "桜", choices)])] == [("nested", 1)]


def test_a_folder_without_a_benchmark_is_refused(tmp_path: Path) -> None:
    outcome = command("audit", tmp_path)
    assert outcome.code == 2
    assert "holds neither jic_vqa.parquet nor CSVs" in outcome.error


@pytest.mark.parametrize("same", [True, False])
def test_compare_says_which_distractors_changed(small_build: Path, tmp_path: Path, same: bool) -> None:
    other = small_build
    if not same:
        assert command("distractors", "--method", "nearest", "--out", tmp_path / "n.json").code == 0
        table = write_csv(tmp_path / "n.csv", rows_of(SMALL))
        other = tmp_path / "nearest"
        build = ("build", "--images", table, "--without-pictures", "--distractors", tmp_path / "n.json")
        assert command(*build, "--out", other).code == 0
    outcome = command("compare", small_build, other, "--out", tmp_path / "c.json")
    assert outcome.code == 0, outcome.error
    subsets = json.loads((tmp_path / "c.json").read_text(encoding="utf-8"))["subsets"]
    for comparison in subsets.values():
        assert (comparison["agreement"] == 1) is same
        assert (comparison["changes"] == {}) is same
        assert (comparison["second_similarity"] > comparison["first_similarity"]) is not same


def test_builds_of_different_tables_are_not_compared(small_build: Path, distractors_file: Path, tmp_path: Path) -> None:
    rows = [row.model_copy(update={"id": f"x{row.id}"}) for row in rows_of(SMALL)]
    table = write_csv(tmp_path / "t.csv", rows)
    build = ("build", "--images", table, "--without-pictures", "--distractors", distractors_file)
    assert command(*build, "--out", tmp_path / "x").code == 0
    outcome = command("compare", small_build, tmp_path / "x")
    assert outcome.code == 2
    assert "no question id in common" in outcome.error
