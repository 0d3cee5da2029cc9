"""A translation loses no turn, no number and no sign: whatever a translator does, no fault of structure is kept."""

import io
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from benchmarks.translation import (
    CONTENT,
    STRUCTURE,
    FaultyTranslator,
    dialogues,
    false_alarms,
    outcome,
    outcomes,
    right_translations,
    translate,
)
from datagen.failures import Failure
from datagen.inspection.recutting import recut
from datagen.pipeline.preview import preview
from datagen.recipe_file import load_recipe
from datagen.records import MessageRecord
from datagen.stages.readers.translating.marks import mark_faults, marked, unmarked
from datagen.stages.readers.translating.numbered import numbered, read_back
from datagen.stages.sample import Sample
from datagen.store.policies import read_policy
from filters import load_policy
from tests.conftest import ROOT
from tests.without_ray import run_here, shard_digests, without_ray

POLICY = load_policy("translated")
RECIPE = ROOT / "examples" / "recipes" / "translated_dialogue.yaml"


def said(*texts: str) -> list[MessageRecord]:
    roles: Any = ("user", "assistant") * len(texts)
    return [MessageRecord(role=role, content=text) for role, text in zip(roles, texts, strict=False)]


@pytest.mark.parametrize("name", STRUCTURE)
def test_no_fault_of_structure_is_kept(name: str) -> None:
    counted = outcomes({name: STRUCTURE[name]}, POLICY)[name]
    assert counted.total() > 10
    assert counted["kept and wrong"] == 0
    assert counted["dropped"] == 0  # the strict reading sees it, and no rule has to


@pytest.mark.parametrize("name", CONTENT)
def test_faults_of_content_that_show_in_the_text_are_dropped(name: str) -> None:
    counted = outcomes({name: CONTENT[name]}, POLICY)[name]
    assert counted.total() > 10
    assert counted["kept and wrong"] == counted["right"] == 0


def test_right_translations_are_kept() -> None:
    english, right = dialogues(), right_translations()
    pairs = [
        (before.content, after.content)
        for name, messages in english.items()
        for before, after in zip(messages, right[name], strict=True)
    ]
    assert len(pairs) > 100
    assert false_alarms(pairs)["any"] == 0
    for name, messages in english.items():
        assert outcome(messages, right[name], lambda lines, draw: lines, POLICY) == "right"


@pytest.mark.parametrize("name", STRUCTURE)
def test_a_fault_is_named_and_asked_for_once_more(name: str) -> None:
    messages = next(messages for key, messages in dialogues().items() if key == "dialogue-06")
    sample, engine = Sample("1", messages=list(messages)), FaultyTranslator(STRUCTURE[name], most=1)
    translate(sample, engine)
    assert sample.messages == right_translations()["dialogue-06"]
    assert sample.original == messages
    assert [call.attempt for call in sample.calls] == [1, 2]
    assert "前の訳には次の誤りがありました" not in engine.requests[0]
    assert "前の訳には次の誤りがありました" in engine.requests[1]


def test_what_fails_as_a_whole_is_translated_text_by_text_with_the_ones_before_in_view() -> None:
    messages = dialogues()["dialogue-01"]
    sample, engine = Sample("1", messages=list(messages)), FaultyTranslator(STRUCTURE["texts change places"])
    translate(sample, engine)
    right = right_translations()["dialogue-01"]
    assert sample.messages == right
    whole, alone = engine.requests[:2], engine.requests[2:]
    assert len(alone) == len(messages)
    assert all(f"[Q1] {messages[0].content}" in request for request in whole)
    assert f"Q1: {right[0].content}" in alone[1]
    assert f"[A1] {messages[1].content}" in alone[1]
    assert messages[0].content not in alone[1]
    assert len({call.seed for call in sample.calls}) == len(sample.calls)


def test_a_text_that_cannot_be_translated_fails_the_row_and_keeps_what_was_paid_for() -> None:
    messages = dialogues()["dialogue-06"]
    sample, engine = Sample("1", messages=list(messages)), FaultyTranslator(STRUCTURE["a mark is lost"])
    with pytest.raises(Failure) as failed:
        translate(sample, engine)
    assert failed.value.failure_class == "lost_structure"
    assert "is missing" in failed.value.message
    assert sample.messages == messages
    assert len(sample.calls) == len(engine.requests)


