"""Turns are question-answer pairs, by the roles of the messages, whatever stands before or between them."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datagen.files.writing import write_json
from datagen.inspection.explain import find_row, story
from datagen.inspection.report import Report, report_of
from datagen.inspection.report_page import write_report_page
from datagen.inspection.reviews import write_sheet
from datagen.inspection.samples import take_cards
from datagen.inspection.stored_rows import StoredRows
from datagen.pipeline.summary import sample_lines
from datagen.recipe import Output
from datagen.records import Row, shard_schema
from datagen.store.judged_shards import RollingShards
from datagen.store.manifest import PROVENANCE
from datagen.store.policies import policy_facts
from filters import load_policy

SYSTEM = ("system", "あなたは何でも答えます。")
ASKED = ("user", "何ですか？")
PLAIN = ("assistant", "犬です。")
RULE = "question_in_answer"
# Roles and texts, and for each message the turn that it is in; findings are put into every message and the caption.
CONVERSATIONS = {
    "questions and answers": ([ASKED, PLAIN, ASKED, PLAIN], ["1", "1", "2", "2"]),
    "a system message": ([SYSTEM, ASKED, PLAIN, ASKED, PLAIN], ["system", "1", "1", "2", "2"]),
    "a greeting": ([PLAIN, ASKED, PLAIN, ASKED, PLAIN], ["1", "1", "1", "2", "2"]),
    "two system messages": ([SYSTEM, ASKED, PLAIN, SYSTEM, ASKED, PLAIN], ["system", "1", "1", "system", "2", "2"]),
    "a question in two messages": ([ASKED, ASKED, PLAIN, ASKED, PLAIN], ["1", "1", "1", "2", "2"]),
    "a tool": ([SYSTEM, ASKED, ("tool", "{}"), PLAIN], ["system", "1", "1", "1"]),
}
ROLES = st.sampled_from(["system", "user", "assistant", "tool"])


def write_rows(out: Path, conversations: list[list[tuple[str, str]]], caption: str = "") -> Path:
    """Write a run whose every message, and caption, has a finding of its own rule name."""
    rows: list[dict[str, Any]] = []
    for number, messages in enumerate(conversations):
        row = Row(id=f"row-{number}", key=f"{number}.jpg", source="s", task="t", state="dropped", caption=caption)
        places = [*range(len(messages)), *([-1] if caption else [])]
        findings = [
            {"rule": RULE, "message": turn, "start": 0, "end": 1, "text": "あ", "evidence": f"{turn}"}
            for turn in places
        ]
        said = [{"role": role, "content": content} for role, content in messages]
        rows.append(row.model_dump(by_alias=True) | {"messages": said, "findings": findings, "images": []})
    (out / "dropped").mkdir(parents=True)
    shards = RollingShards(out / "dropped", "dropped", shard_schema(), Output())
    shards.write(pa.Table.from_pylist(rows, shard_schema()))
    policy = load_policy({"name": "questions", "rules": [RULE]})
    counts = {"inputs": len(rows), "kept": 0, "dropped": len(rows), "failed": 0}
    facts = {"task": "t", "policy": policy_facts(policy), "counts": counts, "failures": {}, "shards": shards.close()}
    write_json(out / "manifest.json", {**PROVENANCE, **facts})
    return out


def by_turn(report: Report) -> dict[str, tuple[int, int]]:
    (grouping,) = (grouping for grouping in report.groupings if grouping.by == "turn")
    return {group.name: (group.hits.get(RULE, 0), group.rows) for group in grouping.groups}


@pytest.mark.parametrize("kind", CONVERSATIONS)
def test_findings_count_for_the_pair_that_they_are_in(kind: str, tmp_path: Path) -> None:
    messages, turns = CONVERSATIONS[kind]
    report = report_of(write_rows(tmp_path / "run", [messages, [ASKED, PLAIN]], caption="あ"))
    found = by_turn(report)
    assert list(found) == sorted({"caption", *turns}, key=lambda name: (name.isdigit(), name))
    assert found["caption"] == (2, 2)
    assert found["1"] == (2, 2)
    assert found.get("2") == ((1, 1) if "2" in turns else None)
    assert found.get("system") == ((1, 1) if "system" in turns else None)
    pairs = next(found for found in report.distributions if found.name == "conversation_turns")
    assert (pairs.bins[0].low, pairs.bins[-1].low) == (1, 2 if "2" in turns else 1)


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(conversations=st.lists(st.lists(ROLES, min_size=1, max_size=7), min_size=1, max_size=9))
def test_every_finding_is_in_a_group_and_no_group_has_more_hits_than_rows(
    conversations: list[list[str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    out = tmp_path_factory.mktemp("turns") / "run"
    found = by_turn(report_of(write_rows(out, [[(role, "あ") for role in roles] for roles in conversations])))
    assert all(0 < hits == rows for hits, rows in found.values())


def test_sheets_and_pages_name_turns_and_speakers(tmp_path: Path) -> None:
    run = write_rows(tmp_path / "run", [[SYSTEM, ASKED, PLAIN, ASKED, PLAIN]])
    sheet = write_sheet(run, RULE, 5, 0, tmp_path / "sheets")
    assert "t · system" in sheet.csv.read_text(encoding="utf-8-sig")
    write_report_page(run, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count('<div class="tells">') == 1
    assert page.count('<div class="asks">') == page.count('<div class="answers">') == 2
    assert '<th><span class="t" lang="ja">指示</span><span class="t" lang="en">system</span></th>' in page
    row = find_row(run, "row-0")
    told = [line.plain for line in story(row)]
    assert "指示  あなたは何でも答えます。" in told
    assert "問  何ですか？" in told
    assert "答  犬です。" in told
    assert "  system あなたは何でも答えます。" in [line.plain for line in sample_lines(row)]
    with StoredRows(run) as stored:
        (card,) = take_cards(stored, [0])
    assert [message.role for message in card.messages][:2] == ["system", "user"]
