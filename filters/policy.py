"""Policies: which rules and scores judge, with which settings, and what a finding does."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from threading import Lock
from typing import Any

from filters.base import Finding, Rule, RuleStatistics
from filters.entries import entry_name, repair_actions, rule_of
from filters.errors import PolicyError
from filters.mending import Repair, beside_original, repair_of
from filters.sample import Batch, Sample
from filters.scores import ScoreBound
from filters.version import rules_version

_BATCH = 512


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a policy says of one sample.

    Attributes:
        findings: Everything that was found, by message and offset.
        kept: Whether no rule found anything but those with the action "flag", and none raised.
        dropped_by: Names of the rules that drop it, sorted.
        repairs: What was taken out of the sample for it to be kept; the findings are those of what is left.
        error: What a rule raised on this sample, with its name; the sample is not fully judged then. Empty otherwise.
    """

    findings: tuple[Finding, ...] = ()
    kept: bool = True
    dropped_by: tuple[str, ...] = ()
    repairs: tuple[Repair, ...] = ()
    error: str = ""


_CLEAN = Verdict()


class Statistics(dict[str, RuleStatistics]):
    """What each rule of a policy did so far."""

    def reset(self) -> None:
        """Starts counting anew."""
        for name in self:
            self[name] = RuleStatistics()


