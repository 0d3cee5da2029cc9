"""The rows of a finished run, or of what `datagen filter` wrote, as two small tables that questions are put to.

The shards are scanned once, and their pictures never. What is kept of a row is numbers: `rows` has one line a row, with
its location, state, lengths and tokens, `found` one a finding, with the answer that it is in. Both live in DuckDB,
which moves them to disk when they outgrow its memory, so that a run of any length can be inspected.
"""

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import duckdb

from datagen.errors import DatagenError
from datagen.files.plain_names import plain_names
from datagen.files.reading import open_parquet
from datagen.inspection.columns import column_expressions, known_columns
from datagen.sources.reading.stored_conversations import messages_of
from datagen.store.manifest import read_manifest
from datagen.store.run_directory import usable
from datagen.store.schema_1 import is_schema_1, row_as_now
from filters import PolicyError, Rule, load_policy
from filters.entries import entry_name

MEMORY = "1GB"
CUT_AGAIN = "Delete manifest.json and run the command that wrote it again: the shards are cut anew, with no model call."
"""What to do about a shard that is damaged or gone."""
_EMPTY: dict[str, Any] = {
    "caption": "",
    "findings": [],
    "error": None,
    "calls": [],
    **dict.fromkeys(("images", "pictures", "scores", "original", "repairs"), ()),
    **dict.fromkeys(("task", "source", "policy", "license", "url"), ""),
}
# What script a text is written in: kana decide for Japanese; Han without kana is Chinese, or a Japanese noun.
_SCRIPT = r"""
CASE WHEN regexp_matches({0}, '[\x{{3041}}-\x{{30FA}}\x{{FF66}}-\x{{FF9D}}]') THEN 'kana'
    WHEN regexp_matches({0}, '\p{{Han}}') THEN 'han'
    WHEN regexp_matches({0}, '\p{{Hangul}}') THEN 'hangul'
    WHEN regexp_matches({0}, '\p{{Latin}}') THEN 'latin'
    WHEN regexp_matches({0}, '\p{{L}}') THEN 'other'
    ELSE 'none' END
"""
# A turn begins with a question. A greeting before the first one belongs to it, tools to the turn that calls them.
_TURNS = """
greatest(1, len([message FOR message, position IN {0}
    IF message.role = 'user' AND (position = 1 OR {0}[position - 1].role <> 'user')]))
"""
_ROWS = """
CREATE TEMP TABLE rows AS
SELECT row, state, task, error['class'] AS failure,
    list_sort(list_distinct([finding.rule FOR finding IN coalesce(findings, [])])) AS rules,
    [length(message.content) FOR message IN coalesce(messages, []) IF message.role = 'user'] AS questions,
    [length(message.content) FOR message IN coalesce(messages, []) IF message.role = 'assistant'] AS answers,
    [{script} FOR message IN coalesce(messages, []) IF message.role = 'assistant'] AS scripts,
    [{{'name': score.name, 'value': score.value}} FOR score IN coalesce(scores, []) IF isfinite(score.value)] AS scores,
    nullif(length(caption), 0) AS caption, len(coalesce(repairs, [])) > 0 AS repaired,
    if(list_bool_or([message.role <> 'system' FOR message IN messages]), {turns}, 0) AS turns,
    coalesce(list_bool_or([message.role = 'system' FOR message IN messages]), false) AS instructed,
    [call.completion_tokens FOR call IN coalesce(calls, [])] AS completion_tokens,
    [{{'model': call.model, 'prompt': call.prompt, 'digest': call.prompt_digest, 'again': call.attempt > 1,
        'cut_off': call.finish_reason = 'length', 'prompt_tokens': call.prompt_tokens,
        'completion_tokens': call.completion_tokens}} FOR call IN coalesce(calls, [])] AS calls
FROM stored
"""
# A finding belongs to the last call whose answer holds the text it is in, as it is or as JSON writes it. It stands in
# the caption, in a system message, or in a turn, or speaks of the row as a whole.
_FOUND = """
CREATE TEMP TABLE found AS
WITH each AS (
    SELECT row, state, messages, caption, calls, unnest(findings) AS finding FROM stored WHERE len(findings) > 0
), spoken AS (
    SELECT row, state, finding, calls,
        CASE WHEN finding.message < 0 THEN caption ELSE messages[finding.message + 1].content END AS content,
        CASE WHEN finding.message IS NULL THEN 'row' WHEN finding.message < 0 THEN 'caption'
            WHEN messages[finding.message + 1].role = 'system' THEN 'system'
            ELSE CAST({turns} AS VARCHAR) END AS turn
    FROM each
), asked AS (
    SELECT row, state, finding, turn,
        [call FOR call IN coalesce(calls, []) IF contains(call.answer, content)
            OR contains(call.answer, array_slice(CAST(to_json(content) AS VARCHAR), 2, -2))][-1] AS call
    FROM spoken
)
SELECT row, state, finding.rule AS rule, coalesce(finding.message, -2) AS message, turn, call.model AS model,
    call.prompt AS prompt, call.prompt_digest AS digest
FROM asked
"""


