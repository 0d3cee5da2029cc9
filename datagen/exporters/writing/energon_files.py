"""Tars with the folder `.nv-meta` that Megatron-Energon reads, as its `energon prepare` writes it (version 7.4).

For each tar an index of the bytes where its samples start, `.tar.idx`; in `.nv-meta` the samples of each tar
(`.info.json`), the tars of each split (`split.yaml`), what a sample is (`dataset.yaml`), and the offsets of all parts
(`index.sqlite`), with a UUID (`index.uuid`) that changes with the samples alone.
"""

import hashlib
import sqlite3
import tarfile
import uuid
from abc import abstractmethod
from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from datagen.errors import DatagenError
from datagen.exporters.writing.tar_files import Member, TarExporter, samples_of
from datagen.files.writing import appearing, write_bytes, write_json, write_text

_SPLITS = {"train": "train", "validation": "val", "test": "test"}
_TABLES = """
CREATE TABLE samples (tar_file_id INTEGER NOT NULL, sample_key TEXT NOT NULL UNIQUE, sample_index INTEGER NOT NULL,
    byte_offset INTEGER, byte_size INTEGER);
CREATE TABLE sample_parts (tar_file_id INTEGER, sample_index INTEGER, part_name TEXT, content_byte_offset INTEGER,
    content_byte_size INTEGER);
"""
_INDEXES = """
CREATE INDEX idx_samples_by_tar_and_idx ON samples(tar_file_id, sample_index);
CREATE INDEX idx_sample_parts_seq ON sample_parts(tar_file_id, sample_index, content_byte_offset);
CREATE INDEX idx_sample_parts_full ON sample_parts(tar_file_id, sample_index, part_name, content_byte_offset,
    content_byte_size);
"""


class EnergonExporter(TarExporter):
    """Tars that `energon` opens without being prepared."""

    @abstractmethod
    def dataset(self) -> dict[str, Any]:
        """Return what `dataset.yaml` says: the type of the samples, and which part is which field."""

    def finish(self, folder: Path, files: Mapping[str, Sequence[Path]]) -> None:
        """Write the indexes and `.nv-meta`.

        Raises:
            DatagenError: two rows have the same id.
        """
        meta = folder / ".nv-meta"
        meta.mkdir(exist_ok=True)
        tars = [path for paths in files.values() for path in paths]
        digest = hashlib.sha256()
        counts = {}
        with appearing(meta / "index.sqlite") as unfinished:
            unfinished.unlink(missing_ok=True)
            database = sqlite3.connect(unfinished)
            database.executescript(_TABLES)
            for number, path in enumerate(tars):
                counts[path.name] = _index(database, number, path, digest)
            database.executescript(_INDEXES)
            database.commit()
            database.close()
        write_text(meta / "index.uuid", str(uuid.UUID(digest.hexdigest()[:32])))
        write_json(meta / ".info.json", {"energon_version": None, "shard_counts": counts})
        parts = {name: [path.name for path in files.get(split, ())] for split, name in _SPLITS.items()}
        write_text(meta / "split.yaml", yaml.safe_dump({"split_parts": parts, "exclude": []}, sort_keys=False))
        write_text(meta / "dataset.yaml", yaml.safe_dump(self.dataset(), sort_keys=False))


def _index(database: sqlite3.Connection, number: int, path: Path, digest: Any) -> int:
    """Write the index of one tar, and return how many samples it has."""
    offsets = array("Q")
    end = 0
    for index, (key, start, members) in enumerate(samples_of(path)):
        offsets.append(start)
        end = _behind(members[-1])
        digest.update(f"{path.name} {key} {start}\n".encode())
        try:
            database.execute("INSERT INTO samples VALUES (?, ?, ?, ?, ?)", (number, key, index, start, end - start))
        except sqlite3.IntegrityError as error:
            raise DatagenError(f"{path.name}: two rows have the id {key}, and Energon refuses that.") from error
        parts = [(number, index, member.part, member.offset, member.size) for member in members]
        database.executemany("INSERT INTO sample_parts VALUES (?, ?, ?, ?, ?)", parts)
    offsets.append(end)
    write_bytes(path.with_suffix(".tar.idx"), offsets.tobytes())
    return len(offsets) - 1


def _behind(member: Member) -> int:
    """Return the byte behind a file of a tar, which is filled up to whole blocks."""
    return member.offset + -(-member.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
