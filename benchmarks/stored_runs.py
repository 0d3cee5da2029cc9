"""Finished runs of any size, written straight to disk: real shards and a real manifest, with no model and no pipeline.

The rows have the sizes of real ones: a caption, three question-answer turns, and the four calls behind them. What each
rule found is drawn at random, some rules together more often than by chance.
"""

import io
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image, ImageDraw

from datagen.files.writing import write_json
from datagen.recipe import Output
from datagen.records import STATES, shard_schema
from datagen.store.judged_shards import RollingShards
from datagen.store.manifest import FOLDERS, PROVENANCE
from filters import load_policy
from prompts import load_prompt

TURNS = 3
_BATCH = 512
_PLACES = ("駅前の広場", "川沿いの道", "小さな港", "古い商店街", "山の上の神社", "大学の図書館", "朝の市場", "雪の公園")
_THINGS = ("赤い屋根の建物", "白い自転車", "二本の桜の木", "石の階段", "青い看板", "木のベンチ", "黄色いバス", "噴水")
_MORE = "手前には人が立っています。"
_OFFENCE = "ほかに知りたいことはありますか？"
_REQUEST = "この画像について、質問とその答えを日本語で一組作ってください。答えは言い切りの文で書きます。"
_FAILURES = ("timeout", "corrupt_image", "length")


def write_run(
    out: Path,
    rows: int,
    *,
    policy: str = "strict",
    rules: Sequence[str] | None = None,
    failed: float = 0.01,
    pictures: int = 0,
    photographs: Callable[[int], bytes] | None = None,
    shard_bytes: int = 500_000_000,
    seed: int = 0,
) -> dict[str, Any]:
    """Write a run of `rows` rows and return its manifest.

    Args:
        out: the run's directory; it must not hold one.
        rows: how many.
        policy: whose rules find something.
        rules: other names of rules than the policy's own.
        failed: the share of failed rows.
        pictures: how many different pictures the rows have; none means that they have no picture.
        photographs: makes the picture of each row in their place, all of them different.
        shard_bytes: the size of a shard.
        seed: of all draws.
    """
    draw = np.random.default_rng(seed)
    chosen = load_policy(policy)
    entries: list[dict[str, Any]] = chosen.to_dict()["rules"]
    if rules is not None:
        entries = [{"rule": name, "action": "drop", "settings": {}} for name in rules]
    encoded = [_picture(number) for number in range(pictures)]
    picture_of = photographs or (lambda number: encoded[number % len(encoded)] if encoded else b"")
    schema = shard_schema()
    shards: dict[str, RollingShards] = {}
    for state, folder in FOLDERS.items():
        (out / folder).mkdir(parents=True)
        shards[state] = RollingShards(out / folder, state, schema, Output(shard_bytes=shard_bytes))
    counts: dict[str, int] = {str(state): 0 for state in STATES}
    failures: dict[str, int] = {}
    dropping = {entry["rule"] for entry in entries if entry["action"] == "drop"}
    for first in range(0, rows, _BATCH):
        batch: dict[str, list[dict[str, Any]]] = {str(state): [] for state in STATES}
        for row in _rows(
            first, min(_BATCH, rows - first), draw, [entry["rule"] for entry in entries], failed, picture_of
        ):
            if row["state"] != "failed" and {finding["rule"] for finding in row["findings"]} & dropping:
                row["state"] = "dropped"
            if row["error"]:
                failures[row["error"]["class"]] = failures.get(row["error"]["class"], 0) + 1
            batch[row["state"]].append(row)
        for state, found in batch.items():
            counts[state] += len(found)
            if found:
                shards[state].write(pa.Table.from_pylist(found, schema=schema))
    written = [entry for state in STATES for entry in shards[state].close()]
    manifest = {
        **PROVENANCE,
        "task": "synthetic",
        "recipe": {"task": "synthetic", "seed": seed, "stages": [{"prompt": "caption"}, {"prompt": "question_answer"}]},
        "policy": {"name": chosen.name, "digest": chosen.digest, "rules": entries},
        "counts": {"inputs": rows, **counts},
        "failures": dict(sorted(failures.items())),
        "shards": written,
    }
    write_json(out / "manifest.json", manifest)
    return manifest


