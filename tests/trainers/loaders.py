"""What the loaders of trainers read of an export, each in a process of its own with its own libraries.

`python -m tests.trainers.loaders RUN` exports a run and prints a table: rows in, rows read, texts and pictures equal.
"""

import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from datagen.exporters.writing.export import export
from datagen.pictures.thumbnails import stored_bytes
from datagen.store.manifest import read_manifest

ROOT = Path(__file__).parent.parent.parent
HERE = Path(__file__).parent
INSTALLED = ROOT / ".trainers"


class Loader(NamedTuple):
    """How a trainer's loader is run.

    Attributes:
        format: what it reads.
        reader: the script in `readers/`.
        libraries: the folder in `.trainers`, and others for the path.
        arguments: behind the folder of the format.
        tagged: whether its texts still have the tags of pictures.
    """

    format: str
    reader: str
    libraries: tuple[Path, ...]
    arguments: tuple[str, ...] = ()
    tagged: bool = False


LOADERS = {
    "TRL": Loader("messages", "read_trl", (INSTALLED / "trl",)),
    "Axolotl": Loader("messages", "read_axolotl", (INSTALLED / "axolotl",)),
    "ms-swift": Loader("sharegpt", "read_swift", (INSTALLED / "swift",), tagged=True),
    "LLaMA-Factory": Loader(
        "sharegpt", "read_llama_factory", (INSTALLED / "llama_factory", HERE / "stubs"), ("{task}_train",), True
    ),
    "NeMo Automodel": Loader("sharegpt", "read_automodel", (INSTALLED / "automodel",), ("{task}_train",)),
    "Energon VQASample": Loader("energon", "read_energon", (INSTALLED / "energon",), ("train",)),
    "Energon ChatMLSample": Loader(
        "energon_chatml", "read_energon_chatml", (INSTALLED / "energon", HERE / "contracts"), ("train",), True
    ),
    "webdataset": Loader("webdataset", "read_webdataset", (INSTALLED / "energon",)),
}
ONE_PICTURE = ("Axolotl", "Energon VQASample")
FORMATS = sorted({loader.format for loader in LOADERS.values()})


class Seen(NamedTuple):
    """A row: role and text of its messages, and the digests of its pictures' pixels."""

    messages: tuple[tuple[str, str], ...]
    pictures: tuple[str, ...]


def read(name: str, exported: Path, task: str) -> list[Seen]:
    """Return what a loader reads of an export."""
    loader = LOADERS[name]
    folder = exported / loader.format
    arguments = [argument.format(task=task) for argument in loader.arguments]
    with tempfile.TemporaryDirectory() as cache:
        caches = {"HF_HOME": cache, "MODELSCOPE_CACHE": cache, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
        done = subprocess.run(
            [sys.executable, str(HERE / "readers" / f"{loader.reader}.py"), str(folder), *arguments],
            cwd=folder,
            env={**os.environ, **caches, "PYTHONPATH": os.pathsep.join(map(str, loader.libraries))},
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stderr[-3000:]
    lines = [json.loads(line[1:]) for line in done.stdout.split("\n") if line.startswith("\x1e")]
    return [Seen(tuple(map(tuple, line["messages"])), tuple(line["pictures"])) for line in lines]


def expected(name: str, rows: list[dict[str, Any]]) -> list[Seen]:
    """Return what the loader has to read of rows of shards."""
    if LOADERS[name].format == "energon":
        return sorted(_typed(rows))
    tagged = LOADERS[name].tagged
    return [Seen(tuple(messages_of(row, tagged=tagged)), tuple(map(pixels_of, row["images"]))) for row in rows]


def kept_rows(run: Path) -> list[dict[str, Any]]:
    """Return the kept rows of a run, in the order of its shards."""
    shards = [run / shard["path"] for shard in read_manifest(run)["shards"] if shard["state"] == "kept"]
    return [row for path in shards for row in pq.read_table(path).to_pylist()]


def fitting(name: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows that a format can say, and the trainer takes: with `VQASample` and Axolotl one picture.

    Axolotl indexes the column with 0, so that a row without pictures ends it, and the second one of a row is lost.
    """
    return [row for row in rows if name not in ONE_PICTURE or len(row["images"]) == 1]


def _typed(rows: list[dict[str, Any]]) -> Iterator[Seen]:
    for row in rows:
        said = [(message["role"], message["content"]) for message in row["messages"]]
        for number, pair in enumerate(zip(said[::2], said[1::2], strict=True)):
            yield Seen((("key", f"{row['id']}-{number}"), *pair), (pixels_of(row["images"][0]),))


def messages_of(row: dict[str, Any], *, tagged: bool) -> Iterator[tuple[str, str]]:
    """Yield role and text of the messages of a row, with the tags of its pictures or without."""
    waiting = "<image>\n" * len(row["images"]) if tagged else ""
    for message in row["messages"]:
        is_user = message["role"] == "user"
        yield message["role"], waiting + message["content"] if is_user else message["content"]
        waiting = "" if is_user else waiting


def pixels_of(image: dict[str, Any]) -> str:
    """Return the digest of the pixels of a picture as rows have it."""
    array = np.asarray(Image.open(io.BytesIO(stored_bytes(image))).convert("RGB"))
    return hashlib.sha256(str(array.shape).encode() + array.tobytes()).hexdigest()


def main(run: Path) -> None:
    rows = kept_rows(run)
    task = read_manifest(run)["task"]
    sys.stdout.write(
        "| loader | format | rows in | rows read | texts equal | pictures equal |\n| --- | --- |" + " ---: |" * 4 + "\n"
    )
    with tempfile.TemporaryDirectory() as out:
        export(run, FORMATS, Path(out) / "export")
        for name, loader in LOADERS.items():
            wanted = expected(name, fitting(name, rows))
            found = read(name, Path(out) / "export", task)
            found = sorted(found) if loader.format == "energon" else found
            pairs = list(zip(wanted, found, strict=False))
            texts = sum(one.messages == other.messages for one, other in pairs)
            pictures = sum(one.pictures == other.pictures for one, other in pairs)
            sys.stdout.write(
                f"| {name} | `{loader.format}` | {len(wanted):,} | {len(found):,} | {texts:,} | {pictures:,} |\n"
            )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
