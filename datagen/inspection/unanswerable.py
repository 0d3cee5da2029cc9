"""`datagen unanswerable`: questions that their picture cannot answer, made of the pairs of a run with no model call.

A question about one picture is put to another one, of which nothing that was said names what the question is about; the
answer says that it is not there. A model that never saw such a pair makes something up; a few in a hundred rows are
enough, and many teach it to refuse.
"""

import heapq
import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from datagen.errors import DatagenError
from datagen.executors import suited
from datagen.inspection.stored_rows import StoredRows
from datagen.recipe import Output
from datagen.records import shard_schema
from datagen.sources.reading.conversation_files import refuse_overlap
from datagen.store.judged_shards import JudgedShards
from datagen.store.judging import judge_rows
from datagen.store.manifest import FOLDERS, claim_output, read_manifest
from datagen.store.mix_plan import number_of
from datagen.store.policies import policy_facts
from datagen.store.run_directory import RunDirectory
from filters import Policy
from filters.questions.morphology import Morpheme, tag

TASK = "unanswerable"
TAKEN_FROM = "question_of"
"""The score that says, in its reason, which row the question was taken from."""
_POOL = 6
_RARE = 0.05
_AT_ONCE = 64
_ANSWERS = (
    "この画像に{thing}は写っていないため、分かりません。",
    "{thing}は写っていないので、この画像からは分かりません。",
    "この画像には{thing}が見当たらず、この画像だけでは分かりません。",
)


class _Said(NamedTuple):
    """What was said about one picture."""

    number: int
    row: int
    id: str
    questions: tuple[str, ...]
    text: str


class Swapped(NamedTuple):
    """A question that is put to another picture.

    Attributes:
        row: the number of the picture's row.
        id: of that row; `taken_from` is that of the row of the question.
        question: as it was asked there.
        thing: what it is about, which the picture does not show.
        taken_from: see above.
    """

    row: int
    id: str
    question: str
    thing: str
    taken_from: str


def make_unanswerable(run: Path, out: Path, rows: int, policy: Policy, seed: int = 0) -> dict[str, Any]:
    """Write rows whose question their picture cannot answer, and return the manifest.

    Args:
        run: a finished run, or what `datagen filter` wrote; its kept rows are used.
        out: where the shards go.
        rows: how many are wanted; there may be fewer.
        policy: that judges them.
        seed: of the draw.

    Raises:
        DatagenError: there is no finished run, or no question of it fits another picture.
    """
    refuse_overlap(out, run)
    manifest = read_manifest(run)
    with StoredRows(run) as stored, suited(few=True):
        swapped = swap(list(_pool(stored, _POOL * rows, seed)), rows, seed)
        if not swapped:
            raise DatagenError(
                f"No question of {run} fits another of its pictures: {manifest['counts']['kept']:,} rows were kept. "
                "Take a larger run, with pictures of different things."
            )
        directory = RunDirectory(out.absolute())
        with directory.locked():
            claim_output(directory.path)
            shards = JudgedShards(directory.path)
            shards.open(shard_schema(), Output())
            for start in range(0, len(swapped), _AT_ONCE):
                shards.write(_table(stored, swapped[start : start + _AT_ONCE], policy, seed))
            return shards.finish(len(swapped), {"task": TASK, "policy": policy_facts(policy)})


def _pool(stored: StoredRows, size: int, seed: int) -> Iterator[_Said]:
    """Yield kept rows with their texts, drawn by the seed, in the order of their numbers."""

    def said() -> Iterator[_Said]:
        for number, path in enumerate(stored.files):
            if path.parent.name != FOLDERS["kept"]:
                continue
            first = number << 32
            for batch in pq.ParquetFile(path).iter_batches(columns=["id", "caption", "messages"]):
                for row in batch.to_pylist():
                    questions = tuple(each["content"] for each in row["messages"] if each["role"] == "user")
                    text = "\n".join([row["caption"] or "", *(each["content"] for each in row["messages"])])
                    yield _Said(number_of(seed, row["id"]), first, row["id"], questions, text)
                    first += 1

    return iter(heapq.nsmallest(size, said()))


