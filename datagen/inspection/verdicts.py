"""Verdicts of any policy on conversations that are there already; no model is called.

Shards hold what every rule found. A policy with the same rules and settings, or fewer of them, is decided from that
alone, whatever it drops or flags: a million rows take seconds. Any other policy reads the text again, on all CPUs.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from datagen.executors import mapped, suited
from datagen.files.reading import open_parquet
from datagen.inspection.stored_rows import StoredRows
from datagen.sources.reading.conversation_files import conversation_files
from datagen.sources.reading.stored_conversations import fault_of, sample_of
from datagen.store.judging import VERDICTS, judge_rows, was_judged
from datagen.store.policies import CarriedPolicy, mark_of
from datagen.store.run_directory import usable
from datagen.version import VERSION
from filters import Policy, PolicyError, Rule, load_policy

_ROWS_A_CALL = 2048
_REMEDY = "Write it anew; shards are cut anew by the command that wrote them, when manifest.json is deleted."
_ROW_FIELD: "list[pa.Field[Any]]" = [pa.field("row", pa.int64())]
NUMBERED_VERDICTS = pa.schema([*_ROW_FIELD, *VERDICTS])
"""Verdicts with the number of the row: of the shard in the upper 32 bits, and of the row in it."""


@dataclass(frozen=True)
class Side:
    """Verdicts that can be compared with others.

    Attributes:
        name: of the policy or the run.
        files: Parquet files with `id`, `state`, `findings`, and `row` if `numbered`.
        dropping: the names of the rules whose finding drops a row.
        numbered: whether rows are known by number; otherwise by id.
    """

    name: str
    files: tuple[Path, ...]
    dropping: tuple[str, ...]
    numbered: bool


_DECIDE = """
SELECT row, id,
    CASE WHEN len([finding FOR finding IN findings IF finding.rule IN $dropping]) > 0 THEN 'dropped' ELSE 'kept' END
        AS state,
    [finding FOR finding IN findings IF finding.rule IN $rules] AS findings, repairs, error, $mark AS policy
FROM stored WHERE state <> 'failed' ORDER BY row
"""
_STORED = """
SELECT row, id, state, findings, repairs, error, policy FROM stored
WHERE state <> 'failed' OR error['class'] = 'rule_error' ORDER BY row
"""


def judged_side(source: Path, policy: Policy, path: Path) -> Side:
    """Write the verdicts of a policy on all rows of `source` that did not fail.

    Args:
        source: a finished run, what `datagen filter` wrote, or an input of `datagen filter`.
        policy: by which they are judged.
        path: the file of the verdicts.

    Raises:
        DatagenError: the input cannot be read.
    """
    rules = [rule.name for rule in policy.rules]
    dropping = tuple(
        name for name, entry in zip(rules, policy.to_dict()["rules"], strict=True) if entry["action"] != "flag"
    )
    if (usable(source) / "manifest.json").exists():
        with StoredRows(source) as stored:
            if covers(stored.manifest, policy):
                stored.write(_DECIDE, path, dropping=list(dropping), rules=rules, mark=mark_of(policy))
            else:
                _judge([file.absolute() for file in stored.files], policy, path)
    else:
        with tempfile.TemporaryDirectory(prefix="datagen-") as scratch:
            _judge(conversation_files(source, Path(scratch)), policy, path)
    return Side(policy.name, (path,), dropping, numbered=True)


def run_side(stored: StoredRows, path: Path) -> Side:
    """Write the verdicts that a run has on its judged rows, with their numbers, and return them."""
    stored.write(_STORED, path)
    return Side(stored.manifest["policy"]["name"], (path,), tuple(stored.dropping), numbered=True)


def named_side(stored: StoredRows, path: Path) -> Side:
    """Return the verdicts that a run has on all its rows, which are known by id; they are written where need be."""
    files = tuple(stored.files)
    if stored.schema_1:
        stored.write("SELECT id, state, findings FROM stored", path)
        files = (path,)
    return Side(str(stored.run), files, tuple(stored.dropping), numbered=False)


def covers(manifest: dict[str, Any], policy: Policy) -> bool:
    """Whether the findings in a run's shards decide `policy`: its rules judged there, with its settings.

    They do not if datagen had another version then, a file that a rule reads has changed since, a rule failed, or one
    of the two policies repairs: what was found is of what is left.
    """
    if "rule_error" in manifest["failures"] or manifest.get("recipe", {}).get("checks"):
        return False  # a row that a check dropped has no answers, and stays dropped whatever its findings say
    try:
        judged = load_policy({"rules": manifest["policy"]["rules"]})
    except PolicyError:
        return False
    if manifest["datagen"] != VERSION or judged.digest != manifest["policy"]["digest"]:
        return False
    if any(entry["action"] not in ("drop", "flag") for each in (judged, policy) for _, entry in _entries(each)):
        return False
    settings = {rule.name: _settings(entry) for rule, entry in _entries(judged)}
    return all(settings.get(rule.name) == _settings(entry) for rule, entry in _entries(policy))


def _entries(policy: Policy) -> Iterator[tuple[Rule, dict[str, Any]]]:
    yield from zip(policy.rules, policy.to_dict()["rules"], strict=True)


def _settings(entry: dict[str, Any]) -> dict[str, Any]:
    """Return all of an entry but what a finding does, which is decided anew."""
    return {name: value for name, value in entry.items() if name != "action"}


def _judge(files: list[Path], policy: Policy, path: Path) -> None:
    calls = [
        (file, number, groups, CarriedPolicy.of(policy))
        for number, file in enumerate(files)
        for groups in _row_groups(file)
    ]
    with suited(few=len(calls) <= 1), pq.ParquetWriter(path, NUMBERED_VERDICTS, compression="zstd") as writer:
        for verdicts in mapped(_judge_groups, calls, "judging"):
            writer.write_table(verdicts)


def _row_groups(path: Path) -> Iterator[list[int]]:
    """Yield the row groups of a file, as many at a time as have enough rows to be worth a call."""
    with open_parquet(path, _REMEDY) as file:
        metadata = file.metadata
    gathered: list[int] = []
    rows = 0
    for group in range(metadata.num_row_groups):
        gathered.append(group)
        rows += metadata.row_group(group).num_rows
        if rows >= _ROWS_A_CALL:
            yield gathered
            gathered, rows = [], 0
    if gathered:
        yield gathered


def _judge_groups(path: Path, number: int, groups: list[int], policy: CarriedPolicy) -> pa.Table:
    with open_parquet(path, _REMEDY) as file:
        names = file.schema_arrow.names
        wanted = [
            name
            for name in (
                "id",
                "messages",
                "caption",
                "original",
                "scores",
                "repairs",
                "question",
                "answer",
                "state",
                "error",
            )
            if name in names
        ]
        stored = {"state", "findings", "error"} <= set(names)  # what kept and dropped rows are has been looked at
        rows = file.read_row_groups(groups, columns=wanted).to_pylist()
        first = (number << 32) + sum(file.metadata.row_group(group).num_rows for group in range(groups[0]))
    judged = [number for number, row in enumerate(rows) if (was_judged(row) if stored else not fault_of(row))]
    verdicts = judge_rows([sample_of(rows[number]) for number in judged], policy.load())
    numbers = pa.array([first + number for number in judged], pa.int64())
    return pa.table([numbers, *verdicts.columns], schema=NUMBERED_VERDICTS)
