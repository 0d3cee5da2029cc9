"""Rules for Japanese visual-instruction data: text in, findings out.

>>> from filters import load_policy
>>> policy = load_policy("standard")
>>> messages = [
...     {"role": "user", "content": "何が写っていますか？"},
...     {"role": "assistant", "content": "赤い屋根の家です。ほかに何が見えますか？"},
... ]
>>> verdict = policy.judge([{"messages": messages}])[0]
>>> verdict.kept, verdict.dropped_by
(False, ('question_in_answer',))
>>> verdict.findings[0].text
'ほかに何が見えますか？'
"""

from filters.base import Finding, Rule, RuleStatistics, Span, TurnRule
from filters.errors import PolicyError
from filters.policy import Policy, Statistics, Verdict, load_policy, policy_names
from filters.sample import Sample, Turn

__all__ = [
    "Finding",
    "Policy",
    "PolicyError",
    "Rule",
    "RuleStatistics",
    "Sample",
    "Span",
    "Statistics",
    "Turn",
    "TurnRule",
    "Verdict",
    "load_policy",
    "policy_names",
]
