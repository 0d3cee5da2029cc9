"""`datagen jicvqa build`."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from datagen.console import pasteable
from datagen.errors import DatagenError
from datagen.jicvqa.benchmark.arrangement import FEW_BITS
from datagen.jicvqa.benchmark.build import PICTURES_WRITTEN, Built, make_questions, refuse_existing, write_build
from datagen.jicvqa.benchmark.labelled import ImageRow, Labelled, read_labelled
from datagen.jicvqa.benchmark.pictures import Gathered, LostPicture, Scratch, download, gather, reader_of
from datagen.jicvqa.benchmark.placing import Placed, place_rows
from datagen.jicvqa.benchmark.splits import Labels
from datagen.jicvqa.classes.lists import CHOICES
from datagen.jicvqa.distractors.design import mutual_design
from datagen.jicvqa.distractors.document import Distractors, counts_of, load_distractors
from datagen.jicvqa.runs.places import CONSOLE, beside, say_if_long
from datagen.progress import counted

_DIGITS_OF_ID = 15  # of a 64-bit integer's 18, so that spreadsheets keep them all


class Fetching(NamedTuple):
    """Whether and how pictures behind URLs are fetched."""

    wanted: bool = False
    cache: Path | None = None
    allow_private_hosts: tuple[str, ...] = ()
    retry_dead: bool = False
    drop_unreached: bool = False


class BuildChoice(NamedTuple):
    """How a table becomes a build.

    Attributes:
        seed: of all draws.
        labels: how labels are read.
        fetching: whether pictures are fetched.
        without_pictures: build the questions alone.
        new_ids: give every picture an id that says nothing, whatever the table has.
        overwrite: replace an earlier build.
        ambiguous: by id, the wrong options that are true of a picture.
    """

    seed: int = 0
    labels: Labels = Labels()
    fetching: Fetching = Fetching()
    without_pictures: bool = False
    new_ids: bool = False
    overwrite: bool = False
    ambiguous: Mapping[str, frozenset[str]] | None = None


def build(images: str, distractors: Path, out: Path, choice: BuildChoice) -> None:
    """Read the table, bring the pictures together, balance the design, and write the build.

    Raises:
        DatagenError: something is wrong with the table, the pictures or the folder.
    """
    refuse_existing(out, choice.overwrite)
    recorded = load_distractors(distractors)
    labelled = read_labelled(images, choice.labels)
    placed = place_rows(labelled.rows, recorded.lists, images)
    _say_read(labelled, placed)
    rows = [row for own in placed.rows.values() for row in own]
    with Scratch() as scratch:
        gathered, lost = _pictures(labelled, rows, choice, scratch, out)
        if choice.new_ids or not all(row.has_own_id for row in rows):
            rows, gathered, twice = _with_new_ids(rows, gathered, images)
            lost += twice
        by_subset: dict[str, list[ImageRow]] = defaultdict(list)
        subset_of = {row.number: name for name, own in placed.rows.items() for row in own}
        for row in rows:
            if gathered is None or row.id in gathered:
                by_subset[subset_of[row.number]].append(row)
        say_if_long(recorded.lists)
        with counted("balancing the answers", len(by_subset)) as advance:
            questions, designs = make_questions(
                by_subset, recorded, choice.seed, gathered, choice.ambiguous, lambda: advance(1)
            )
        with counted("writing pictures", PICTURES_WRITTEN * len(gathered or ())) as advance:
            built = write_build(
                out,
                questions,
                designs,
                recorded,
                table=images,
                seed=choice.seed,
                gathered=gathered,
                scratch=scratch,
                lost=lost,
                overwrite=choice.overwrite,
                advance=advance,
            )
    _say_built(built, recorded, out, choice, lost)


def _say_read(labelled: Labelled, placed: Placed) -> None:
    """Say what was read otherwise than it is written."""
    if labelled.cleaned:
        CONSOLE.print(
            f"{labelled.cleaned:,} labels had spaces around them or letters taken apart; they are read without."
        )
    if placed.forms:
        shown = ", ".join(f"{form} → {name} ({count:,})" for (form, name), count in placed.forms.most_common(6))
        more = f" and {len(placed.forms) - 6} more" if len(placed.forms) > 6 else ""
        CONSOLE.print(f"Labels that are other forms of a class's name: {shown}{more}.")


def _pictures(
    labelled: Labelled, rows: list[ImageRow], choice: BuildChoice, scratch: Scratch, out: Path
) -> tuple[dict[str, Gathered] | None, list[LostPicture]]:
    """Return the pictures by id, None where none are wanted, and what was lost.

    Raises:
        DatagenError: there are no pictures and some are wanted, or none can be read.
    """
    if choice.without_pictures:
        return None, []
    if not labelled.pictures:
        raise DatagenError(
            f"{labelled.shown} has no column with pictures, paths or URLs (image, path, file_name, url …); add one, or "
            "build the questions alone with --without-pictures."
        )
    fetching, dead, cache = choice.fetching, dict[str, str](), None
    urls = {row.id: url for row in rows if (url := labelled.pictures[row.number].url)}
    if urls and not fetching.wanted:
        raise DatagenError(
            f"{len(urls):,} of {len(rows):,} pictures of {labelled.shown} stand behind URLs: fetch them with "
            "--download, or build the questions alone with --without-pictures."
        )
    if urls:
        cache = fetching.cache or beside(out, "-downloads")
        with counted("downloading", len(set(urls.values()))) as advance:
            dead, unreached = download(urls.values(), cache, fetching.allow_private_hosts, fetching.retry_dead, advance)
        if unreached and not fetching.drop_unreached:
            url, reason = next(iter(sorted(unreached.items())))
            raise DatagenError(
                f"{len(unreached):,} pictures could not be reached just now (the first: {url}: {reason}). Run the same "
                f"command again, what was fetched is kept in {cache}; or build without them with --drop-unreached."
            )
        dead |= unreached
    lost = [LostPicture(row.id, row.url, dead[urls[row.id]]) for row in rows if urls.get(row.id) in dead]
    gone = {picture.id for picture in lost}
    wanted = [row for row in rows if row.id not in gone]
    with counted("reading pictures", len(wanted)) as advance:
        gathered, unreadable = gather(wanted, reader_of(labelled, cache), labelled.photo, scratch, advance)
    lost += unreadable
    if not gathered:
        raise DatagenError(f"None of the {len(rows):,} pictures can be read (the first: {lost[0].reason}).")
    return gathered, lost


def _with_new_ids(
    rows: list[ImageRow], gathered: dict[str, Gathered] | None, shown: str
) -> tuple[list[ImageRow], dict[str, Gathered], list[LostPicture]]:
    """Name every picture by a digest of its bytes, which tells nothing to who does not have it.

    A picture that comes again under the same class is left out; one under two classes is left out altogether.

    Raises:
        DatagenError: there are no pictures to name.
    """
    if gathered is None:
        raise DatagenError(f"{shown} has no column 'id', and without pictures no id can be made; add one.")
    by_picture: dict[str, list[ImageRow]] = defaultdict(list)
    for row in rows:
        if row.id in gathered:
            by_picture[gathered[row.id].sha256].append(row)
    named: list[ImageRow] = []
    found: dict[str, Gathered] = {}
    lost = []
    for digest, same in by_picture.items():
        classes = sorted({row.category for row in same})
        first, *again = same
        identity = str(int(digest, 16) % 10**_DIGITS_OF_ID)
        if len(classes) > 1:
            lost += [
                LostPicture(row.id, row.url, f"the same picture is labelled {' and '.join(classes)}") for row in same
            ]
            continue
        lost += [LostPicture(row.id, row.url, f"the same picture as {first.id}") for row in again]
        named.append(first.model_copy(update={"id": identity}))
        found[identity] = gathered[first.id]
    return named, found, lost


def _say_built(built: Built, recorded: Distractors, out: Path, choice: BuildChoice, lost: list[LostPicture]) -> None:
    for name, part in built.manifest["subsets"].items():
        share = part["distractor_similarity"] / part["nearest_similarity"] if part["nearest_similarity"] else 1.0
        CONSOLE.print(
            f"{name}: {part['questions']:,} questions, {part['option_sets']} option sets; without the picture at most "
            f"{part['blind_ceiling']:.4f}; distractors as similar as {share:.0%} of the three nearest"
        )
        if recorded.method == "mutual" and part["questions_outside_balance"] > 3:
            CONSOLE.print(
                f"  {part['questions_outside_balance']} questions are outside the balance of their option sets: "
                f"{_why_outside(built, recorded, name)}"
            )
    if (fewest := min(part["bits_to_guess"] for part in built.manifest["subsets"].values())) < FEW_BITS:
        CONSOLE.print(
            f"So small a table leaves only {fewest} bits of its labels open: whoever has datagen and the seed can try "
            "them all. Where that matters, build with a long random --seed, and publish neither it nor build.json."
        )
    if choice.ambiguous is not None:
        asked = choice.ambiguous.keys() & {question.id for question in built.questions}
        CONSOLE.print(
            f"Of {len(asked):,} pictures of which a wrong option is true, {built.manifest['ambiguous_questions']:,} "
            "have it in their question all the same (column ambiguous)."
        )
    if lost:
        CONSOLE.print(f"{len(lost):,} pictures could not be had; {out / 'lost.jsonl'} says why.")
    without = " (without pictures)" if choice.without_pictures else ""
    CONSOLE.print(f"{len(built.questions):,} questions are in {out}{without}.")
    CONSOLE.print(f"Next: datagen jicvqa audit {pasteable(out)}")


def _why_outside(built: Built, recorded: Distractors, subset: str) -> str:
    """Return a sentence on why a subset cannot be balanced, and what to do."""
    counts = Counter(question.category for question in built.questions if question.subset == subset)
    name, count = counts.most_common(1)[0]
    if count * CHOICES > counts.total():
        return (
            f"'{name}' has {count:,} of {counts.total():,} images, which is more than a quarter. Drop some of them, or "
            "add images of other classes."
        )
    part = recorded.subsets[subset]
    free = np.zeros((len(part.subset.names),) * 2, dtype=bool)
    if mutual_design(part.matrix, free, counts_of(part.subset, counts)).surplus < CHOICES:
        pairs = [f"{first}/{second}" for first, second, _ in part.conflicts if counts[first] and counts[second]]
        shown = ", ".join(pairs[:6]) + (" and others" if len(pairs) > 6 else "")
        return f"pairs that may not share a question ({shown}) leave too few combinations. Add images of other classes."
    return "no better design was found for these class counts. Make them more even, or add images."
