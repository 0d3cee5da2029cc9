"""Reading policies: shipped ones by name, files, and mappings.

A policy file is YAML::

    name: mine
    purpose: What it is for, in a sentence.
    rules:
      - rule: question_in_answer
        action: drop              # or flag: recorded, and the sample kept; or a repair, or several: [trim, drop_turn]
        settings: {quoted: drop}  # arguments of the rule's constructor
      - {score: sharpness, at_least: 40}
      - {score: faithfulness, at_least: 0.6, action: flag}
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from filters.entries import checked_entry, refuse_unknown
from filters.errors import PolicyError, nearest
from filters.policy import Policy

_SHIPPED = Path(__file__).parent / "policies"


def policy_names() -> tuple[str, ...]:
    """The names of the shipped policies.

    >>> policy_names()
    ('light', 'pictures_standard', 'repairing', 'standard', 'strict', 'translated')
    """
    return tuple(sorted(path.stem for path in _SHIPPED.glob("*.yaml")))


def load_policy(source: str | Path | Mapping[str, object]) -> Policy:
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
    refuse_unknown(content, ("name", "purpose", "rules"), where)
    rules = content.get("rules")
    if not isinstance(rules, Sequence) or isinstance(rules, str):
        raise PolicyError(
            f"{where}.rules: {rules!r:.200} is no list; list the rules, one mapping with the key rule each."
        )
    for key, default in (("name", "unnamed"), ("purpose", "")):
        if not isinstance(content.get(key, default), str):
            raise PolicyError(f"{where}.{key}: {content[key]!r} is no text; write a text.")
    entries = [checked_entry(entry, f"{where}.rules[{number}]") for number, entry in enumerate(rules)]
    return Policy(str(content.get("name", "unnamed")), str(content.get("purpose", "")), entries)
