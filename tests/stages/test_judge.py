"""A judge records a score with its reason; the policy alone says what follows from it."""

import asyncio
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from datagen.failures import Failure
from datagen.inspection.report import report_of
from datagen.records import MessageRecord
from datagen.stages.readers import reader
from datagen.stages.runner import StageRunner
from datagen.stages.sample import Sample, Turn
from prompts import load_prompt
from tests.conftest import FakeServer, MakeRecipe, write_pictures
from tests.stages.test_runner import PAIR, PICTURE, STAGES, Script, recipe
from tests.without_ray import run_here

JUDGE = {"prompt": "faithfulness", "engine": "vlm"}
PROMPT = load_prompt("faithfulness")


def read(text: str, *turns: Turn) -> Sample:
    sample = Sample("1", messages=[MessageRecord(role="system", content="日本語で。")])
    for turn in turns:
        sample.add(turn)
    reader("score").read(text, PROMPT, False, sample, None)  # type: ignore[arg-type]  # a judge draws nothing
    return sample


def test_a_score_of_the_row_and_scores_of_answers_are_read() -> None:
    (score,) = read('{"score": 0.25, "reason": "色が違う"}').scores
    assert (score.name, score.value, score.reason, score.message) == ("faithfulness", 0.25, "色が違う", None)
    two = '{"scores": [{"turn": 2, "score": 1}, {"turn": 1, "score": "0.5", "reason": "r"}]}'
    scores = read(two, Turn("一？", "一。"), Turn("二？", "二。")).scores
    assert [(score.value, score.message) for score in scores] == [(1.0, 4), (0.5, 2)]


@pytest.mark.parametrize(
    "text",
    [
        "0.8",
        '{"score": "高い"}',
        '{"score": NaN, "reason": ""}',
        '{"reason": "r"}',
        '{"scores": [{"turn": 3, "score": 1}]}',
        '{"scores": [{"turn": 0, "score": 1}]}',
        '{"score": 1} {"score": 0}',
        '{"score": true, "sco',
    ],
)
def test_what_is_no_score_is_asked_for_again(text: str) -> None:
    with pytest.raises(Failure) as failure:
        read(text, Turn("一？", "一。"))
    assert failure.value.failure_class == "unparsable_answer"


def test_a_judge_sees_the_picture_and_the_dialogue_and_not_how_it_was_written() -> None:
    client = Script(PAIR, '{"score": 1, "reason": ""}')
    sample = Sample("row", (PICTURE,))
    asyncio.run(StageRunner(recipe([{**STAGES[1], "repeat": 1}, JUDGE]), {"vlm": client}).run(sample))
    system, asked = client.messages(1)
    assert system["content"] == PROMPT.system
    assert [part["type"] for part in asked["content"]] == ["image_url", "text"]
    assert "回答1：桜です。" in asked["content"][1]["text"]
    assert len(sample.turns) == 1


def test_the_policy_decides_by_a_judges_score_and_no_call_is_made_for_another_bound(
    tmp_path: Path, fake_server: FakeServer, make_recipe: MakeRecipe
) -> None:
    pictures = write_pictures(tmp_path / "pictures", 8)
    stages = [{"prompt": "question_answer", "engine": "vlm"}, JUDGE]
    made = make_recipe(pictures, fake_server.endpoint, stages=stages)
    dropped = {}
    for bound in (0.0, 0.5, 1.0):
        path = tmp_path / f"{bound}.yaml"
        path.write_text(f"rules: [{{score: faithfulness, at_least: {bound}}}]", encoding="utf-8")
        manifest = run_here(made.model_copy(update={"policy": str(path)}), tmp_path / "out")
        dropped[bound] = manifest["counts"]["dropped"]
    rows = [row for path in (tmp_path / "out" / "parts").glob("*.parquet") for row in pq.read_table(path).to_pylist()]
    scores = [score["value"] for row in rows for score in row["scores"]]
    assert len(scores) == 8
    assert dropped == {bound: sum(score < bound for score in scores) for bound in (0.0, 0.5, 1.0)}
    assert fake_server.statistics()["requests"] == 2 * 8
    (found,) = (each for each in report_of(tmp_path / "out").distributions if each.name == "score:faithfulness")
    assert not found.whole
    assert sum(each.before for each in found.bins) == 8
    for each in found.bins[:-1]:
        assert each.before == sum(each.low <= score < each.high for score in scores)
