"""A mix is met, whatever is dropped or fails, by the same images after any start, and the run ends when it is met."""

import io
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from datagen.errors import DatagenError
from datagen.inspection.recutting import recut
from datagen.inspection.report import report_of
from datagen.pipeline.filtering import filter_rows
from datagen.pipeline.mixing import Tally, bounds_of, by_shares, limited, spread
from datagen.pipeline.preview import preview_rows
from datagen.pipeline.summary import print_summary
from datagen.recipe import Output
from datagen.store.journal import Journal
from datagen.store.mix_plan import MixPlan
from datagen.store.policies import read_policy
from datagen.store.quotas import quotas_of
from tests.conftest import FakeServer, MakeRecipe, write_pictures
from tests.killing import Killed, killed_after
from tests.pipeline.test_growing import asked
from tests.without_ray import run_here, shard_digests, without_ray

STAGES = [
    {"prompt": "caption_short", "engine": "vlm"},
    {"prompt": "counting", "engine": "vlm", "purpose": "counting", "attempts": 1},
    {"prompt": "yes_or_no", "engine": "vlm", "purpose": "yes_or_no", "attempts": 1},
    {"prompt": "question_answer", "engine": "vlm", "purpose": "talk", "repeat": 2, "attempts": 1},
]
A_THIRD = {"kind": "off_schema", "share": 1 / 3}
"""Of the requests fail, always those of the same seeds."""


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("mix") / "photos", 160)


@pytest.fixture
def recipe_of(photos: Path, fake_server: FakeServer, make_recipe: MakeRecipe) -> Any:
    def made(mix: dict[str, Any], **changes: Any) -> Any:
        recipe = {"stages": STAGES, "mix": mix, "stop_when__alike": 0, "output__part_rows": 16}
        return make_recipe(photos, fake_server.endpoint, **{**recipe, **changes})

    return made


def rows(out: Path) -> list[dict[str, Any]]:
    return [row for path in shard_digests(out) for row in pq.read_table(out / path).to_pylist()]


def kept_of(out: Path) -> Counter[str]:
    return Counter(row["task"] for row in rows(out) if row["state"] == "kept")


NUMBERS = {"counting": 12, "yes_or_no": 7, "talk": 9}


def test_numbers_are_met_exactly_by_a_model_that_fails_a_third_of_the_time(
    recipe_of: Any, fake_server: FakeServer, tmp_path: Path
) -> None:
    fake_server.fail(A_THIRD)
    manifest = run_here(recipe_of({"numbers": NUMBERS}), tmp_path / "out")
    assert kept_of(tmp_path / "out") == NUMBERS == manifest["mix"]
    made = [row for row in rows(tmp_path / "out") if row["calls"]]
    assert Counter(row["state"] for row in made)["failed"] > 10
    over = [row for row in made if any(found["rule"] == "over_quota" for found in row["findings"])]
    assert len(over) < 0.1 * len(made)  # hardly any image is made in vain
    assert manifest["counts"]["inputs"] < 160 == manifest["listed"]
    assert asked(fake_server) == sum(len(row["calls"]) for row in made)


def test_a_row_is_asked_for_its_purpose_alone(recipe_of: Any, tmp_path: Path) -> None:
    run_here(recipe_of({"numbers": NUMBERS}), tmp_path / "out")
    wanted = {
        "counting": ["caption_short", "counting"],
        "yes_or_no": ["caption_short", "yes_or_no"],
        "talk": ["caption_short", "question_answer", "question_answer"],
    }
    for row in rows(tmp_path / "out"):
        if row["calls"]:
            assert [call["prompt"] for call in row["calls"]] == wanted[row["task"]]
        else:
            assert [finding["rule"] for finding in row["findings"]] == ["not_needed"]
            assert row["images"] == []


def test_what_is_too_much_is_dropped_by_name_and_nothing_else_is(recipe_of: Any, tmp_path: Path) -> None:
    run_here(recipe_of({"numbers": {"counting": 30, "yes_or_no": 1, "talk": 1}}), tmp_path / "out")
    assert kept_of(tmp_path / "out") == {"counting": 30, "yes_or_no": 1, "talk": 1}
    rules = Counter(finding["rule"] for row in rows(tmp_path / "out") for finding in row["findings"])
    assert set(rules) <= {"not_needed", "over_quota", "question_in_answer"}


