"""Promise: a model ranks each class from the closed list, once; any other name is refused, and answers are kept."""

import json
from pathlib import Path
from typing import Any

import pytest

from datagen.jicvqa.distractors.document import load_distractors
from tests.conftest import TinyServer
from tests.jicvqa.conftest import command, model_server

LISTS = {"花壇": {"word": "花", "classes": ["桜", "梅", "桃", "バラ", "ユリ", "キク"]}}


def choices_of(document: dict[str, Any]) -> list[str]:
    if "response_format" in document:
        schema = document["response_format"]["json_schema"]["schema"]
        return list(schema["properties"]["answer"]["enum"])
    return list(document["structured_outputs"]["choice"])


def listed(document: dict[str, Any]) -> list[str]:
    """The candidates as they stand in the text, which every way of asking has."""
    text: str = document["messages"][0]["content"]
    return text.rsplit("候補: ", 1)[1].split("、")


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    path = tmp_path / "classes.json"
    path.write_text(json.dumps(LISTS, ensure_ascii=False), encoding="utf-8")
    return path


def ranked(lists: Path, endpoint: str, *more: object) -> tuple[Any, Path]:
    out = lists.with_name("distractors.json")
    arguments = ("--classes", lists, "--ranker", "llm", "--endpoint", endpoint, "--out", out, "--orders", 2)
    return command("distractors", *arguments, "--picks", 3, *more), out


def alphabetical(document: dict[str, Any]) -> str:
    return min(choices_of(document))


def test_calls_are_classes_times_orders_times_picks_and_are_never_paid_twice(lists: Path) -> None:
    with model_server(alphabetical) as served:
        outcome, out = ranked(lists, served.endpoint)
        assert outcome.code == 0, outcome.error
        assert len(served.requests) <= 6 * 2 * 3 + 6  # and one a class about what can be right at once
        calls, text = len(served.requests), out.read_text(encoding="utf-8")
        assert ranked(lists, served.endpoint)[0].code == 0
        assert len(served.requests) == calls
        assert out.read_text(encoding="utf-8") == text


def test_the_file_says_who_ranked_and_how(lists: Path) -> None:
    with model_server(alphabetical) as served:
        ranker = load_distractors(ranked(lists, served.endpoint, "--seed", 7)[1]).ranker
    assert (ranker.kind, ranker.model, ranker.seed, ranker.orders, ranker.picks) == ("llm", "told", 7, 2, 3)
    assert len(ranker.prompt_digest) == 16


def test_the_file_is_of_the_format_that_earlier_versions_wrote(lists: Path) -> None:
    with model_server(alphabetical) as served:
        path = ranked(lists, served.endpoint)[1]
    assert json.loads(path.read_text(encoding="utf-8"))["format"] == "datagen.jicvqa.distractors/1"


def test_picks_are_merged_over_orders_into_a_similarity(lists: Path) -> None:
    with model_server(alphabetical) as served:
        rows = load_distractors(ranked(lists, served.endpoint)[1]).subsets["花壇"].similarity
    names = sorted(LISTS["花壇"]["classes"])
    for name, row in rows.items():
        assert list(row) == [other for other in names if other != name][:3]
        assert list(row.values()) == pytest.approx([1, 2 / 3, 1 / 3], abs=1e-5)


def test_candidates_come_in_other_orders_so_that_a_favoured_place_evens_out(lists: Path) -> None:
    with model_server(lambda document: choices_of(document)[0]) as served:
        ranked(lists, served.endpoint)
        orders = {tuple(choices_of(document)) for document in served.requests if len(choices_of(document)) == 5}
    assert len(orders) > 6


def test_a_model_that_talks_nonsense_is_asked_in_other_orders_and_then_refused(lists: Path) -> None:
    with model_server(lambda _: "チューリップ") as served:
        outcome, out = ranked(lists, served.endpoint)
        assert outcome.code == 2
        assert "names outside the list in 12 of 12 orders (last 'チューリップ')" in outcome.error
        assert not out.exists()
        assert len({tuple(listed(document)) for document in served.requests}) > 12


def test_one_class_that_is_always_answered_outside_the_list_stops_nothing_and_is_told(lists: Path) -> None:
    def answer(document: dict[str, Any]) -> str:
        asked = document["messages"][0]["content"]
        return "チューリップ" if "正解は「桜」" in asked else listed(document)[0] if "なければ" not in asked else "なし"

    with model_server(answer) as served:
        outcome, out = ranked(lists, served.endpoint)
    assert outcome.code == 0, outcome.error
    assert "花壇/桜: 2 of 2 orders ended in a name outside the list" in outcome.output
    part = load_distractors(out).subsets["花壇"]
    assert part.similarity["桜"] == {}
    assert any("桜" in option_set.classes for option_set in part.option_sets)


