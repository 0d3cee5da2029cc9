"""Policies: which rules judge, with which settings, and what a finding does.

A policy file is YAML::

    name: mine
    purpose: What it is for, in a sentence.
    rules:
      - rule: question_in_answer
        action: drop              # or flag: the finding is recorded and the sample kept
        settings: {quoted: drop}  # arguments of the rule's constructor
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Any

import yaml

from filters.base import Finding, Rule, RuleStatistics
from filters.errors import PolicyError, nearest
from filters.registry import rule_class
from filters.sample import Batch
from filters.settings import check_settings

_SHIPPED = Path(__file__).parent / "policies"
_BATCH = 512
_ACTIONS = ("drop", "flag")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a policy says of one sample.

    Attributes:
        findings: Everything that was found, by turn and place.
        kept: Whether no rule with the action "drop" found anything, and none raised.
        dropped_by: Names of the rules that drop it, sorted.
        error: What a rule raised on this sample, with its name; the sample is not fully judged then. Empty otherwise.
    """

    findings: tuple[Finding, ...] = ()
    kept: bool = True
    dropped_by: tuple[str, ...] = ()
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
        rules: The rules.
        digest: sha256 of rules, actions and settings, defaults filled in; the same for the same judgement.
        statistics: Per rule the samples seen, the samples with findings, and the seconds.
    """

    def __init__(self, name: str, purpose: str, entries: Sequence[Mapping[str, Any]]) -> None:
        self.name = name
        self.purpose = purpose
        self._entries = tuple(dict(entry) for entry in entries)
        self.rules: tuple[Rule, ...] = tuple(_rule(entry, f"rules[{n}]") for n, entry in enumerate(self._entries))
        names = [rule.name for rule in self.rules]
        for place, rule_name in enumerate(names):
            if rule_name in names[:place]:
                raise PolicyError(
                    f'rules[{place}].rule: "{rule_name}" is listed twice; a rule stands once in a policy, remove one.'
                )
        self._dropping = frozenset(
            rule.name for rule, entry in zip(self.rules, self._entries, strict=True) if entry["action"] == "drop"
        )
        self.digest = self._digest()
        self.statistics = Statistics({rule_name: RuleStatistics() for rule_name in names})
        self._counting = Lock()

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
        found: dict[int, list[Finding]] = {}
        errors: dict[int, str] = {}
        for rule in self.rules:
            counted = RuleStatistics()
            for place, finding in _found_by(rule, batch, counted, errors):
                found.setdefault(place, []).append(finding)
            with self._counting:
                total = self.statistics[rule.name]
                total.samples += counted.samples
                total.hits += counted.hits
                total.seconds += counted.seconds
        verdicts = [_CLEAN] * len(samples)
        for place, findings in found.items():
            findings.sort(key=lambda finding: (finding.turn, finding.start, finding.end, finding.rule))
            dropped_by = tuple(sorted({finding.rule for finding in findings} & self._dropping))
            verdicts[place] = Verdict(tuple(findings), not dropped_by, dropped_by)
        for place, error in errors.items():
            verdicts[place] = replace(verdicts[place], kept=False, error=error)
        return verdicts

    def _digest(self) -> str:
        parts = [
            [entry["rule"], entry["action"], entry["settings"], rule.fingerprint()]
            for rule, entry in zip(self.rules, self._entries, strict=True)
        ]
        parts.sort(key=lambda part: str(part[0]))
        text = json.dumps(parts, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def __reduce__(self) -> tuple[Any, ...]:
        return load_policy, (self.to_dict(),)

    def __repr__(self) -> str:
        return f"<Policy {self.name}: {len(self.rules)} rules, {self.digest[:12]}>"


def _found_by(
    rule: Rule, batch: Batch, counted: RuleStatistics, errors: dict[int, str]
) -> Iterable[tuple[int, Finding]]:
    """Returns what a rule finds in a batch; where it raises, sample by sample, with the errors by position."""
    try:
        return [(place, _checked(finding, place, batch)) for place, finding in rule.judge(batch, counted)]
    except Exception:
        found: list[tuple[int, Finding]] = []
        for place, sample in enumerate(batch.samples):
            alone = Batch.of(sample)
            try:
                found += [(place, _checked(finding, at, alone)) for at, finding in rule.judge(alone, counted)]
            except Exception as error:
                errors.setdefault(place, _told(rule, error))
        return found


def _told(rule: Rule, error: Exception) -> str:
    return f"the rule {rule.name} raised {type(error).__name__}: {' '.join(str(error).split())[:300]}"


def _checked(finding: Finding, place: int, batch: Batch) -> Finding:
    """Makes sure that a finding is one, so that no rule of a user's can spoil what is stored."""
    found = Finding(*finding)
    kinds = (str, int, int, int, str, str)
    if not 0 <= place < len(batch.samples) or not all(map(isinstance, found, kinds)):
        raise TypeError(f"{finding!r} at {place!r} is no finding in a batch of {len(batch.samples)}")
    return found