@pytest.mark.parametrize("stops", [0, 1, 3, 10, 25, 40])
def test_the_same_images_serve_the_same_purposes_after_any_kill(
    stops: int, recipe_of: Any, fake_server: FakeServer, tmp_path: Path
) -> None:
    fake_server.fail(A_THIRD)
    recipe = recipe_of({"numbers": NUMBERS}, in_flight=4)
    run_here(recipe, tmp_path / "expected")
    with pytest.raises((Killed, BaseExceptionGroup)), killed_after(stops, [Journal], "append"):
        run_here(recipe, tmp_path / "out")
    run_here(recipe, tmp_path / "out")
    assert shard_digests(tmp_path / "out") == shard_digests(tmp_path / "expected")
    plans = [(tmp_path / name / "mix.json").read_bytes() for name in ("expected", "out")]
    assert plans[0] == plans[1]


def test_shares_use_all_images_and_are_met_within_a_hundredth(
    recipe_of: Any, fake_server: FakeServer, tmp_path: Path
) -> None:
    fake_server.fail(A_THIRD)
    shares = {"counting": 0.2, "yes_or_no": 0.3, "talk": 0.5}
    manifest = run_here(recipe_of({"shares": shares}), tmp_path / "out")
    kept = kept_of(tmp_path / "out")
    assert manifest["counts"]["inputs"] == 160
    for purpose, share in shares.items():
        assert abs(kept[purpose] - share * kept.total()) <= max(1, 0.01 * kept.total()), kept
    over = [row for row in rows(tmp_path / "out") if any(found["rule"] == "over_quota" for found in row["findings"])]
    assert len(over) < 0.2 * kept.total()
    assert not [row for row in rows(tmp_path / "out") if not row["calls"]]


def test_shares_of_a_number_of_rows_end_the_run_there(recipe_of: Any, tmp_path: Path) -> None:
    manifest = run_here(
        recipe_of({"shares": {"counting": 0.25, "yes_or_no": 0.25, "talk": 0.5}, "rows": 20}), tmp_path / "out"
    )
    assert manifest["mix"] == {"counting": 5, "yes_or_no": 5, "talk": 10}