@pytest.mark.parametrize("unknown", [{"structured_outputs"}, {"structured_outputs", "response_format"}])
def test_a_server_that_does_not_know_structured_outputs_is_asked_in_another_way(lists: Path, unknown: set[str]) -> None:
    def answer(document: dict[str, Any]) -> str | int:
        if unknown & set(document):
            return 400
        pick = "なし" if "なければ" in document["messages"][0]["content"] else min(listed(document))
        return json.dumps({"answer": pick}, ensure_ascii=False) if "response_format" in document else f"「{pick}」"

    with model_server(answer) as served:
        outcome, out = ranked(lists, served.endpoint, "--in-flight", 1)
        assert outcome.code == 0, outcome.error
        refused = [document for document in served.requests if unknown & set(document)]
    assert len(refused) == len(unknown)  # found out once, not with every request
    assert len(load_distractors(out).subsets["花壇"].similarity["桜"]) == 3


def test_a_model_that_thinks_first_gets_the_room_for_it(lists: Path) -> None:
    def answer(document: dict[str, Any]) -> str:
        thought = "<think>どれが似ているか、見た目から考える。"
        return thought if document["max_tokens"] < 100 else f"{thought}</think>{min(choices_of(document))}"

    with model_server(answer) as served:
        outcome, _ = ranked(lists, served.endpoint, "--in-flight", 1)
        assert outcome.code == 0, outcome.error
        assert sum(document["max_tokens"] < 100 for document in served.requests) == 1


