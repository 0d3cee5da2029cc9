"""The report counts what is in the shards."""

import json
from collections import Counter
from pathlib import Path

import pytest

from datagen.inspection.report import Report, report_of
from tests.inspection.conftest import ROWS, rows_of


def test_every_rule_has_the_rows_that_it_alone_and_with_others_found(many_rules: Path, report: Report) -> None:
    rows, alone, findings = Counter[str](), Counter[str](), Counter[str]()
    for row in rows_of(many_rules, "findings"):
        rules = {finding["rule"] for finding in row["findings"]}
        rows.update(rules)
        alone.update(rules if len(rules) == 1 else ())
        findings.update(finding["rule"] for finding in row["findings"])
    assert {hits.rule: hits.rows for hits in report.rules if hits.rows} == rows
    assert {hits.rule: hits.only for hits in report.rules if hits.only} == alone
    assert {hits.rule: hits.findings for hits in report.rules if hits.findings} == findings
    judged = report.counts["kept"] + report.counts["dropped"]
    assert all(hits.rate == pytest.approx(hits.rows / judged) for hits in report.rules)


def test_rules_without_hits_stand_in_the_report(made_run: Path) -> None:
    rules = {hits.rule: hits.rows for hits in report_of(made_run).rules}
    assert rules["question_in_answer"] > 0
    assert rules["template_tag"] == 0


def test_a_rule_that_only_flags_decides_nothing(copied_run: Path, many_rules: Path) -> None:
    manifest = json.loads((copied_run / "manifest.json").read_text(encoding="utf-8"))
    for entry in manifest["policy"]["rules"]:
        entry["action"] = "drop" if entry["rule"] == "question_in_answer" else "flag"
    (copied_run / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    hits = {hits.rule: hits for hits in report_of(copied_run).rules}
    assert hits["request_to_user"].action == "flag"
    assert hits["request_to_user"].decided == 0
    assert hits["question_in_answer"].decided == hits["question_in_answer"].rows
    assert hits["question_in_answer"].only < hits["question_in_answer"].rows


def test_combinations_and_pairs_count_rows_once(many_rules: Path, report: Report) -> None:
    combinations = Counter(
        tuple(sorted({finding["rule"] for finding in row["findings"]})) for row in rows_of(many_rules, "findings")
    )
    del combinations[()]
    shown = {combination.rules: combination.rows for combination in report.overlap.combinations}
    assert shown.items() <= combinations.items()
    assert sum(shown.values()) + report.overlap.others == combinations.total()
    rules = report.overlap.rules
    for first, line in zip(rules, report.overlap.together, strict=True):
        for second, rows in zip(rules, line, strict=True):
            assert rows == sum(count for found, count in combinations.items() if {first, second} <= set(found))


def test_findings_are_counted_for_their_turn_and_for_the_prompt_and_model_that_wrote_them(
    many_rules: Path, report: Report
) -> None:
    by_turn = Counter(
        (str(finding["message"] // 2 + 1), finding["rule"])
        for row in rows_of(many_rules, "findings")
        for finding in row["findings"]
    )
    groupings = {grouping.by: {group.name: group for group in grouping.groups} for grouping in report.groupings}
    assert {
        (name, rule): rows for name, group in groupings["turn"].items() for rule, rows in group.hits.items()
    } == by_turn
    prompts = {name.split(" ")[0]: group for name, group in groupings["prompt"].items()}
    assert prompts["question_answer"].hits == {hits.rule: hits.rows for hits in report.rules if hits.rows}
    assert prompts["caption"].hits == {}
    assert groupings["model"]["synthetic-vlm"].rows == report.counts["kept"] + report.counts["dropped"]


def test_distributions_hold_every_judged_and_every_kept_answer(many_rules: Path, report: Report) -> None:
    rows = [row for row in rows_of(many_rules, "messages", "state") if row["state"] != "failed"]
    lengths = [
        (row["state"], len(message["content"]))
        for row in rows
        for message in row["messages"]
        if message["role"] == "assistant"
    ]
    answers = next(found for found in report.distributions if found.name == "answer_characters")
    assert sum(bar.before for bar in answers.bins) == len(lengths)
    assert sum(bar.after for bar in answers.bins) == sum(state == "kept" for state, _ in lengths)
    for bar in answers.bins[:-1]:
        assert bar.before == sum(bar.low <= length < bar.high for _, length in lengths)


def test_failures_and_tokens_are_those_of_the_rows(many_rules: Path, report: Report) -> None:
    rows = list(rows_of(many_rules, "state", "error", "calls"))
    failures = Counter(row["error"]["class"] for row in rows if row["error"])
    assert {failure.name: failure.rows for failure in report.failures} == failures
    assert report.counts["failed"] == failures.total() > 0
    tokens = {spent.name: spent.completion_tokens for spent in report.costs.states}
    for state in ("kept", "dropped", "failed"):
        calls = [call for row in rows if row["state"] == state for call in row["calls"]]
        assert tokens[state] == sum(call["completion_tokens"] for call in calls)


def test_the_time_of_a_run_is_in_its_report(made_run: Path) -> None:
    costs = report_of(made_run).costs
    assert costs.made == 31
    assert costs.making_seconds > 0
    assert sum(session.completion_tokens for session in costs.sessions) == costs.completion_tokens


def test_the_json_is_the_report(report: Report) -> None:
    document = json.loads(report.to_json())
    assert document["counts"]["inputs"] == ROWS
    assert [entry["rule"] for entry in document["rules"]] == [hits.rule for hits in report.rules]
    assert {"policy", "shards"} <= document["provenance"].keys()
