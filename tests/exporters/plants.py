"""Every kind of fault that trainers hide, as a function that plants it into a clean export."""

import io
import json
import pickle
import re
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

Plant = Callable[[Path], None]
Members = list[tuple[str, bytes]]
PLANTS: dict[str, list[Plant]] = {}


def plants(fault: str) -> Callable[[Plant], Plant]:
    """Name the fault that a function plants."""

    def named(plant: Plant) -> Plant:
        PLANTS.setdefault(fault, []).append(plant)
        return plant

    return named


# JSON: the second row of LLaVA's array, or of ShareGPT's lines, is changed.


def llava(change: Callable[[dict[str, Any]], object]) -> Plant:
    def plant(folder: Path) -> None:
        path = folder / "llava" / "train.json"
        rows = json.loads(path.read_text(encoding="utf-8"))
        change(rows[1])
        path.write_text(json.dumps(rows, ensure_ascii=True), encoding="utf-8")

    return plant


def sharegpt(change: Callable[[dict[str, Any]], object]) -> Plant:
    def plant(folder: Path) -> None:
        path = folder / "sharegpt" / "data" / "train.jsonl"
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        change(rows[1])
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

    return plant


def says(text: str, message: int = 1) -> Callable[[dict[str, Any]], object]:
    """Add a text to a message."""

    def change(row: dict[str, Any]) -> None:
        row["conversations"][message]["value"] += text

    return change


def sets(**fields: Any) -> Callable[[dict[str, Any]], object]:
    return lambda row: row.update(fields)


def turns(*said: tuple[Any, Any]) -> Callable[[dict[str, Any]], object]:
    return sets(conversations=[{"from": role, "value": text} for role, text in said])


Q, A = "<image>\n何ですか？", "桜です。"
TEXTS: dict[str, list[Callable[[dict[str, Any]], object]]] = {
    "no_conversation": [sets(conversations=[]), sets(conversations=None)],
    "text_not_string": [turns(("human", Q), ("gpt", None)), turns(("human", Q), ("gpt", 3))],
    "text_empty": [turns(("human", Q), ("gpt", "")), turns(("human", "<image>\n　"), ("gpt", A))],
    "role_unknown": [turns(("human", Q), ("bot", A)), turns(("Human", Q), ("gpt", A)), turns(("human", Q), (None, A))],
    "role_order": [turns(("human", Q), ("human", "続き"), ("gpt", A), ("gpt", A))],
    "starts_with_answer": [turns(("gpt", A), ("human", Q))],
    "ends_with_question": [turns(("human", Q), ("gpt", A), ("human", "ほかには？"))],
    "system_not_first": [turns(("human", Q), ("system", "短く。"), ("gpt", A))],
    "tag_missing": [turns(("human", "何ですか？"), ("gpt", A))],
    "tag_surplus": [turns(("human", "<image>" + Q), ("gpt", A))],
    "tag_in_answer": [
        turns(("human", "何ですか？"), ("gpt", "<image>です。")),
        turns(("system", "<image>"), ("human", Q), ("gpt", A)),
    ],
    "tag_not_first": [turns(("human", "何ですか？"), ("gpt", A), ("human", Q), ("gpt", A))],
    "tag_of_media": [says("<video>", 0), says("<audio>")],
    "control_qwen": [says("<|im_end|>"), says("<|vision_start|>", 0), says("<|image_pad|>")],
    "control_harmony": [says("<|return|>"), says("<|channel|>"), says("<|start|>", 0)],
    "control_llama": [says("</s>"), says("<s>"), says("<EOD|LLM-jp>")],
    "control_vila_jp": [says("\n\n### 応答:\n"), says("### 指示：", 0)],
    "control_vicuna": [says("USER: はい"), says("ASSISTANT: はい")],
    "control_internvl": [says("<img>"), says("</img>", 0), says("<IMG_CONTEXT>")],
    "word_assistant": [says("assistant"), says("これはassistantです", 0)],
    "character_bad": [says("\x00"), says("\ufffd")],
    "image_no_path": [sets(image={"file": "a.jpg"}), sets(image=3)],
    "image_url": [sets(image="https://pictures.example/a.jpg")],
    "image_base64": [sets(image="data:image/jpeg;base64,/9j/4AAQ"), sets(image="iVBORw0KGgoAAAANSUhEUgAAAAE")],
    "picture_missing": [sets(image="../images/none.jpg"), sets(image="x" * 300), sets(image="a\x00b")],
}
for fault, changes in TEXTS.items():
    for change in changes:
        plants(fault)(llava(change))
