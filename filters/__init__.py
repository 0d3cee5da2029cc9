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

from filters.base import Finding, MessageRule, PatternRule, Rule, RuleStatistics, Span
from filters.errors import PolicyError
from filters.loading import load_policy, policy_names
from filters.policy import Policy, Statistics, Verdict
from filters.sample import Message, Sample, Score

__all__ = [
    "Finding",
    "Message",
    "MessageRule",
    "PatternRule",
    "Policy",
    "PolicyError",
    "Rule",
    "RuleStatistics",
    "Sample",
    "Score",
    "Span",
    "Statistics",
    "Verdict",
    "load_policy",
    "policy_names",
]
