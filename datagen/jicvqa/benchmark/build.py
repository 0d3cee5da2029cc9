"""Building the benchmark: a table of labelled pictures and a distractors file become questions in all their editions.

The folder that is written holds the editions (see `editions`), `distractors.json` (a copy), `design.json` (the option
sets and how often each member is the answer), the fingerprints of the pictures, `build.json` (what went in, what came
out, digests) and a data card. It appears whole, by rename.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datagen.errors import DatagenError
from datagen.files.writing import appearing_folder, digest_of, json_text
from datagen.jicvqa.benchmark import editions
from datagen.jicvqa.benchmark.arrangement import arrange, key_of_draws, place_of, secrecy
from datagen.jicvqa.benchmark.labelled import ImageRow
from datagen.jicvqa.benchmark.pictures import Gathered, LostPicture, Scratch
from datagen.jicvqa.benchmark.questions import Question
from datagen.jicvqa.distractors.design import Design, nearest_design
from datagen.jicvqa.distractors.document import Distractors, counts_of, named_sets
from datagen.survey.fingerprints import write_fingerprints
from datagen.version import VERSION

PICTURES_WRITTEN = 3
"""How many editions hold the pictures."""
FINGERPRINTS = "jicvqa.fingerprints"
"""The file by which `datagen survey --against` finds the pictures."""


@dataclass(frozen=True)
class Built:
    """What a build made.

    Attributes:
        questions: in the order of the editions: by subset, then in an order drawn from the seed.
        designs: by subset.
        manifest: the contents of build.json.
    """

    questions: list[Question]
    designs: dict[str, Design]
    manifest: dict[str, Any]


def make_questions(
    placed: Mapping[str, Sequence[ImageRow]],
    distractors: Distractors,
    seed: int,
    gathered: Mapping[str, Gathered] | None = None,
    ambiguous: Mapping[str, frozenset[str]] | None = None,
    advance: Callable[[], None] = lambda: None,
) -> tuple[list[Question], dict[str, Design]]:
    """Balance the design for the rows at hand, and write their questions.

    Args:
        placed: the rows by subset.
        distractors: the similarity and the method.
        seed: of all draws.
        gathered: what is known of the pictures, by id.
        ambiguous: by id, wrong options that are true of the picture too. They are kept out of its question where the
            design has room for that, and stand in `Question.ambiguous` where it has none.
        advance: called when a subset is done.

    Raises:
        DatagenError: a subset has no design.
    """
    questions: list[Question] = []
    designs: dict[str, Design] = {}
    key = key_of_draws(seed, ((row.id, row.category) for rows in placed.values() for row in rows))
    for name, rows in placed.items():
        part = distractors.subsets[name]
        ids: dict[str, list[str]] = defaultdict(list)
        for row in rows:
            ids[row.category].append(row.id)
        try:
            design = part.design(distractors.method, Counter(row.category for row in rows))
        except DatagenError as error:
            raise DatagenError(f"{name}: {error}") from error
        choices = arrange(design, part.subset.names, ids, key, ambiguous)
        designs[name] = design
        questions += [
            Question(
                row.id,
                name,
                part.subset.word,
                choices[row.id],
                row.category,
                row.url,
                row.license,
                row.license_url,
                gathered[row.id].phash if gathered else "",
                tuple(sorted((ambiguous or {}).get(row.id, frozenset()) & {*choices[row.id]} - {row.category})),
            )
            for row in sorted(rows, key=lambda row: place_of(row.id, key))
        ]
        advance()
    return questions, designs


def write_build(
    out: Path,
    questions: Sequence[Question],
    designs: Mapping[str, Design],
    distractors: Distractors,
    *,
    table: str,
    seed: int,
    gathered: Mapping[str, Gathered] | None = None,
    scratch: Scratch | None = None,
    lost: Sequence[LostPicture] = (),
    overwrite: bool = False,
    advance: Callable[[int], None] = lambda _: None,
) -> Built:
    """Write all editions to a folder that appears whole.

    Args:
        out: the folder.
        questions: in order.
        designs: by subset.
        distractors: what the designs were made from.
        table: the name of the table, for the record.
        seed: of the draws, for the record.
        gathered: where the pictures are in `scratch`, by id; none means that the build has no pictures.
        scratch: the pictures.
        lost: the pictures that could not be had.
        overwrite: replace an earlier build.
        advance: told of written pictures, each of which is written `PICTURES_WRITTEN` times.

    Raises:
        DatagenError: the folder is there already and is not to be replaced, or cannot be written.
    """
    refuse_existing(out, overwrite)
    try:
        with appearing_folder(out) as partial:
            _write_editions(partial, questions, gathered, scratch, advance)
            (partial / "distractors.json").write_text(distractors.text(), encoding="utf-8")
            sets = {
                name: [share.model_dump() for share in named_sets(distractors.subsets[name].subset, design)]
                for name, design in designs.items()
            }
            (partial / "design.json").write_text(json_text(sets), encoding="utf-8")
            if lost:
                lines = [json_text(item._asdict()).replace("\n", "") + "\n" for item in lost]
                (partial / "lost.jsonl").write_text("".join(lines), encoding="utf-8")
            manifest = _manifest(partial, questions, designs, distractors, table, seed, len(lost))
            (partial / "README.md").write_text(_card(manifest, gathered is not None), encoding="utf-8")
            (partial / "build.json").write_text(json_text(manifest), encoding="utf-8")
    except OSError as error:
        raise DatagenError(f"{out} cannot be written: {error.strerror}.") from error
    return Built(list(questions), dict(designs), manifest)


def refuse_existing(out: Path, overwrite: bool) -> None:
    """Make sure that a folder can be written without losing anything but an earlier build.

    Raises:
        DatagenError: it cannot.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out / "build.json").exists():
        raise DatagenError(f"{out} is there already and is no build of JIC-VQA; name another folder with --out.")
    if not overwrite:
        raise DatagenError(f"{out} holds a build already; name another folder, or replace it with --overwrite.")