plants("image_null")(llava(lambda row: (row.update(image=None), turns(("human", "何？"), ("gpt", A))(row))))
plants("image_empty")(llava(lambda row: (row.update(image=[]), turns(("human", "何？"), ("gpt", A))(row))))
plants("system_not_taken")(llava(turns(("system", "短く。"), ("human", Q), ("gpt", A))))
plants("images_string")(sharegpt(lambda row: row.update(images=row["images"][0])))
plants("field_types_mixed")(sharegpt(sets(id=7)))


@plants("id_twice")
def same_id(folder: Path) -> None:
    path = folder / "llava" / "train.json"
    rows = json.loads(path.read_text(encoding="utf-8"))
    rows[1]["id"] = rows[0]["id"]
    path.write_text(json.dumps(rows), encoding="utf-8")


# Pictures: a file of the store is replaced.


def stored(make: Callable[[bytes], bytes], suffix: str = ".jpg") -> Plant:
    def plant(folder: Path) -> None:
        path = next((folder / "images").rglob(f"*{suffix}"))
        path.write_bytes(make(path.read_bytes()))

    return plant


def encoded(size: tuple[int, int] = (64, 64), mode: str = "RGB", kind: str = "JPEG", **options: Any) -> bytes:
    out = io.BytesIO()
    Image.new(mode, size).save(out, kind, **options)
    return out.getvalue()


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(exif=exif)


