"""Repairs in runs: what they save, that they cost no call, and that the plain policy gives the plain rows back."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from datagen.errors import DatagenError
from datagen.inspection.explain import find_row, story
from datagen.inspection.recutting import recut
from datagen.inspection.report import report_of
from datagen.pipeline.filtering import filter_rows
from datagen.pipeline.summary import sample_lines
from datagen.recipe import Output
from datagen.records import ASKED_AGAIN
from datagen.store.policies import read_policy
from tests.conftest import FakeServer, MakeRecipe
from tests.pipeline.test_growing import asked
from tests.without_ray import run_here, shard_digests, without_ray


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Files of the policy `standard` whose question rule trims or drops the turn, and of one against retries."""
    folder = tmp_path_factory.mktemp("policies")
    rules = read_policy("standard").to_dict()["rules"]
    made = {"drop": "standard"}
    for action in ("trim", "drop_turn"):
        changed = [{**rule, "action": action} if rule.get("rule") == "question_in_answer" else rule for rule in rules]
        (folder / f"{action}.yaml").write_text(yaml.safe_dump({"name": action, "rules": changed}), encoding="utf-8")
        made[action] = str(folder / f"{action}.yaml")
    (folder / "once.yaml").write_text(
        yaml.safe_dump({"name": "once", "rules": [*rules, {"score": ASKED_AGAIN, "at_most": 0}]}), encoding="utf-8"
    )
    return made | {"once": str(folder / "once.yaml")}


def rows(out: Path, state: str = "train") -> list[dict[str, Any]]:
    return [row for path in sorted((out / state).glob("*")) for row in pq.read_table(path).to_pylist()]


@pytest.mark.parametrize("action", ["trim", "drop_turn"])
def test_a_repairing_policy_keeps_more_rows_and_the_plain_one_gives_its_own_back(
    action: str,
    policies: dict[str, str],
    pictures: Path,
    fake_server: FakeServer,
    make_recipe: MakeRecipe,
    tmp_path: Path,
) -> None:
    plain, repaired = tmp_path / "plain", tmp_path / "repaired"
    stages = {"stages__1__repeat": 4, "output__shard_bytes": 20_000}
    counts = run_here(make_recipe(pictures, fake_server.endpoint, **stages), plain)["counts"]
    before = asked(fake_server)
    recipe = make_recipe(pictures, fake_server.endpoint, policy=policies[action], **stages)
    more = run_here(recipe, repaired)["counts"]
    assert asked(fake_server) == 2 * before
    assert more["kept"] > counts["kept"]
    mended = [row for row in rows(repaired) if row["repairs"]]
    assert len(mended) == more["kept"] - counts["kept"]
    assert {repair["action"] for row in mended for repair in row["repairs"]} == {action}
    assert not any("ありますか" in message["content"] for row in mended for message in row["messages"])
    with without_ray():
        recut(plain, read_policy(policies[action]), tmp_path / "cut with repairs")
        recut(repaired, read_policy("standard"), tmp_path / "cut without")
        filter_rows(repaired, read_policy("standard"), tmp_path / "filtered", Output(shard_bytes=20_000))
    assert shard_digests(tmp_path / "cut with repairs") == shard_digests(repaired)
    assert shard_digests(tmp_path / "cut without") == shard_digests(plain) == shard_digests(tmp_path / "filtered")
    run_here(make_recipe(pictures, fake_server.endpoint, **stages), repaired)  # the same run by the plain policy
    assert shard_digests(repaired) == shard_digests(plain)
    assert asked(fake_server) == 2 * before