def test_a_wrong_key_is_named_before_anything_is_asked(lists: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANKING_KEY", "wrong")
    with model_server(alphabetical, key="right") as served:
        outcome, _ = ranked(lists, served.endpoint, "--api-key-env", "RANKING_KEY")
        assert outcome.code == 2
        assert "does not take the key in RANKING_KEY (HTTP 401" in outcome.error
        assert "--api-key-env" in outcome.error
        assert served.requests == []


def test_retries_are_not_said_one_by_one(lists: Path, caplog: pytest.LogCaptureFixture) -> None:
    seen: list[int] = []

    def stumbling(document: dict[str, Any]) -> str | int:
        seen.append(1)
        return 503 if len(seen) == 2 else alphabetical(document)

    with model_server(stumbling) as served:
        outcome, _ = ranked(lists, served.endpoint)
    assert outcome.code == 0, outcome.error
    assert not [record for record in caplog.records if "stamina" in record.name]


def test_costs_are_told_before_and_after(lists: Path) -> None:
    with model_server(alphabetical) as served:
        outcome, _ = ranked(lists, served.endpoint)
    assert "is asked at most 36 times" in outcome.output
    assert f"The ranking took {len(served.requests)} calls, " in outcome.output


def test_what_a_model_says_can_be_right_at_once_never_shares_a_question(tmp_path: Path) -> None:
    names = ["寿司", "刺身", "桃", "梨", "茶", "米", "酒", "塩"]
    path = tmp_path / "classes.json"
    path.write_text(json.dumps({"食": names}, ensure_ascii=False), encoding="utf-8")

    def answer(document: dict[str, Any]) -> str:
        text: str = document["messages"][0]["content"]
        if "なければ" not in text:
            first = "刺身" if "正解は「寿司」" in text else "寿司"
            return first if first in choices_of(document) else choices_of(document)[0]
        other = "刺身" if "正解が「寿司」" in text else "寿司" if "正解が「刺身」" in text else "なし"
        return other if other in choices_of(document) else "なし"

    with model_server(answer) as served:
        outcome, out = ranked(path, served.endpoint)
    assert outcome.code == 0, outcome.error
    assert "Kept apart, as both can be right for one picture: 刺身/寿司" in outcome.output
    part = load_distractors(out).subsets["食"]
    assert [set(pair) for pair in part.both_true] == [{"寿司", "刺身"}]
    assert not any({"寿司", "刺身"} <= set(option_set.classes) for option_set in part.option_sets)


def test_a_model_that_stumbles_once_is_forgiven(lists: Path) -> None:
    seen: list[int] = []

    def stumbling(document: dict[str, Any]) -> str:
        seen.append(1)
        return "さくらんぼ" if len(seen) == 1 else alphabetical(document)

    with model_server(stumbling) as served:
        assert ranked(lists, served.endpoint)[0].code == 0


def test_a_server_that_refuses_ends_in_a_sentence_and_keeps_the_answers(lists: Path) -> None:
    def failing(document: dict[str, Any]) -> str | int:
        return 400 if len(listed(document)) == 4 else alphabetical(document)

    with model_server(failing) as served:
        outcome, out = ranked(lists, served.endpoint)
    assert outcome.code == 2
    assert "could not be asked" in outcome.error
    assert not out.exists()
    assert out.with_suffix(".answers.jsonl").read_text(encoding="utf-8")


def test_a_journal_that_was_cut_short_is_read_as_far_as_it_goes(lists: Path) -> None:
    with model_server(alphabetical) as served:
        _, out = ranked(lists, served.endpoint)
        calls, text = len(served.requests), out.read_bytes()
        journal = out.with_suffix(".answers.jsonl")
        journal.write_bytes(journal.read_bytes()[: len(journal.read_bytes()) // 2])
        assert ranked(lists, served.endpoint)[0].code == 0
        assert 0 < len(served.requests) - calls < calls
        assert out.read_bytes() == text


def test_llm_without_an_endpoint_is_refused(lists: Path) -> None:
    outcome = command("distractors", "--classes", lists, "--ranker", "llm", "--out", lists.with_name("d.json"))
    assert outcome.code == 2
    assert "--endpoint" in outcome.error


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[", "not valid JSON"),
        ('"桜"', "write an object of subsets"),
        ('{"花": ["桜", "梅", "バラ"]}', "花: it has 3 classes, but a question needs 4"),
        ('{"花": ["桜", "梅", "バラ", "桜"]}', "are one name"),
        ('{"花": ["桜", "サクラ", "バラ", "ユリ", "キク"]}', "桜/サクラ name the same thing"),
        (
            '{"花": ["桜", "梅", "バラ", "ユリ", {"name": "キク", "aliases": ["バラ"]}]}',
            "バラ/キク name the same thing",
        ),
        ('{"花": {"word": "花", "classes": ["桜", "梅", "バラ", "ユリ"], "colour": 1}}', "colour"),
        ('{"花": ["桜", "梅", "バラ", 7]}', "花"),
        ('{"花": ["桜", "山桜", "桜草", "桜餅", "八重桜", "梅"]}', "can stand in no question"),
        ("{}", "subsets"),
    ],
)
def test_bad_class_lists_end_in_a_sentence(tmp_path: Path, content: str, says: str) -> None:
    (tmp_path / "c.json").write_text(content, encoding="utf-8")
    outcome = command("distractors", "--classes", tmp_path / "c.json", "--out", tmp_path / "d.json")
    assert outcome.code == 2
    assert says in outcome.error
    assert not (tmp_path / "d.json").exists()


def test_two_things_that_sound_alike_may_be_declared_distinct(tmp_path: Path) -> None:
    lists = {"食": {"classes": ["カキ", "柿", "梨", "桃", "栗", "餅"], "distinct": [["カキ", "柿"]]}}
    (tmp_path / "c.json").write_text(json.dumps(lists, ensure_ascii=False), encoding="utf-8")
    assert command("distractors", "--classes", tmp_path / "c.json", "--out", tmp_path / "d.json").code == 0
    for option_set in load_distractors(tmp_path / "d.json").subsets["食"].option_sets:
        assert not {"カキ", "柿"} <= set(option_set.classes)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda d: d | {"method": "random"}, "method"),
        (lambda d: d | {"extra": 1}, "extra"),
        (lambda d: d["subsets"]["花壇"]["similarity"].update({"桜": {"松": 0.5}}) or d, "松 is not in the class list"),
    ],
)
def test_a_changed_distractors_file_is_refused(lists: Path, tmp_path: Path, change: Any, says: str) -> None:
    path = tmp_path / "d.json"
    assert command("distractors", "--classes", lists, "--out", path).code == 0
    path.write_text(json.dumps(change(json.loads(path.read_text(encoding="utf-8")))), encoding="utf-8")
    outcome = command("build", "--images", tmp_path / "t.csv", "--distractors", path, "--out", tmp_path / "b")
    assert outcome.code == 2
    assert says in outcome.error


def test_a_real_server_is_held_to_the_list(tiny_server: TinyServer, lists: Path) -> None:
    """The tiny model knows nothing of ranking; structured outputs keep it to the candidates all the same."""
    outcome, out = ranked(lists, tiny_server.url, "--model", tiny_server.model)
    assert outcome.code == 0, outcome.error
    made = load_distractors(out)
    assert made.ranker.model == tiny_server.model
    assert all(len(row) >= 3 for row in made.subsets["花壇"].similarity.values())