class StoredRows:
    """The rows of a run. Use it as a context manager.

    Attributes:
        run: the directory.
        manifest: its manifest.
        connection: DuckDB with the view `stored`: the columns that queries use, and `row`, the number of a row. From
            `summed` on it has the tables `rows` and `found`.

    Raises:
        DatagenError: there is no finished run, or its shards cannot be read.
    """

    def __init__(self, run: Path) -> None:
        self.run = usable(run)
        self.manifest: dict[str, Any] = read_manifest(run)
        self.files = [run / shard["path"] for shard in self.manifest["shards"]]
        for path in self.files:
            if not path.exists():
                raise DatagenError(f"{path} is missing, which {run / 'manifest.json'} lists. {CUT_AGAIN}")
        self._open = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            self._open = opened
            self._connect()
            self._open = opened.pop_all()
        return self

    def _connect(self) -> None:
        spill = self._open.enter_context(tempfile.TemporaryDirectory(prefix="datagen-"))
        settings: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": MEMORY,
            "preserve_insertion_order": False,
        }
        (settings["temp_directory"],) = self._open.enter_context(plain_names(Path(spill) / "spill"))
        self.connection = self._open.enter_context(duckdb.connect(config=settings))
        if self.files:
            self._names = self._open.enter_context(plain_names(*self.files))
            with self._scanning():
                self._view()

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @property
    def counts(self) -> dict[str, int]:
        """Inputs, and the rows of each state."""
        counts: dict[str, int] = self.manifest["counts"]
        return counts

    @property
    def judged(self) -> int:
        """How many rows the policy judged."""
        return self.counts["kept"] + self.counts["dropped"]

    @cached_property
    def columns(self) -> list[str]:
        """The columns of the shards, as far as they are what their names say."""
        if not self.files:
            return []
        with open_parquet(self.files[0], CUT_AGAIN) as file:
            return known_columns(file.schema_arrow)

    @cached_property
    def schema_1(self) -> bool:
        """Whether the shards are those of an earlier version."""
        if not self.files:
            return False
        with open_parquet(self.files[0], CUT_AGAIN) as file:
            return is_schema_1(file.schema_arrow)

    @cached_property
    def rules(self) -> dict[str, dict[str, Any]]:
        """The entries of the policy, by the names that findings have."""
        return {rule_name(entry): entry for entry in self.manifest["policy"]["rules"]}

    @cached_property
    def docstrings(self) -> dict[str, str]:
        """What the rules say of themselves."""
        return {name: _docstring(entry) for name, entry in self.rules.items()}

    @cached_property
    def dropping(self) -> list[str]:
        """The rules whose finding drops a row."""
        return [name for name, entry in self.rules.items() if entry.get("action", "drop") != "flag"]

    def summed(self) -> Self:
        """Scan the shards and make the tables `rows` and `found`."""
        with self._scanning():
            self.connection.execute(
                _ROWS.format(script=_SCRIPT.format("message.content"), turns=_TURNS.format("messages"))
            )
            self.connection.execute(_FOUND.format(turns=_TURNS.format("messages[:finding.message + 1]")))
        return self

    def ask(self, query: str, **parameters: object) -> list[tuple[Any, ...]]:
        """Return the rows of a query; its parameters are written $name."""
        with self._scanning():
            return self.connection.execute(query, parameters or None).fetchall()

    def write(self, query: str, path: Path, **parameters: object) -> None:
        """Write the rows of a query to a Parquet file."""
        with plain_names(path) as (name,), self._scanning():
            self.connection.sql(query, params=parameters or None).write_parquet(name, compression="zstd")

    @contextmanager
    def _scanning(self) -> Iterator[None]:
        """Turn an error of a query into a sentence, which names the shard if one is damaged."""
        try:
            yield
        except duckdb.Error as error:
            for path in self.files:
                with open_parquet(path, CUT_AGAIN) as file:
                    for group in range(file.num_row_groups):
                        file.read_row_group(group)
            raise DatagenError(f"The shards of {self.run} cannot be read: {str(error).splitlines()[0]}") from error

    def location(self, row: int) -> tuple[Path, int]:
        """Return the shard of a row, and its number in it."""
        return self.files[row >> 32], row & 0xFFFFFFFF

    def take(self, rows: Iterable[int], *, pictures: bool = False) -> Iterator[dict[str, Any]]:
        """Yield single rows with their number as `row`, in the order of the shards; columns that are absent are empty.

        Args:
            rows: their numbers; the row groups that they stand in are read, one after the other.
            pictures: whether with the column `images`.
        """
        by_file: dict[int, list[int]] = {}
        for row in sorted(set(rows)):
            by_file.setdefault(row >> 32, []).append(row & 0xFFFFFFFF)
        columns = [name for name in self.columns if pictures or name not in ("image", "images")]
        for number, wanted in by_file.items():
            for number_in_file, found in _single_rows(self.files[number], wanted, columns):
                head = {**_EMPTY, "key": found["id"]}
                found = row_as_now(found) if self.schema_1 else found
                if found.get("image") and not found.get("images"):  # of a table that is not ours
                    found = {**found, "images": [found["image"]]}
                yield {**head, **found, "row": (number << 32) + number_in_file, "messages": messages_of(found)}

    def _view(self) -> None:
        """Make the view `stored`, in which columns that the shards have not stand empty."""
        self.connection.execute("CREATE TEMP TABLE files (filename VARCHAR, number BIGINT)")
        self.connection.executemany(
            "INSERT INTO files VALUES (?, ?)", [(name, number) for number, name in enumerate(self._names)]
        )
        self.connection.execute("SET VARIABLE shards = $shards", {"shards": self._names})
        columns = "".join(
            f", {value} AS {name}" for name, value in column_expressions(self.columns, schema_1=self.schema_1).items()
        )
        self.connection.execute(
            f"CREATE TEMP VIEW stored AS SELECT (files.number << 32) + file_row_number AS row{columns} "  # noqa: S608
            "FROM read_parquet(getvariable('shards'), filename = 'shard', file_row_number = true, "
            "hive_partitioning = false) "
            "JOIN files ON shard = files.filename"
        )


def _single_rows(path: Path, wanted: list[int], columns: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield rows of a Parquet file with their numbers; one row group is in memory at a time."""
    with open_parquet(path, CUT_AGAIN) as file:
        first = 0
        for group in range(file.num_row_groups):
            behind = first + file.metadata.row_group(group).num_rows
            inside = [number for number in wanted if first <= number < behind]
            if inside:
                rows = file.read_row_group(group, columns).take([number - first for number in inside])
                yield from zip(inside, rows.to_pylist(), strict=True)
            first = behind


def rule_name(entry: dict[str, Any]) -> str:
    """Return the name that the findings of a policy's entry have; a rule that is gone goes by its reference.

    >>> rule_name({"rule": "question_in_answer", "action": "drop", "settings": {}})
    'question_in_answer'
    """
    rule = _rule(entry)
    return rule.name if rule else entry_name(entry)


def _docstring(entry: dict[str, Any]) -> str:
    rule = _rule(entry)
    return (rule.__doc__ or "") if rule else ""


def _rule(entry: dict[str, Any]) -> Rule | None:
    try:
        return load_policy({"rules": [entry]}).rules[0]
    except PolicyError:
        return None