class Policy:
    """Rules with their settings and actions; made by `load_policy`.

    Attributes:
        name: How it is called; no part of the digest.
        purpose: What it is for.
        rules: The rules, and the bounds on scores, which judge as rules do.
        scores: The names of the scores that it asks for, sorted.
        rules_version: A digest of the code that judges, see `filters.version`.
        digest: sha256 of rules, actions, settings (defaults filled in) and `rules_version`; the same for the same
            judgement.
        statistics: Per rule the samples seen, the samples with findings, and the seconds.
    """

    def __init__(self, name: str, purpose: str, entries: Sequence[Mapping[str, Any]]) -> None:
        self.name = name
        self.purpose = purpose
        self._entries = tuple(dict(entry) for entry in entries)
        self.rules: tuple[Rule, ...] = tuple(rule_of(entry, f"rules[{n}]") for n, entry in enumerate(self._entries))
        names = [rule.name for rule in self.rules]
        for number, rule_name in enumerate(names):
            if rule_name in names[:number]:
                raise PolicyError(
                    f'rules[{number}]: "{rule_name}" is listed twice; a rule stands once in a policy, remove one. (Two '
                    "bounds on one score need a name each.)"
                )
        self._dropping = frozenset(
            rule.name for rule, entry in zip(self.rules, self._entries, strict=True) if entry["action"] != "flag"
        )
        self._repairing = {
            rule.name: actions
            for rule, entry in zip(self.rules, self._entries, strict=True)
            if (actions := repair_actions(entry["action"]))
        }
        self.scores = tuple(sorted({rule.score for rule in self.rules if isinstance(rule, ScoreBound)}))
        self.rules_version = rules_version(self.rules)
        self.digest = self._digest()
        self.statistics = Statistics({rule_name: RuleStatistics() for rule_name in names})
        self._counting = Lock()

    def of_scores(self, scores: Iterable[str]) -> "Policy":
        """The part of this policy that asks for these scores and nothing else: what can be said before any answer."""
        wanted = frozenset(scores)
        entries = [entry for entry in self._entries if entry.get("score") in wanted]
        return Policy(self.name, self.purpose, entries)

    def judge(self, samples: Iterable[Mapping[str, Any]]) -> list[Verdict]:
        """Judges samples, in their order; every rule reads every sample.

        A rule that raises on a sample stops nothing: the sample's verdict says so in `error`.
        """
        return list(self.judge_stream(samples))

    def judge_stream(self, samples: Iterable[Mapping[str, Any]]) -> Iterator[Verdict]:
        """Judges samples as they come, a few hundred at a time, in memory that does not grow."""
        samples = iter(samples)
        while chunk := list(islice(samples, _BATCH)):
            yield from self._judge(chunk)

    def keeps(self, findings: Iterable[Finding]) -> bool:
        """Decides from findings alone whether this policy keeps their sample."""
        return not any(finding.rule in self._dropping for finding in findings)

    def to_dict(self) -> dict[str, Any]:
        """The policy as a mapping that YAML and JSON can write and `load_policy` reads."""
        return {"name": self.name, "purpose": self.purpose, "rules": [dict(entry) for entry in self._entries]}

    def _judge(self, samples: Sequence[Mapping[str, Any]]) -> list[Verdict]:
        batch = Batch(samples)
        verdicts = self._verdicts(batch)
        proposed = {
            number: repairs
            for number, verdict in enumerate(verdicts)
            if not verdict.kept and not verdict.error and (repairs := self._repairs(batch.samples[number], verdict))
        }
        mended = Batch([beside_original(samples[number], repairs) for number, repairs in proposed.items()])
        for (number, repairs), verdict in zip(proposed.items(), self._verdicts(mended, counted=False), strict=True):
            if verdict.kept:
                verdicts[number] = replace(verdict, repairs=repairs)
        return verdicts

    def _repairs(self, sample: Sample, verdict: Verdict) -> tuple[Repair, ...]:
        """What the actions of the rules that drop a sample would take out of it; an action comes after those before."""
        repairs: dict[tuple[int, bool], Repair] = {}
        left = [finding for finding in verdict.findings if finding.rule in self._repairing]
        for rank in range(max((len(self._repairing[finding.rule]) for finding in left), default=0)):
            ranked = [
                (self._repairing[each.rule][rank], each) for each in left if rank < len(self._repairing[each.rule])
            ]
            for name, action in dict(action for action, _ in ranked).items():
                findings = [finding for (named, _), finding in ranked if named == name]
                for taken in action.propose(sample, findings):
                    key = (taken.message, taken.whole)
                    if key not in repairs or taken.start < repairs[key].start:
                        repairs[key] = repair_of(findings, name, taken, sample)
            left = [finding for finding in left if not any(_is_mended(finding, each) for each in repairs.values())]
        whole = {message for message, is_whole in repairs if is_whole}
        return tuple(repair for key, repair in sorted(repairs.items()) if key[1] or key[0] not in whole)

    def _verdicts(self, batch: Batch, *, counted: bool = True) -> list[Verdict]:
        """Judges a batch as it is; what the rules did is counted once, and not again for what was repaired."""
        found: dict[int, list[Finding]] = {}
        errors: dict[int, str] = {}
        for rule in self.rules:
            did = RuleStatistics()
            for number, finding in _found_by(rule, batch, did, errors):
                found.setdefault(number, []).append(finding)
            with self._counting:
                total = self.statistics[rule.name]
                total.samples += did.samples if counted else 0
                total.hits += did.hits if counted else 0
                total.seconds += did.seconds
        verdicts = [_CLEAN] * len(batch.samples)
        for number, findings in found.items():
            findings.sort(key=_order)
            dropped_by = tuple(sorted({finding.rule for finding in findings} & self._dropping))
            verdicts[number] = Verdict(tuple(findings), not dropped_by, dropped_by)
        for number, error in errors.items():
            verdicts[number] = replace(verdicts[number], kept=False, error=error)
        return verdicts

    def _digest(self) -> str:
        parts = [
            (entry_name(entry), entry, rule.fingerprint())
            for rule, entry in zip(self.rules, self._entries, strict=True)
        ]
        parts.sort(key=lambda part: part[0])
        text = json.dumps([self.rules_version, parts], ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def __reduce__(self) -> tuple[Any, ...]:
        return Policy, (self.name, self.purpose, self._entries)

    def __repr__(self) -> str:
        return f"<Policy {self.name}: {len(self.rules)} rules, {self.digest[:12]}>"


def _is_mended(finding: Finding, repair: Repair) -> bool:
    return finding.message == repair.message and (bool(repair.role) or finding.end > repair.start)


def _found_by(
    rule: Rule, batch: Batch, counted: RuleStatistics, errors: dict[int, str]
) -> Iterable[tuple[int, Finding]]:
    """Returns what a rule finds in a batch; where it raises, sample by sample, with the errors by position."""
    try:
        return [(number, _checked(finding, number, batch)) for number, finding in rule.judge(batch, counted)]
    except Exception:
        found: list[tuple[int, Finding]] = []
        for number, sample in enumerate(batch.samples):
            alone = Batch.of(sample)
            try:
                found += [(number, _checked(finding, at, alone)) for at, finding in rule.judge(alone, counted)]
            except Exception as error:
                errors.setdefault(number, _told(rule, error))
        return found


def _told(rule: Rule, error: Exception) -> str:
    return f"the rule {rule.name} raised {type(error).__name__}: {' '.join(str(error).split())[:300]}"


def _checked(finding: Finding, number: int, batch: Batch) -> Finding:
    """Makes sure that a finding is one, so that no rule of a user's can spoil what is stored."""
    found = Finding(*finding)
    kinds = (str, int | None, int, int, str, str)
    if not 0 <= number < len(batch.samples) or not all(map(isinstance, found, kinds)):
        raise TypeError(f"{finding!r} at {number!r} is no finding in a batch of {len(batch.samples)}")
    return found


def _order(finding: Finding) -> tuple[int, int, int, str]:
    """What is said of the sample as a whole comes first, then the caption, then the messages."""
    return -2 if finding.message is None else finding.message, finding.start, finding.end, finding.rule