def swap(pool: Sequence[_Said], rows: int, seed: int) -> list[Swapped]:
    """Return questions for pictures that do not show what they are about; each question and each picture once."""
    nouns = [frozenset(things(said.text)) for said in pool]
    seen_in = Counter(noun for found in nouns for noun in found)
    rare = max(2.0, _RARE * len(pool))
    donors = [
        (number, question, about)
        for number, said in enumerate(pool)
        for question in said.questions
        if (about := [thing for thing in things(question) if seen_in[thing] <= rare])
    ]
    random.Random(seed).shuffle(donors)
    swapped: list[Swapped] = []
    used: set[str] = set()
    for number, said in enumerate(pool):
        if len(swapped) == rows:
            break
        for other, question, about in donors:
            if other != number and question not in used and not nouns[number].intersection(things(question)):
                used.add(question)
                swapped.append(Swapped(said.row, said.id, question, about[0], pool[other].id))
                break
    return swapped


def things(text: str) -> list[str]:
    """Return the nouns of a text that name a thing, compounds as one, in their order.

    >>> things("赤い消防車の屋根には何がありますか？")
    ['消防車', '屋根']
    """
    found: list[str] = []
    run: list[Morpheme] = []
    for morpheme in (*tag(text), None):
        if morpheme is not None and _is_part(morpheme, run):
            run.append(morpheme)
            continue
        name = "".join(each.surface for each in run)
        if run and run[-1].detail != "数詞" and _names_a_thing(name):
            found.append(name)
        run = [morpheme] if morpheme is not None and _is_part(morpheme, []) else []
    return list(dict.fromkeys(found))


def _is_part(morpheme: Morpheme, run: Sequence[Morpheme]) -> bool:
    if morpheme.pos == "接尾辞":
        return bool(run)
    return morpheme.pos == "名詞" and morpheme.detail in ("普通名詞", "固有名詞")


_GENERAL = re.compile(
    "画像|写真|絵|こと|もの|物|様子|部分|ところ|場所|色|形|数|名前|種類|何.*|ど[このれ].*|誰|[右左上下前中奥]側?|後ろ|中央|手前|背景|全体"
    "|特徴|理由|季節|天気|文字|語句|文|人物?|空|地面|床|壁|光|影|質問|答え|動物|建物|食べ物|乗り物|花|植物"
)
"""Nouns by which a question may ask about nearly any picture."""


def _names_a_thing(name: str) -> bool:
    return len(name) > 1 and not _GENERAL.fullmatch(name)


def _table(stored: StoredRows, swapped: Sequence[Swapped], policy: Policy, seed: int) -> pa.Table:
    by_row = {each.row: each for each in swapped}
    rows = [_row(found, by_row[found["row"]], seed) for found in stored.take(by_row, pictures=True)]
    verdicts = judge_rows(rows, policy).to_pylist()
    for row, verdict in zip(rows, verdicts, strict=True):
        row |= {name: verdict[name] for name in ("state", "findings", "repairs", "error", "policy")}
    schema = shard_schema()
    return pa.Table.from_pylist([{name: row.get(name) for name in schema.names} for row in rows], schema=schema)


def _row(found: dict[str, Any], swapped: Swapped, seed: int) -> dict[str, Any]:
    """Return the row of a picture with a question of another one."""
    draw = random.Random(f"{seed}/{swapped.id}")
    answer = draw.choice(_ANSWERS).format(thing=swapped.thing)
    return {
        **{name: found[name] for name in ("images", "pictures", "source", "url", "license")},
        "id": xxhash.xxh3_128_hexdigest(f"{swapped.id}/{TASK}".encode()),
        "key": f"{found['key']}#{TASK}",
        "task": TASK,
        "caption": "",
        "messages": [{"role": "user", "content": swapped.question}, {"role": "assistant", "content": answer}],
        "original": [],
        "scores": [{"name": TAKEN_FROM, "value": 0.0, "reason": swapped.taken_from, "message": 0}],
        "calls": [],
    }
