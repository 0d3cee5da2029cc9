"""The question rule holds on hand-labelled sentences; those that it was made with are pinned."""

import pytest
from golden_set import REGRESSION, judge, precision_recall, read

from filters import load_policy
from filters.rules.question_in_answer import QuestionInAnswer


@pytest.mark.parametrize("name", REGRESSION)
def test_what_was_once_judged_rightly_stays_so(name):
    assert [row for row, said in judge(read(name)) if said != row.asks] == []


def test_what_is_open_is_listed_only_while_it_is_wrong():
    mended = [row for row, said in judge(read("open")) if said == row.asks]
    assert mended == [], "move these to regression/"


@pytest.mark.parametrize("name", ["tuning", "first_held_out"])
def test_questions_in_the_middle_of_answers_are_found(name):
    rows = [row for row in read(name) if row.category == "mid_answer"]
    _, recall = precision_recall(judge(rows))
    assert recall >= 0.95


@pytest.mark.parametrize("name", ["tuning", "first_held_out"])
def test_quoted_questions_are_kept(name):
    rows = [row for row in read(name) if row.category == "quoted" and not row.asks]
    wrong = [row.text for row, said in judge(rows) if said]
    assert len(wrong) <= 0.02 * len(rows), wrong


def test_quoted_questions_are_dropped_where_the_policy_says_so():
    rows = [row for row in read("tuning") if row.category == "quoted" and not row.asks]
    found = [said for _, said in judge(rows, QuestionInAnswer(quoted="drop"))]
    assert sum(found) >= 0.9 * len(rows)


def test_softened_statements_are_kept_where_the_policy_says_so():
    rows = [row for row in read("tuning") if row.category == "softened"]
    assert not any(said for _, said in judge(rows, QuestionInAnswer(softened="keep")))


def test_the_screen_of_a_batch_misses_nothing():
    rows = read("tuning") + read("probes") + read("first_held_out")
    policy = load_policy({"rules": ["question_in_answer"]})
    verdicts = policy.judge([{"messages": [{"role": "assistant", "content": row.text}]} for row in rows])
    assert [not verdict.kept for verdict in verdicts] == [said for _, said in judge(rows)]
