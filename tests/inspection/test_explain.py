"""Explaining a row: everything as it was sent and found."""

from pathlib import Path

import pytest

import prompts.prompt
from datagen.errors import DatagenError
from datagen.inspection.explain import find_row, story
from prompts import load_prompt
from tests.inspection.conftest import rows_of


def told(run: Path, name: str) -> str:
    return "\n".join(line.plain for line in story(find_row(run, name)))


@pytest.fixture(scope="module")
def dropped(made_run: Path) -> str:
    return next(str(row["id"]) for row in rows_of(made_run, "id", "state") if row["state"] == "dropped")


def test_it_tells_the_picture_the_place_the_prompts_and_the_evidence(made_run: Path, dropped: str) -> None:
    row = find_row(made_run, dropped)
    story_of_row = told(made_run, dropped[:10])
    assert str(made_run.parent / "pictures" / row["key"]) in story_of_row
    assert row["pictures"][0]["sha256"] in story_of_row
    assert f"{row['shard']}, row {row['number']}" in story_of_row
    for call in row["calls"]:
        assert call["request"] in story_of_row
        assert call["answer"] in story_of_row
    finding = row["findings"][0]
    assert f"{finding['rule']} (drop) in message {finding['message']}" in story_of_row
    assert finding["evidence"] in story_of_row


def test_the_system_prompt_is_told_once_an_engine(made_run: Path, dropped: str) -> None:
    assert told(made_run, dropped).count(load_prompt("caption").system) == 1


def test_a_prompt_that_has_changed_since_is_not_taken_for_the_one_that_was_sent(
    made_run: Path, dropped: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (Path(prompts.prompt.__file__).parent / "caption.yaml").read_text(encoding="utf-8")
    (tmp_path / "caption.yaml").write_text(text.replace("user: |-", "user: |-\n  別の指示。"), "utf-8")
    monkeypatch.setattr(prompts.prompt.PROMPTS, "_read", lambda path: prompts.prompt.read_prompt(tmp_path / path.name))
    assert "the prompt 'caption' has changed since" in told(made_run, dropped)


def test_failed_rows_are_explained_by_their_key(made_run: Path) -> None:
    assert "failed: not_an_image" in told(made_run, "broken.jpg")


def test_a_name_that_fits_nothing_or_too_much_is_refused(made_run: Path) -> None:
    with pytest.raises(DatagenError, match="has no row with the id or key '%'"):
        find_row(made_run, "%")
    with pytest.raises(DatagenError, match="fits several rows"):
        find_row(made_run, "")
