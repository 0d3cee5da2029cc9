"""What the tests of all sources share: to list one twice, to read an entry, and to write tables and data sets."""

import asyncio
import csv
import os
from pathlib import Path
from typing import Any

import datasets
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datagen.errors import DatagenError
from datagen.failures import Failure
from datagen.recipe import SourceSettings
from datagen.sources import Entry, open_source
from tests.conftest import picture

MAX_BYTES = 1_000_000
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def opened(path: Path | str, **options: Any) -> Any:
    return open_source(SourceSettings(path=str(path), **options), MAX_BYTES)


def listed(path: Path | str, **options: Any) -> list[Entry]:
    """List twice: the order may not change, and keys must be unique and valid Unicode."""
    source = opened(path, **options)
    entries = list(source.entries())
    assert entries == list(source.entries()) == list(opened(path, **options).entries())
    assert len({entry.key for entry in entries}) == len(entries)
    assert all(entry.key.encode("utf-8") is not None for entry in entries)
    return entries


def keys(path: Path | str, **options: Any) -> list[str]:
    return [entry.key for entry in listed(path, **options)]


def pictures(source: Any, entry: Entry) -> tuple[bytes, ...]:
    async def once() -> tuple[bytes, ...]:
        try:
            found: tuple[bytes, ...] = (await source.read(entry)).pictures
            return found
        finally:
            await source.close()

    return asyncio.run(once())


def read(source: Any, entry: Entry) -> bytes:
    (data,) = pictures(source, entry)
    return data


def failure_of(source: Any, entry: Entry) -> Failure:
    with pytest.raises(Failure) as caught:
        read(source, entry)
    return caught.value


def sentence_of(path: Path | str, **options: Any) -> str:
    with pytest.raises(DatagenError) as caught:
        list(opened(path, **options).entries())
    message = str(caught.value)
    assert message.rstrip().endswith(".")
    return message


def touch(folder: Path, name: bytes, content: bytes = b"x") -> None:
    path = folder / os.fsdecode(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def write_table(path: Path, rows: list[dict[str, Any]]) -> Path:
    if path.suffix.lower() == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix.lower() in (".jsonl", ".ndjson"):
        path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    elif path.suffix.lower() == ".json":
        path.write_bytes(orjson.dumps(rows))
    else:
        with path.open("w", encoding="utf-8", newline="") as file:
            names = list(dict.fromkeys(name for row in rows for name in row))
            writer = csv.DictWriter(file, names, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
            writer.writeheader()
            writer.writerows(rows)
    return path


def image_table(values: list[dict[str, Any] | None], **columns: list[Any]) -> pa.Table:
    return pa.table({"image": pa.array(values, IMAGE), **columns})


def image_dataset(**columns: list[Any]) -> Any:
    images = [{"bytes": picture(number), "path": None} for number in range(3)]
    features = datasets.Features({"image": datasets.Image(), **{name: datasets.Value("string") for name in columns}})
    return datasets.Dataset.from_dict({"image": images, **columns}, features=features)