def _write_editions(
    folder: Path,
    questions: Sequence[Question],
    gathered: Mapping[str, Gathered] | None,
    scratch: Scratch | None,
    advance: Callable[[int], None],
) -> None:
    by_subset: dict[str, list[Question]] = defaultdict(list)
    for question in questions:
        by_subset[question.subset].append(question)
    for name, own in by_subset.items():
        (folder / f"{name}.csv").write_text(editions.published_csv(own), encoding="utf-8")
    editions.write_circular(folder / "circular.parquet", questions)
    if gathered is None or scratch is None:
        editions.write_explicit(folder / "jic_vqa.parquet", questions, None)
        return

    def picture(question: Question) -> bytes:
        advance(1)
        return scratch.read(gathered[question.id].picture)

    def thumbnail(question: Question) -> bytes:
        advance(1)
        return scratch.read(gathered[question.id].thumbnail)

    editions.write_explicit(folder / "jic_vqa.parquet", questions, picture)
    editions.write_llm_jp_eval_mm(folder / "llm_jp_eval_mm" / "jic_vqa.parquet", questions, thumbnail)
    editions.write_vlmevalkit(folder / "vlmevalkit" / "JIC-VQA.tsv", questions, picture)
    editions.write_tasks(folder / "tasks")
    head = {"benchmark": "JIC-VQA", "questions": []}
    rows = [{**head, "key": question.id, **gathered[question.id].known_by} for question in questions]
    write_fingerprints(folder / FINGERPRINTS, rows)


def _manifest(
    folder: Path,
    questions: Sequence[Question],
    designs: Mapping[str, Design],
    distractors: Distractors,
    table: str,
    seed: int,
    lost: int,
) -> dict[str, Any]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    subsets = {}
    for name, design in designs.items():
        part = distractors.subsets[name]
        counts = Counter(question.category for question in questions if question.subset == name)
        nearest_similarity = nearest_design(part.matrix, counts_of(part.subset, counts)).similarity(part.matrix)
        subsets[name] = {
            "questions": int(design.questions),
            "classes": len(counts),
            "option_sets": len(design.members),
            "blind_ceiling": round(design.ceiling, 6),
            "questions_outside_balance": int(design.surplus),
            "bits_to_guess": int(secrecy((q.choices, q.category) for q in questions if q.subset == name)),
            "distractor_similarity": round(design.similarity(part.matrix), 6),
            "nearest_similarity": round(nearest_similarity, 6),
        }
    return {
        "datagen": VERSION,
        "table": Path(table).name,
        "table_digest": digest_of("\n".join(f"{q.id}\t{q.category}" for q in questions).encode()),
        "seed": seed,
        "method": distractors.method,
        "ranker": distractors.ranker.model_dump(mode="json"),
        "distractors_digest": digest_of(distractors.text().encode()),
        "questions": len(questions),
        "lost_pictures": lost,
        "ambiguous_questions": sum(bool(question.ambiguous) for question in questions),
        "subsets": subsets,
        "files": {path.relative_to(folder).as_posix(): digest_of(path.read_bytes()) for path in files},
    }


def _card(manifest: Mapping[str, Any], pictures: bool) -> str:
    rows = "\n".join(
        f"| {name} | {part['classes']} | {part['questions']:,} | {part['option_sets']} | {part['blind_ceiling']:.4f} |"
        for name, part in manifest["subsets"].items()
    )
    shown = "The pictures are in the column `image`." if pictures else "There are no pictures in it, only their URLs."
    ranker = f"{manifest['ranker']['kind']} {manifest['ranker']['model']}".strip()
    return f"""---
language: [ja]
task_categories: [visual-question-answering]
configs:
- config_name: default
  data_files: [{{split: test, path: jic_vqa.parquet}}]
- config_name: circular
  data_files: [{{split: test, path: circular.parquet}}]
---
# JIC-VQA, built by datagen {manifest["datagen"]}

{manifest["questions"]:,} four-choice questions, one a picture. {shown} The licence of every picture stands in its row.
Distractors: `{manifest["method"]}`, ranked by `{ranker}`; seed {manifest["seed"]}.

| subset | classes | questions | option sets | best a player can do without the picture |
| --- | ---: | ---: | ---: | ---: |
{rows}
"""
