"""`datagen jicvqa build`."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from datagen.console import pasteable
from datagen.errors import DatagenError
from datagen.jicvqa.benchmark.arrangement import FEW_BITS
from datagen.jicvqa.benchmark.build import make_questions, place_rows, refuse_existing, write_build
from datagen.jicvqa.benchmark.pictures import Gathered, LostPicture, Scratch, download, gather, reader_of
from datagen.jicvqa.benchmark.questions import Question
from datagen.jicvqa.benchmark.tables import ImageRow, Table, open_table, read_rows
from datagen.jicvqa.classes.lists import CHOICES
from datagen.jicvqa.distractors.document import load_distractors
from datagen.jicvqa.runs.places import CONSOLE, beside
from datagen.progress import counted


class Fetching(NamedTuple):
    """Whether and how pictures behind URLs are fetched."""

    wanted: bool
    cache: Path | None
    allow_private_hosts: tuple[str, ...]
    retry_dead: bool
    drop_unreached: bool


def build(
    images: str,
    distractors: Path,
    out: Path,
    seed: int,
    fetching: Fetching,
    overwrite: bool,
    ambiguous: Mapping[str, frozenset[str]] | None = None,
) -> None:
    """Read the table, bring the pictures together, balance the design, and write the build."""
    refuse_existing(out, overwrite)
    recorded = load_distractors(distractors)
    table = open_table(images)
    rows = read_rows(table, images)
    placed = place_rows(rows, recorded, images)
    ordered = [row for own in placed.values() for row in own]
    with Scratch() as scratch:
        gathered, lost = _pictures(table, ordered, Path(images).parent, fetching, scratch, out)
        if gathered is not None:
            placed = {name: [row for row in own if row.id in gathered] for name, own in placed.items()}
        questions, designs = make_questions(placed, recorded, seed, gathered, ambiguous)
        built = write_build(
            out,
            questions,
            designs,
            recorded,
            table=images,
            seed=seed,
            gathered=gathered,
            scratch=scratch,
            lost=lost,
            overwrite=overwrite,
        )
    for name, part in built.manifest["subsets"].items():
        share = part["distractor_similarity"] / part["nearest_similarity"] if part["nearest_similarity"] else 1.0
        CONSOLE.print(
            f"{name}: {part['questions']:,} questions, {part['option_sets']} option sets; without the picture at most "
            f"{part['blind_ceiling']:.4f}; distractors as similar as {share:.0%} of the three nearest"
        )
        if recorded.method == "mutual" and part["questions_outside_balance"] > 3:
            CONSOLE.print(
                f"  {part['questions_outside_balance']} questions are outside the balance of their option sets: "
                f"{_too_many(questions, name)} Drop some of its images, or add images of other classes."
            )
    if (fewest := min(part["bits_to_guess"] for part in built.manifest["subsets"].values())) < FEW_BITS:
        CONSOLE.print(
            f"So small a table leaves only {fewest} bits of its labels open: whoever has datagen and the seed can try "
            "them all. Where that matters, build with a long random --seed, and publish neither it nor build.json."
        )
    if ambiguous is not None:
        CONSOLE.print(
            f"Of {len(ambiguous.keys() & {question.id for question in questions}):,} pictures of which a wrong option "
            f"is true, {built.manifest['ambiguous_questions']:,} have it in their question all the same (column "
            "ambiguous)."
        )
    if lost:
        CONSOLE.print(f"{len(lost):,} pictures could not be had; {out / 'lost.jsonl'} says why.")
    without = "" if gathered else " (without pictures; --download fetches those that stand behind URLs)"
    CONSOLE.print(f"{len(questions):,} questions are in {out}{without}.")
    CONSOLE.print(f"Next: datagen jicvqa audit {pasteable(out)}")


def _pictures(
    table: Table, rows: list[ImageRow], folder: Path, fetching: Fetching, scratch: Scratch, out: Path
) -> tuple[dict[str, Gathered] | None, list[LostPicture]]:
    """Return the pictures by id, None where the table has none and none are to be fetched, and what was lost."""
    dead: dict[str, str] = {}
    cache = None
    if not table.embedded and fetching.wanted:
        cache = fetching.cache or beside(out, "-downloads")
        urls = [row.url for row in rows if row.url and not row.path]
        with counted("downloading", len(set(urls))) as advance:
            dead, unreached = download(urls, cache, fetching.allow_private_hosts, fetching.retry_dead, advance)
        if unreached and not fetching.drop_unreached:
            url, reason = next(iter(sorted(unreached.items())))
            raise DatagenError(
                f"{len(unreached):,} pictures could not be reached just now (the first: {url}: {reason}). Run the same "
                f"command again, what was fetched is kept in {cache}; or build without them with --drop-unreached."
            )
        dead |= unreached
    elif not table.embedded and not any(row.path for row in rows):
        return None, []
    wanted = [row for row in rows if row.path or row.url not in dead]
    lost = [LostPicture(row.id, row.url, dead[row.url]) for row in rows if not row.path and row.url in dead]
    with counted("reading pictures", len(wanted)) as advance:
        gathered, unreadable = gather(wanted, reader_of(table, folder, cache), scratch, advance)
    lost += unreadable
    if not gathered:
        raise DatagenError(f"None of the {len(rows):,} pictures can be read (the first: {lost[0].reason}).")
    return gathered, lost


def _too_many(questions: list[Question], subset: str) -> str:
    """Return a sentence on the largest class of a subset."""
    counts = Counter(question.category for question in questions if question.subset == subset)
    name, count = counts.most_common(1)[0]
    if count * CHOICES > counts.total():
        return f"'{name}' has {count:,} of {counts.total():,} images, which is more than a quarter."
    return "names that may not stand together leave too few combinations for these class counts."