def policy_names() -> tuple[str, ...]:
    """The names of the shipped policies.

    >>> policy_names()
    ('light', 'standard', 'strict')
    """
    return tuple(sorted(path.stem for path in _SHIPPED.glob("*.yaml")))


def load_policy(source: str | Path | Mapping[str, Any]) -> Policy:
    """Loads a policy: a shipped one by name, one from a YAML file, or one from a mapping.

    >>> load_policy({"name": "mine", "rules": [{"rule": "question_in_answer"}]}).judge(
    ...     [{"messages": [{"role": "assistant", "content": "犬です。何歳ですか。"}]}]
    ... )[0].dropped_by
    ('question_in_answer',)

    Raises:
        PolicyError: There is no such policy, or something in it is wrong.
    """
    if isinstance(source, Mapping):
        return _policy(source, "policy")
    path = _SHIPPED / f"{source}.yaml" if str(source) in policy_names() else Path(source)
    if not os.path.isfile(path):  # noqa: PTH113 (Path.is_file raises for names that are too long)
        raise PolicyError(
            f'policy: "{source}" is neither a shipped policy nor a file; {nearest(source, policy_names())}, '
            "or give the path of a YAML file."
        )
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        json.dumps(content, ensure_ascii=False, default=str, skipkeys=True).encode()  # a cycle, or half a character
    except OSError as error:
        raise PolicyError(f"policy: {path} cannot be read ({error.strerror}); give another file.") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: no UTF-8, or a date that is none
        told = " ".join(str(error).split())
        raise PolicyError(f"policy: {path} is not YAML in UTF-8 ({told}); correct the file.") from error
    return _policy({"name": path.stem, **content} if isinstance(content, Mapping) else content, str(path))


def _policy(content: object, where: str) -> Policy:
    if not isinstance(content, Mapping):
        raise PolicyError(f"{where}: {content!r:.200} is no policy; write a mapping with name, purpose and rules.")
    _refuse_unknown(content, ("name", "purpose", "rules"), where)
    rules = content.get("rules")
    if not isinstance(rules, Sequence) or isinstance(rules, str):
        raise PolicyError(
            f"{where}.rules: {rules!r:.200} is no list; list the rules, one mapping with the key rule each."
        )
    for key, default in (("name", "unnamed"), ("purpose", "")):
        if not isinstance(content.get(key, default), str):
            raise PolicyError(f"{where}.{key}: {content[key]!r} is no text; write a text.")
    entries = [_entry(entry, f"{where}.rules[{place}]") for place, entry in enumerate(rules)]
    return Policy(content.get("name", "unnamed"), content.get("purpose", ""), entries)


def _entry(entry: object, where: str) -> dict[str, Any]:
    if isinstance(entry, str):
        entry = {"rule": entry}
    if not isinstance(entry, Mapping) or not isinstance(entry.get("rule"), str):
        raise PolicyError(
            f'{where}: {entry!r} names no rule; write {{rule: name}}, such as "rule: question_in_answer".'
        )
    _refuse_unknown(entry, ("rule", "action", "settings"), where)
    action = entry.get("action", "drop")
    if action not in _ACTIONS:
        raise PolicyError(f'{where}.action: "{action}" is no action; {nearest(action, _ACTIONS)}.')
    settings = entry.get("settings") or {}
    if not isinstance(settings, Mapping) or not all(isinstance(key, str) for key in settings):
        raise PolicyError(f"{where}.settings: {settings!r} is no mapping; write setting: value.")
    found = rule_class(entry["rule"], f"{where}.rule")
    return {
        "rule": entry["rule"],
        "action": action,
        "settings": check_settings(found, dict(settings), f"{where}.settings"),
    }


def _rule(entry: Mapping[str, Any], where: str) -> Rule:
    try:
        return rule_class(entry["rule"])(**entry["settings"])
    except PolicyError:
        raise
    except (ValueError, OSError) as error:
        raise PolicyError(f"{where}.settings: {entry['rule']} refuses them: {error}.") from error


def _refuse_unknown(content: Mapping[Any, Any], allowed: tuple[str, ...], where: str) -> None:
    for key in content:
        if key not in allowed:
            raise PolicyError(f'{where}: "{key}" is no field here; {nearest(key, allowed)}.')