def test_a_caption_is_translated_with_its_conversation() -> None:
    messages = dialogues()["dialogue-02"]
    sample = Sample("1", messages=list(messages), caption="The rabbit is sitting.")
    translate(sample, FaultyTranslator())
    assert sample.caption == "うさぎは座っています。"
    assert sample.messages == right_translations()["dialogue-02"]


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("It costs $1,200.50 or 35%.", ["$1,200.50", "35%"]),
        ("See https://example.com/a?b=1, or mail a.b@example.com.", ["https://example.com/a?b=1", "a.b@example.com"]),
        ("The sign reads “NO ENTRY”.", ["NO ENTRY"]),
        ('He said "I love you" in the 1990s, on the 3rd.', []),
        ("A.  Cat\n(B) Dog", ["A.", "(B)"]),
        ("A cat and I.", []),
        ("<image>\nUse `ls -l` on <|endoftext|>.", ["<image>", "`ls -l`", "<|endoftext|>"]),
        ("[Q1] and ⟦7⟧ are no marks of ours.", ["[Q1]", "⟦7⟧"]),
    ],
)
def test_what_is_not_to_be_translated_goes_behind_marks(text: str, hidden: list[str]) -> None:
    assert list(marked(text).hidden.values()) == hidden


_wild = st.text(st.sampled_from('ab1 .,:\n[]()QA⟦⟧<>"`$%?A。「'), max_size=40) | st.sampled_from(
    ["[Q1] a", "⟦1⟧", "[A1]", "\n[Q2] b", '"STOP"', 'sign "⟦2⟧"', "```x", "B", "(C)"]
)


@given(_wild)
def test_marks_give_back_what_they_hide(text: str) -> None:
    found = marked(text, first=3)
    assert unmarked(found.text, found.hidden) == text
    assert not list(mark_faults(found.text, found.hidden))


@given(st.lists(_wild.filter(lambda text: text.strip()), min_size=1, max_size=6))
def test_a_dialogue_that_comes_back_as_it_went_is_read_as_it_was(texts: list[str]) -> None:
    made = numbered(said(*texts))
    assert read_back("\n".join(text.line for text in made), made) == [text.strip() for text in texts]


@given(st.lists(_wild.filter(lambda text: text.strip()), min_size=1, max_size=4), st.text(max_size=60), st.data())
def test_whatever_comes_back_is_read_whole_or_not_at_all(texts: list[str], junk: str, data: st.DataObject) -> None:
    made = numbered(said(*texts))
    answer = "\n".join(text.line for text in made)
    at = data.draw(st.integers(0, len(answer)))
    cut = data.draw(st.integers(at, len(answer)))
    try:
        found = read_back(answer[:at] + junk + answer[cut:], made)
    except Failure:
        return
    assert len(found) == len(texts)
    assert all(text.strip() for text in found)
    for text, translation in zip(made, found, strict=True):
        assert all(hidden in translation for hidden in text.marked.hidden.values())


def test_the_recipe_runs_as_it_stands_and_the_original_stays(tmp_path: Path) -> None:
    recipe = load_recipe(RECIPE)
    assert run_here(recipe, tmp_path / "out")["counts"]["kept"] == 24
    rows = {
        row["key"]: row
        for path in (tmp_path / "out" / "train").glob("*.parquet")
        for row in pq.read_table(path).to_pylist()
    }
    english, right = dialogues(), right_translations()
    for key, row in rows.items():
        assert row["original"] == [message.model_dump() for message in english[key]]
        assert row["messages"] == [message.model_dump() for message in right[key]]
        assert len(row["images"]) == 1
    with without_ray():
        recut(tmp_path / "out", read_policy("translated"), tmp_path / "again")
        recut(tmp_path / "out", read_policy("standard"), tmp_path / "standard")
    assert shard_digests(tmp_path / "again") == shard_digests(tmp_path / "out")


def test_a_preview_shows_the_numbered_request() -> None:
    shown = io.StringIO()
    preview(load_recipe(RECIPE, ["source.limit=1"]), 1, Console(file=shown, width=200))
    assert "[Q1] What animal is shown in the picture?" in shown.getvalue()