def test_images_that_run_out_are_told_and_more_of_them_go_on(
    recipe_of: Any, fake_server: FakeServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from datagen.pipeline.run import run
    from datagen.pipeline.summary import console

    numbers = {"counting": 20, "yes_or_no": 10, "talk": 10}
    short = run(recipe_of({"numbers": numbers}, source__limit=20), tmp_path / "out", console, where="local")
    print_summary(short)
    assert "The images are used up" in capsys.readouterr().out
    calls = asked(fake_server)
    kept = {row["id"] for row in rows(tmp_path / "out") if row["state"] == "kept"}
    whole = run(recipe_of({"numbers": numbers}), tmp_path / "out", console, where="local")
    print_summary(whole)
    told = " ".join(capsys.readouterr().out.split())
    assert "Mix: counting 20 (50.0%), yes_or_no 10 (25.0%), talk 10 (25.0%)" in told
    assert "more images of the source were not needed" in told
    assert kept_of(tmp_path / "out") == numbers
    assert kept <= {row["id"] for row in rows(tmp_path / "out") if row["calls"]}
    assert asked(fake_server) > calls


def test_a_failed_row_is_tried_again_for_the_purpose_that_it_had(
    recipe_of: Any, fake_server: FakeServer, tmp_path: Path
) -> None:
    fake_server.fail(A_THIRD)
    recipe = recipe_of({"numbers": NUMBERS})
    run_here(recipe, tmp_path / "out")
    failed = {row["id"]: row["task"] for row in rows(tmp_path / "out") if row["state"] == "failed"}
    fake_server.fail()
    run_here(recipe, tmp_path / "out", retry_failed=True)
    assert {row["id"]: row["task"] for row in rows(tmp_path / "out") if row["id"] in failed} == failed
    assert kept_of(tmp_path / "out") == NUMBERS


def test_another_policy_or_mix_is_another_run_and_a_recut_keeps_to_the_quotas(recipe_of: Any, tmp_path: Path) -> None:
    run_here(recipe_of({"numbers": NUMBERS}), tmp_path / "out")
    with pytest.raises(DatagenError, match="decided_by_policy was"):
        run_here(recipe_of({"numbers": NUMBERS}, policy="light"), tmp_path / "out")
    with pytest.raises(DatagenError, match=r"mix\.numbers\.talk was 9, now 10"):
        run_here(recipe_of({"numbers": {**NUMBERS, "talk": 10}}), tmp_path / "out")
    with without_ray():
        recut(tmp_path / "out", read_policy("light"), tmp_path / "light")
        recut(tmp_path / "out", read_policy("standard"), tmp_path / "same")
        filter_rows(tmp_path / "out", read_policy("standard"), tmp_path / "filtered", Output())
    assert all(kept <= NUMBERS[purpose] for purpose, kept in kept_of(tmp_path / "light").items())
    assert kept_of(tmp_path / "same") == kept_of(tmp_path / "filtered") == NUMBERS


def test_the_report_shows_the_mix_that_was_made(recipe_of: Any, tmp_path: Path) -> None:
    run_here(recipe_of({"numbers": NUMBERS}), tmp_path / "out")
    report = report_of(tmp_path / "out")
    assert {found.task: found.kept for found in report.mix.purposes if found.kept} == NUMBERS
    assert report.mix.questions[0].name in ("what", "where")


def test_a_preview_shows_every_purpose_in_turn(recipe_of: Any) -> None:
    shown = preview_rows(recipe_of({"numbers": NUMBERS}), 4, Console(file=io.StringIO()))
    assert [row.task for row, _ in shown.rows] == ["counting", "yes_or_no", "talk", "counting"]
    assert all(row.messages for row, _ in shown.rows)


def test_engines_that_work_one_after_the_other_meet_a_mix_too(
    recipe_of: Any, fake_server: FakeServer, tmp_path: Path
) -> None:
    stages = [{**stage, "engine": "vlm" if number == 0 else "writer"} for number, stage in enumerate(STAGES)]
    engines = {name: {"model": "fake-vlm", "endpoints": [fake_server.endpoint]} for name in ("vlm", "writer")}
    recipe = recipe_of({"numbers": NUMBERS}, stages=stages, engines=engines, one_after_the_other=True)
    run_here(recipe, tmp_path / "out")
    assert kept_of(tmp_path / "out") == NUMBERS


@given(st.dictionaries(st.sampled_from("abcd"), st.integers(0, 50), min_size=1), st.integers(1, 100))
def test_no_more_images_are_wanted_than_there_are(wanted: dict[str, int], most: int) -> None:
    found = limited(wanted, most)
    assert sum(found.values()) == min(sum(wanted.values()), most)
    assert all(found[name] <= count or sum(wanted.values()) > most for name, count in wanted.items())


@given(
    st.dictionaries(st.sampled_from("abcd"), st.integers(1, 50), min_size=1),
    st.lists(st.integers(0, 2**62), min_size=250, max_size=250, unique=True),
)
def test_bounds_take_exactly_as_many_images_as_are_wanted(wanted: dict[str, int], numbers: list[int]) -> None:
    import numpy as np

    plan = MixPlan().then([0], bounds_of(wanted, np.sort(np.array(numbers, np.int64))))
    taken = Counter(plan.purpose_of(0, number) for number in numbers)
    assert {name: taken[name] for name in wanted} == wanted


@given(
    st.lists(st.integers(1, 20), min_size=2, max_size=4),
    st.lists(st.tuples(st.integers(0, 40), st.floats(0, 1)), min_size=4, max_size=4),
    st.integers(1, 200),
)
def test_shares_are_planned_for_all_images_that_are_left(
    weights: list[int], made: list[tuple[int, float]], left: int
) -> None:
    shares = {"abcd"[number]: weight / sum(weights) for number, weight in enumerate(weights)}
    taken = Counter({name: rows for name, (rows, _) in zip(shares, made, strict=False)})
    kept = Counter({name: int(rows * rate) for name, (rows, rate) in zip(shares, made, strict=False)})
    assert sum(by_shares(shares, Tally(taken, kept), left, left).values()) == left
    assert sum(spread(shares, left).values()) == left


@given(st.dictionaries(st.sampled_from("abc"), st.integers(1, 400), min_size=3, max_size=3))
def test_quotas_of_shares_are_met_by_what_was_kept(kept: dict[str, int]) -> None:
    shares = {"a": 0.5, "b": 0.3, "c": 0.2}
    quotas = quotas_of(shares, kept)
    assert all(quotas[name] <= kept[name] for name in shares)
    assert all(abs(quotas[name] - share * sum(quotas.values())) <= 1.5 for name, share in shares.items())


@pytest.mark.parametrize(
    ("mix", "told"),
    [
        ({"shares": {"talk": 0.5}}, "the shares are 0.5 together"),
        ({"shares": {"talk": 1}, "numbers": {"talk": 3}}, "one of the two"),
        ({}, "give shares of the kept rows, or numbers"),
        ({"numbers": {"talk": 3}, "rows": 4}, "rows goes with shares alone"),
        ({"numbers": {"talk": 3, "counting": 1, "tlk": 1, "yes_or_no": 1}}, "mix names the purpose 'tlk'"),
        ({"numbers": {"talk": 3, "counting": 1}}, "stages.2.purpose 'yes_or_no' is not in mix"),
    ],
)
def test_a_mix_that_cannot_be_is_one_sentence(mix: dict[str, Any], told: str, recipe_of: Any) -> None:
    with pytest.raises(DatagenError) as refused:
        recipe_of(mix)
    assert told in str(refused.value)