def test_what_was_saved_is_told(
    policies: dict[str, str], pictures: Path, fake_server: FakeServer, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    recipe = make_recipe(pictures, fake_server.endpoint, policy=policies["trim"], stages__1__repeat=3)
    manifest = run_here(recipe, tmp_path / "out")
    mended = [row for row in rows(tmp_path / "out") if row["repairs"]]
    (found,) = report_of(tmp_path / "out").saved
    assert (found.action, found.rule, found.saved) == ("trim", "question_in_answer", len(mended))
    assert found.characters == sum(len(repair["text"]) for row in mended for repair in row["repairs"])
    assert found.tried == len(mended) + manifest["counts"]["dropped"]
    told = "\n".join(line.plain for line in story(find_row(tmp_path / "out", mended[0]["id"])))
    assert "trim took 「ほかに知りたいことはありますか？」" in told
    assert any("✂ trim" in line.plain for line in sample_lines(mended[0]))


def test_other_peoples_conversations_are_repaired_by_filter(policies: dict[str, str], tmp_path: Path) -> None:
    asking = "桜です。ほかに知りたいことはありますか？"
    given = [
        {"id": 1, "question": "何？", "answer": asking, "mine": "a"},
        {"id": 2, "question": "何色？", "answer": "白です。", "mine": "b"},
    ]
    pq.write_table(pa.Table.from_pylist(given), tmp_path / "pairs.parquet")
    messages = [{"role": "user", "content": "何？", "weight": 1}, {"role": "assistant", "content": asking, "weight": 2}]
    pq.write_table(pa.Table.from_pylist([{"id": "1", "messages": messages, "mine": 3}]), tmp_path / "own.parquet")
    for name in ("pairs.parquet", "own.parquet"):
        with without_ray():
            filter_rows(tmp_path / name, read_policy(policies["trim"]), tmp_path / f"{name} out", Output())
            filter_rows(tmp_path / f"{name} out", read_policy("standard"), tmp_path / f"{name} back", Output())
    trimmed = {row["id"]: row for row in rows(tmp_path / "pairs.parquet out")}
    assert trimmed["1"]["answer"] == "桜です。"
    assert trimmed["2"] == {**trimmed["2"], "answer": "白です。", "repairs": [], "mine": "b"}
    (own,) = rows(tmp_path / "own.parquet out")
    assert own["messages"] == [messages[0], {**messages[1], "content": "桜です。"}]
    assert own["mine"] == 3
    assert rows(tmp_path / "pairs.parquet back", "dropped")[0]["answer"] == asking
    assert rows(tmp_path / "own.parquet back", "dropped")[0]["messages"] == messages


def test_an_answer_that_the_policy_would_drop_is_asked_for_again(
    policies: dict[str, str], pictures: Path, fake_server: FakeServer, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    plain = run_here(make_recipe(pictures, fake_server.endpoint, stages__1__repeat=3), tmp_path / "plain")
    before = asked(fake_server)
    again = {"stages__0__on_drop": "retry", "stages__1__on_drop": "retry", "stages__1__repeat": 3}
    recipe = make_recipe(pictures, fake_server.endpoint, **again)
    manifest = run_here(recipe, tmp_path / "out")
    kept, others = rows(tmp_path / "out"), rows(tmp_path / "out", "dropped")
    scores = [score for row in kept + others for score in row["scores"] if score["name"] == ASKED_AGAIN]
    assert manifest["counts"]["kept"] > plain["counts"]["kept"]
    assert asked(fake_server) - before >= before + sum(score["value"] for score in scores) - len(others) * 3
    assert all(score["reason"].startswith("question_in_answer: ") for score in scores)
    assert {call["attempt"] for row in kept for call in row["calls"]} > {1}
    saved = [row for row in kept if row["scores"]]
    (found,) = report_of(tmp_path / "out").saved
    assert (found.action, found.saved) == ("retry", len(saved))
    with without_ray():
        recut(tmp_path / "out", read_policy(policies["once"]), tmp_path / "once")
    untouched = {row["id"]: row["messages"] for row in rows(tmp_path / "plain")}
    assert {row["id"]: row["messages"] for row in rows(tmp_path / "once")} == untouched


def test_a_run_that_asks_again_is_refused_another_policy(
    policies: dict[str, str], pictures: Path, fake_server: FakeServer, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    def recipe(**further: Any) -> Any:
        return make_recipe(pictures, fake_server.endpoint, stages__1__on_drop="retry", source__limit=3, **further)

    run_here(recipe(), tmp_path / "out")
    with pytest.raises(DatagenError, match="decided_by_policy was"):
        run_here(recipe(policy="light"), tmp_path / "out")
    run_here(recipe(), tmp_path / "out")
