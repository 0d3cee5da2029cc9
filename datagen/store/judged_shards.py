"""Shards from judged rows as they come, for rows that are no parts of a run: what `filter` and `recut` write."""

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from datagen.errors import AccountingError, DatagenError
from datagen.recipe import Output
from datagen.records import STATES
from datagen.store.manifest import FOLDERS, install, manifest_of
from datagen.store.shards import GROUP_BYTES, MOST_CELL_BYTES, file_facts, layout, row_groups, shard_name


class JudgedShards:
    """Shards of every state, in the order of the rows; they replace older ones when all are written.

    Args:
        out: where the shards go in the end.
    """

    def __init__(self, out: Path) -> None:
        self._out = out
        self.scratch = out / ".cut"
        shutil.rmtree(self.scratch, ignore_errors=True)
        for folder in FOLDERS.values():
            (self.scratch / folder).mkdir(parents=True)
        self._counts: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()
        self._shards: dict[str, RollingShards] = {}

    def open(self, schema: pa.Schema, output: Output) -> None:
        """Say what the rows look like, and how large shards and row groups are."""
        self._shards = {
            state: RollingShards(self.scratch / folder, state, schema, output) for state, folder in FOLDERS.items()
        }

    def write(self, table: pa.Table) -> None:
        """Append rows, each to the shards of its column `state`.

        Raises:
            DatagenError: a row is so large that no reader would open it.
        """
        for state in STATES:
            chosen = table.filter(pc.equal(table.column("state"), pa.scalar(state)))
            self._counts[state] += chosen.num_rows
            self._shards[state].write(chosen)
            if state == "failed" and "error" in chosen.schema.names:
                self._failures.update(error["class"] for error in chosen.column("error").to_pylist() if error)

    def finish(self, inputs: int, facts: Mapping[str, Any], beside: Sequence[Path] = ()) -> dict[str, Any]:
        """Replace the shards of an earlier cut, with a manifest, and return it.

        Args:
            inputs: how many rows there were.
            facts: see `manifest_of`.
            beside: files in the scratch folder that go beside the manifest.

        Raises:
            AccountingError: not as many rows came out.
        """
        shards = [entry for state in STATES for entry in self._shards[state].close()]
        found = sum(entry["rows"] for entry in shards)
        if not sum(self._counts.values()) == inputs == found:
            raise AccountingError(
                f"{inputs:,} rows went in, {sum(self._counts.values()):,} were judged and {found:,} written."
            )
        manifest = manifest_of(facts, inputs, self._counts, self._failures, shards)
        for path in beside:
            path.replace(self._out / path.name)
        install(self.scratch, self._out, manifest)
        return manifest


class RollingShards:
    """Shards of one state, written one after the other; they get their names when their number is known."""

    def __init__(
        self, folder: Path, state: str, schema: pa.Schema, output: Output, group_bytes: int = GROUP_BYTES
    ) -> None:
        self._folder = folder
        self._state = state
        self._schema = schema
        self._output = output
        self._group_bytes = group_bytes
        self._writer: pq.ParquetWriter | None = None
        self._rows: list[int] = []
        self._bytes = 0

    def write(self, table: pa.Table) -> None:
        """Append rows.

        Raises:
            DatagenError: a row is so large that no reader would open it.
        """
        if not table.num_rows:
            return
        if self._writer is None:
            self._file = self._unnamed(len(self._rows)).open("wb")
            self._writer = pq.ParquetWriter(self._file, self._schema, **layout(self._schema))
            self._rows.append(0)
        for group in row_groups(table, self._output.row_group_rows, self._group_bytes):
            if group.nbytes > MOST_CELL_BYTES:
                raise DatagenError(
                    f"A row among the {self._state} ones has {group.nbytes:,} bytes, and no reader of Parquet opens a "
                    "cell over 2 GiB. Take it out of the input."
                )
            self._writer.write_table(group)
        self._rows[-1] += table.num_rows
        self._bytes += table.nbytes
        if self._bytes >= self._output.shard_bytes:
            self._finish()

    def close(self) -> list[dict[str, Any]]:
        """Name the shards and return their entries for the manifest."""
        self._finish()
        entries: list[dict[str, Any]] = []
        for number, rows in enumerate(self._rows):
            name = shard_name(self._folder.name, number, len(self._rows))
            path = self._unnamed(number).rename(self._folder / name)
            entries.append(
                {"path": f"{self._folder.name}/{name}", "state": self._state, "rows": rows, **file_facts(path)}
            )
        return entries

    def _finish(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._file.close()
        self._writer, self._bytes = None, 0

    def _unnamed(self, number: int) -> Path:
        return self._folder / f"{number:05d}.unfinished"