def _rows(
    first: int,
    count: int,
    draw: np.random.Generator,
    rules: list[str],
    failed: float,
    picture_of: Callable[[int], bytes],
) -> Iterator[dict[str, Any]]:
    """Yield rows; a rule finds something in 10 % of them and fewer, and often where the rule before it does."""
    places, things = draw.integers(0, 8, (count, TURNS + 1)), draw.integers(0, 8, (count, TURNS + 1))
    hits = draw.random((count, len(rules))) < 0.1 / np.arange(1, len(rules) + 1)
    hits[:, 1:] |= hits[:, :-1] & (draw.random((count, max(len(rules) - 1, 0))) < 0.3)
    turns = draw.integers(0, TURNS, (count, len(rules)))
    fails = draw.random(count) < failed
    lengths = draw.geometric(0.4, (count, TURNS + 1))
    prompts = [load_prompt("caption")] + [load_prompt("question_answer")] * TURNS
    for n in range(count):
        row_id = sha256(str(first + n).encode()).hexdigest()[:32]
        found = {int(turns[n, rule]): rule for rule in np.flatnonzero(hits[n])}
        statements = [
            f"{_PLACES[places[n, turn]]}に{_THINGS[things[n, turn]]}が見えます。{_MORE * int(lengths[n, turn])}"
            for turn in range(TURNS + 1)
        ]
        questions = [f"{_PLACES[places[n, turn]]}には何がありますか？" for turn in range(TURNS)]
        answers = [statements[turn] + (_OFFENCE if turn in found else "") for turn in range(TURNS)]
        failed_row = bool(fails[n])
        texts = [f'{{"caption": "{statements[TURNS]}"}}'] + [
            f'{{"question": "{question}", "answer": "{answer}"}}'
            for question, answer in zip(questions, answers, strict=True)
        ]
        calls = [
            {
                "stage": min(number, 1),
                "engine": "vlm",
                "model": "synthetic-vlm",
                "prompt": prompts[number].name,
                "prompt_digest": prompts[number].digest,
                "sampling": '{"temperature":0.7,"top_p":0.9,"max_tokens":512}',
                "seed": first + n,
                "attempt": 1,
                "request": _REQUEST,
                "answer": text,
                "finish_reason": "stop",
                "prompt_tokens": 900 + 60 * number,
                "completion_tokens": len(text) // 2,
            }
            for number, text in enumerate(texts)
        ]
        picture = picture_of(first + n)
        failure = _FAILURES[(first + n) % len(_FAILURES)]
        yield {
            "id": row_id,
            "images": [{"bytes": picture, "path": f"{row_id}.png"}] if picture else [],
            "key": f"{first + n:09d}.png",
            "pictures": [{"sha256": sha256(picture).hexdigest(), "phash": row_id[:16], "width": 160, "height": 160}]
            if picture
            else [],
            "source": "synthetic",
            "url": "",
            "license": "",
            "task": "synthetic",
            "caption": statements[TURNS],
            "messages": []
            if failed_row
            else [
                {"role": role, "content": content}
                for pair in zip(questions, answers, strict=True)
                for role, content in zip(("user", "assistant"), pair, strict=True)
            ],
            "findings": []
            if failed_row
            else [
                {
                    "rule": rules[rule],
                    "message": 2 * int(turns[n, rule]) + 1,
                    "start": len(statements[turns[n, rule]]),
                    "end": len(statements[turns[n, rule]]) + len(_OFFENCE),
                    "text": _OFFENCE,
                    "evidence": "？ ends the sentence",
                }
                for rule in np.flatnonzero(hits[n])
            ],
            "scores": [],
            "policy": "",
            "state": "failed" if failed_row else "kept",
            "error": {"class": failure, "message": f"no answer for {row_id[:4]}"} if failed_row else None,
            "calls": calls[:1] if failed_row else calls,
        }


def _picture(number: int) -> bytes:
    """Return a small PNG that differs by number."""
    image = Image.new("RGB", (160, 160), ((37 * number) % 256, (91 * number) % 256, 160))
    ImageDraw.Draw(image).ellipse((30, 30, 130, 130), fill=(250, (53 * number) % 256, 120))
    encoded = io.BytesIO()
    image.save(encoded, "PNG")
    return encoded.getvalue()
