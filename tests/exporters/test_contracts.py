"""What trainers without an installable loader ask of a row; each contract names the source that it was read in.

Each function does with an export what the trainer's code does, and raises where that one would raise, train another row
or mask this one.
"""

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import datasets
import pyarrow.parquet as pq
import pytest
from PIL import Image

from datagen.exporters.writing.export import export
from tests.exporters.rows import judged, wild_row
from tests.trainers.loaders import Seen, kept_rows, messages_of, pixels_of

TAG = "<image>"
FORMATS = ("llava", "llava_lines", "internvl", "sharegpt", "messages", "finevision", "webdataset")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, Any]], Path]:
    run = judged(
        [wild_row(number, (1, 2, 3, 0)[number % 4]) for number in range(48)], tmp_path_factory.mktemp("run") / "run"
    )
    export(run, FORMATS, run.parent / "export")
    return kept_rows(run), run.parent / "export"


def images_of(record: dict[str, Any]) -> list[str]:
    found = record.get("image", [])
    return [found] if isinstance(found, str) else found


def llava(export: Path) -> Iterator[Seen]:
    """LLaVA-NeXT, `llava/train/train.py` (2026-04), and VILA-jp, `llava/data/dataset.py` (2025-08).

    A JSON list; `image_folder` + path; the first turn is human's, roles alternate, each turn has a word.
    """
    for record in json.loads((export / "llava" / "train.json").read_text(encoding="utf-8")):
        turns = record["conversations"]
        assert [turn["from"] for turn in turns] == ["human", "gpt"] * (len(turns) // 2)
        assert sum(turn["value"].count(TAG) for turn in turns) == len(images_of(record))
        assert all(len(turn["value"].split()) > 0 for turn in turns)
        yield seen(turns, [export / "llava" / image for image in images_of(record)])


def two_u1(export: Path) -> Iterator[Seen]:
    """2U1/Qwen-VL-Series-Finetune (2025-10): pairs 2k and 2k+1; pictures with sides of 28 pixels and more."""
    for record in json.loads((export / "llava" / "train.json").read_text(encoding="utf-8")):
        turns = record["conversations"]
        for index in range(0, len(turns), 2):
            assert (turns[index]["from"], turns[index + 1]["from"]) == ("human", "gpt")
        paths = [export / "llava" / image for image in images_of(record)]
        assert all(min(Image.open(path).size) >= 28 for path in paths)
        yield seen(turns, paths)


def qwen(export: Path) -> Iterator[Seen]:
    """Qwen3-VL, `qwenvl/data/data_processor.py`, _build_messages (2026-01): a tag a picture in human turns."""
    for line in (export / "llava_lines" / "train.jsonl").read_text(encoding="utf-8").splitlines(keepends=False):
        record = json.loads(line)
        paths = [(export / "llava_lines" / image).resolve() for image in images_of(record)]
        left = list(paths)
        for turn in record["conversations"]:
            if turn["from"] == "human":
                for _ in range(turn["value"].count(TAG)):
                    left.pop(0)
        assert not left
        yield seen(record["conversations"], paths)


def llm_jp_4_vl(export: Path) -> Iterator[Seen]:
    """LLM-jp-4-VL, `finetune/dataset.py` (2026): JSON lines, paths from the folder of the file, nothing checked."""
    annotation = export / "llava_lines" / "train.jsonl"
    with annotation.open(encoding="utf-8") as file:
        for record in map(json.loads, file):
            paths = [annotation.parent / image for image in images_of(record)]
            assert sum(turn["value"].count(TAG) for turn in record["conversations"]) == len(paths)
            yield seen(record["conversations"], paths)


def internvl(export: Path) -> Iterator[Seen]:
    """InternVL, `internvl_chat_finetune.py` (2025-09): `root + item` for lists, joined for one."""
    (about,) = json.loads((export / "internvl" / "meta.json").read_text()).values()
    assert about["annotation"].endswith("jsonl")
    lines = Path(about["annotation"]).read_text(encoding="utf-8").splitlines()
    assert len(lines) == about["length"]
    for record in map(json.loads, lines):
        if "image" in record and len(record["image"]) != 0:
            single = isinstance(record["image"], str)
            paths = [about["root"] + image for image in images_of(record)]
            sizes = (
                [(record["width"], record["height"])]
                if single
                else list(zip(record["width_list"], record["height_list"], strict=True))
            )
            assert [Image.open(path).size for path in paths] == sizes
            assert record["conversations"][0]["value"].count(TAG) == len(paths)
        else:
            paths = []
        assert len(record["conversations"]) % 2 == 0
        yield seen(record["conversations"], [Path(path) for path in paths])


def seen(turns: list[dict[str, str]], paths: list[Path]) -> Seen:
    roles = {"human": "user", "gpt": "assistant"}
    messages = tuple((roles[turn["from"]], turn["value"]) for turn in turns)
    return Seen(messages, tuple(pixels_of({"bytes": path.read_bytes()}) for path in paths))


@pytest.mark.parametrize("contract", [llava, two_u1, qwen, llm_jp_4_vl, internvl])
def test_the_contract_of_a_trainer_is_kept_for_every_row(
    contract: Callable[[Path], Iterator[Seen]], exported: tuple[list[dict[str, Any]], Path]
) -> None:
    rows, folder = exported
    assert list(contract(folder)) == [
        Seen(tuple(messages_of(row, tagged=True)), tuple(map(pixels_of, row["images"]))) for row in rows
    ]


def test_x_have_type_and_text_alone_and_pictures_stand_first(
    exported: tuple[list[dict[str, Any]], Path],
) -> None:
    """TRL (1.16.0) refuses every row whose blocks have a field `image`, even a null one."""
    rows, folder = exported
    written = pq.read_table(folder / "messages").to_pylist()
    assert len(written) == len(rows)
    for row in written:
        first, *others = row["messages"]
        assert [block["type"] for block in first["content"]] == ["image"] * len(row["images"]) + ["text"]
        assert all(set(block) == {"type", "text"} for message in row["messages"] for block in message["content"])
        assert all([block["type"] for block in message["content"]] == ["text"] for message in others)


@pytest.mark.slow
@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("name", ["messages", "finevision"])
def test_datasets_decodes_the_pictures_with_no_argument(
    exported: tuple[list[dict[str, Any]], Path], tmp_path: Path, name: str, streaming: bool
) -> None:
    rows, folder = exported
    loaded = list(
        datasets.load_dataset(str(folder / name), split="train", streaming=streaming, cache_dir=str(tmp_path))
    )
    assert [row["id"] for row in loaded] == [row["id"] for row in rows]
    for found, row in zip(loaded, rows, strict=True):
        assert [it.size for it in found["images"]] == [Image.open(io.BytesIO(it["bytes"])).size for it in row["images"]]


@pytest.mark.slow
def test_datasets_opens_the_tars_as_webdataset_though_the_pictures_are_of_several_formats(
    single: Path, tmp_path: Path
) -> None:
    rows = kept_rows(single)
    export(single, ["webdataset"], tmp_path / "out")
    files = sorted(map(str, (tmp_path / "out" / "webdataset").glob("*.tar")))
    loaded = list(datasets.load_dataset("webdataset", data_files=files, split="train", streaming=True))
    assert [it["json"]["id"] for it in loaded] == [it["id"] for it in rows]
    assert [it["jpg"].size for it in loaded] == [Image.open(io.BytesIO(it["images"][0]["bytes"])).size for it in rows]


def test_finevision_rows_are_those_that_nanovlm_takes(exported: tuple[list[dict[str, Any]], Path]) -> None:
    """nanoVLM, `data/datasets.py`, BaseDataset._get_messages: `texts` of user and assistant without tags."""
    rows, folder = exported
    written = pq.read_table(folder / "finevision").to_pylist()
    for found, row in zip(written, rows, strict=True):
        said = [
            (role, text)
            for turn in found["texts"]
            for role, text in (("user", turn["user"]), ("assistant", turn["assistant"]))
        ]
        assert said == [(message["role"], message["content"]) for message in row["messages"]]
        assert [it["bytes"] for it in found["images"]] == [it["bytes"] for it in row["images"]]
        assert found["source"]