plants("picture_empty")(stored(lambda data: b""))
plants("picture_cut")(stored(lambda data: data[: len(data) // 2]))
plants("picture_cut")(stored(lambda data: data[: len(data) // 2], ".png"))
plants("picture_unreadable")(stored(lambda data: b"<html>not found</html>"))
plants("picture_small")(stored(lambda data: encoded((64, 27))))
plants("picture_narrow")(stored(lambda data: encoded((6000, 30))))
plants("picture_huge")(stored(lambda data: encoded((10_000, 9_000), "1", "PNG"), ".png"))
plants("picture_turned")(stored(lambda data: turned()))
plants("picture_animated")(
    stored(lambda data: encoded(kind="GIF", save_all=True, append_images=[Image.new("RGB", (64, 64), "red")]), ".gif")
)
plants("picture_deep")(stored(lambda data: encoded(mode="I;16", kind="PNG"), ".png"))
plants("picture_suffix")(stored(lambda data: encoded(kind="PNG")))

# JSON files as a whole


def rewritten(path: str, change: Callable[[str], str]) -> Plant:
    def plant(folder: Path) -> None:
        text = (folder / path).read_text(encoding="utf-8")
        (folder / path).write_text(change(text), encoding="utf-8")

    return plant


def lines_alone(text: str) -> str:
    return "\n".join(line.rstrip(",") for line in text.splitlines()[1:-1])


LINES = "llava_lines/train.jsonl"
plants("file_empty")(rewritten(LINES, lambda text: ""))
plants("file_empty")(rewritten("llava/train.json", lambda text: "[]"))
plants("file_mark")(rewritten(LINES, lambda text: "\ufeff" + text))
plants("line_broken")(rewritten(LINES, lambda text: text[:-40]))
plants("line_broken")(rewritten(LINES, lambda text: text + '"text"\n'))
plants("line_broken")(rewritten("llava/train.json", lambda text: text[:-40]))
plants("line_empty")(rewritten(LINES, lambda text: text.replace("\n", "\n\n", 1)))
plants("array_in_lines")(rewritten(LINES, lambda text: "[" + ",".join(text.splitlines()) + "]"))
plants("lines_in_array")(rewritten("llava/train.json", lines_alone))

# What stands beside the data


def table(path: str, change: Callable[[dict[str, Any]], object]) -> Plant:
    def plant(folder: Path) -> None:
        document = json.loads((folder / path).read_text(encoding="utf-8"))
        change(next(iter(document.values())))
        (folder / path).write_text(json.dumps(document), encoding="utf-8")

    return plant


INFO, META = "sharegpt/dataset_info.json", "internvl/meta.json"
plants("info_file_missing")(table(INFO, sets(file_name="data/other.jsonl")))
plants("info_columns")(table(INFO, sets(columns={"messages": "messages", "images": "images"})))
plants("info_columns")(table(INFO, sets(columns={"messages": "conversations"})))
plants("info_columns")(table(INFO, sets(tags={"role_tag": "role", "content_tag": "content"})))
plants("meta_annotation")(table(META, sets(annotation="/nowhere/other.jsonl")))
plants("meta_length")(table(META, sets(length=23)))
plants("meta_root")(table(META, lambda about: about.update(root=about["root"].rstrip("/"))))
plants("meta_root")(table(META, sets(root="/nowhere/")))


@plants("folder_mixed")
def mixed_folder(folder: Path) -> None:
    table(INFO, sets(file_name="data"))(folder)
    (folder / "sharegpt" / "data" / "README.md").write_text("about")


# Parquet


def parquet(folder: Path, name: str = "messages") -> Path:
    return next((folder / name).glob("*.parquet"))


def messages(change: Callable[[dict[str, Any]], object], block: pa.DataType | None = None) -> Plant:
    def plant(folder: Path) -> None:
        path = parquet(folder)
        read = pq.read_table(path)
        rows = read.to_pylist()
        change(rows[0])
        schema = read.schema
        if block is not None:
            said = pa.list_(pa.struct([("role", pa.string()), ("content", pa.list_(block))]))
            schema = schema.set(schema.get_field_index("messages"), pa.field("messages", said))
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)

    return plant


def features(change: Callable[[dict[str, Any]], object]) -> Plant:
    def plant(folder: Path) -> None:
        path = parquet(folder)
        read = pq.read_table(path)
        described = json.loads(read.schema.metadata[b"huggingface"])
        change(described["info"]["features"])
        pq.write_table(read.replace_schema_metadata({b"huggingface": json.dumps(described).encode()}), path)

    return plant


def block(number: int, **fields: Any) -> Callable[[dict[str, Any]], object]:
    return lambda row: row["messages"][0]["content"][number].update(fields)


@plants("parquet_unreadable")
def cut_parquet(folder: Path) -> None:
    path = parquet(folder)
    path.write_bytes(path.read_bytes()[:-50])


BLOCK = pa.struct([("type", pa.string()), ("text", pa.string()), ("image", pa.string())])
plants("block_image_field")(messages(lambda row: None, BLOCK))
plants("block_unknown")(messages(block(1, type="image_url")))
plants("block_text_null")(messages(block(1, text=None)))
plants("tag_in_blocks")(messages(block(1, text="<image>は何？")))
plants("tag_surplus")(messages(block(1, type="image", text=None)))
plants("images_not_pictures")(features(lambda found: found.update(images=[{"bytes": {"_type": "Value"}}])))
plants("features_new")(features(lambda found: found.update(images={"_type": "List", "feature": {"_type": "Image"}})))
plants("picture_missing")(messages(lambda row: row.update(images=[{"bytes": None, "path": None}])))
plants("picture_cut")(messages(lambda row: row["images"][0].update(bytes=row["images"][0]["bytes"][:-30])))


@plants("images_not_pictures")
def without_features(folder: Path) -> None:
    pq.write_table(pq.read_table(parquet(folder)).replace_schema_metadata(None), parquet(folder))


@plants("text_empty")
def empty_text(folder: Path) -> None:
    path = parquet(folder, "finevision")
    read = pq.read_table(path)
    rows = read.to_pylist()
    rows[0]["texts"][0]["assistant"] = ""
    pq.write_table(pa.Table.from_pylist(rows, schema=read.schema), path)


# Tars


def members(path: Path) -> Members:
    with tarfile.open(path) as archive:
        return [(it.name, archive.extractfile(it).read()) for it in archive]  # type: ignore[union-attr]


def retarred(folder: Path, name: str, change: Callable[[Members], Members]) -> None:
    path = sorted((folder / name).glob("*.tar"))[0]
    found = change(members(path))
    with tarfile.open(path, "w") as archive:
        for member, data in found:
            info = tarfile.TarInfo(member)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def tar(change: Callable[[Members], Members], name: str = "webdataset") -> Plant:
    return lambda folder: retarred(folder, name, change)


def dotted(found: Members) -> Members:
    return [(re.sub(r"^(row)-(\d+)", r"\1.\2", name), data) for name, data in found]


def parts(suffix: str, change: Callable[[bytes], bytes]) -> Callable[[Members], Members]:
    return lambda found: [(name, change(data) if name.endswith(f".{suffix}") else data) for name, data in found]


plants("key_dot")(tar(dotted))
plants("parts_apart")(tar(lambda found: [found[0], *found[2:], found[1]]))
plants("parts_differ")(tar(lambda found: found[:3] + found[4:]))
plants("key_twice")(tar(lambda found: [*found, *found[-2:]]))
plants("part_broken")(tar(parts("json", lambda data: data[:-5])))
plants("picture_unreadable")(tar(parts("jpg", lambda data: b"x")))
plants("picture_empty")(tar(parts("jpgs", lambda data: pickle.dumps("no list")), "energon_chatml"))
TWICE = json.dumps([{"role": "user", "content": "<image>何？"}] * 2).encode()
plants("role_order")(tar(parts("json", lambda data: TWICE), "energon_chatml"))


@plants("key_twice")
def key_of_another_shard(folder: Path) -> None:
    first, second, *_ = sorted((folder / "webdataset").glob("*.tar"))
    shutil.copy(first, second)


@plants("tar_cut")
def cut_tar(folder: Path) -> None:
    path = sorted((folder / "webdataset").glob("*.tar"))[0]
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@plants("tar_cut")
def cut_between_samples(folder: Path) -> None:
    path = sorted((folder / "webdataset").glob("*.tar"))[0]
    with tarfile.open(path) as archive:
        offset = archive.getmembers()[4].offset
    path.write_bytes(path.read_bytes()[:offset])


@plants("nv_missing")
def without_index(folder: Path) -> None:
    sorted((folder / "energon").glob("*.tar.idx"))[0].unlink()


@plants("nv_missing")
def without_meta(folder: Path) -> None:
    (folder / "energon" / ".nv-meta" / "dataset.yaml").unlink()


@plants("nv_counts")
def wrong_counts(folder: Path) -> None:
    path = folder / "energon" / ".nv-meta" / ".info.json"
    info = json.loads(path.read_text())
    info["shard_counts"] = {name: count + 1 for name, count in info["shard_counts"].items()}
    path.write_text(json.dumps(info))


@plants("nv_split")
def left_out(folder: Path) -> None:
    path = folder / "energon" / ".nv-meta" / "split.yaml"
    path.write_text(re.sub(r"  - train-00000.*\n", "", path.read_text()))


@plants("shards_too_many")
def many(folder: Path) -> None:
    first = sorted((folder / "webdataset").glob("*.tar"))[0]
    for number in range(10_000):
        (folder / "webdataset" / f"more-{number:05d}.tar").symlink_to(first)
